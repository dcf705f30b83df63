"""What a reader ends up with of an answer, so that answers of different dialects can be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from pulse_gateway.types.chat import ChatReply, FinishReason, RefusalPart
from pulse_gateway.types.events import (
    Ended,
    Event,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.codec import Codec
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.openai_responses import OpenAIResponsesCodec
from pulse_gateway.wire.registry import codec
from pulse_gateway.wire.sse import SSEDecoder
from pulse_gateway.wire.translate import Translate

__all__ = ["Read", "events_of", "expected", "of_events", "of_reply", "translated"]

# What a dialect without a word for it says instead.
INSTEAD = {FinishReason.STOP_SEQUENCE: FinishReason.STOP, FinishReason.PAUSE: FinishReason.LENGTH}


class Read(msgspec.Struct):
    """What a reader of an answer ends up with. Where thinking and texts stand among the calls no dialect but one can say."""

    text: str = ""
    refusal: str = ""
    reasoning: str = ""
    calls: dict[int, list[str]] = {}
    finish: FinishReason | None = None
    usage: Usage | None = None

    @property
    def cut(self) -> bool:
        """Whether a call's arguments broke off at the length limit."""
        return any(not _is_json(arguments) for _, _, arguments in self.calls.values())

    @property
    def summary(self) -> dict[str, Any]:
        usage = self.usage or Usage()
        return {
            "said": self.text + self.refusal,
            "reasoning": self.reasoning,
            "calls": [
                (call_id, name, json.loads(arguments or "{}")) for call_id, name, arguments in self.calls.values()
            ],
            "finish": self.finish,
            "input": usage.input_total,
            "cached": usage.cached_input_tokens or 0,
            "output": usage.output_total,
            "thought": usage.reasoning_tokens or 0,
        }


def _is_json(text: str) -> bool:
    try:
        json.loads(text or "{}")
    except ValueError:
        return False
    return True


def of_reply(reply: ChatReply) -> Read:
    refusal = "".join(part.text for part in reply.choices[0].parts if isinstance(part, RefusalPart))
    calls = {place: [call.id, call.name, call.arguments] for place, call in enumerate(reply.tool_calls)}
    return Read(reply.text, refusal, reply.reasoning, calls, reply.finish_reason, reply.usage)


def of_events(events: Sequence[Event]) -> Read:
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert sum(isinstance(event, Started | Ended) for event in events) == 2
    read = Read()
    for event in events:
        if getattr(event, "choice", 0):
            continue  # the first answer of several is the one compared
        match event:
            case TextDelta(text):
                read.text += text
            case RefusalDelta(refusal):
                read.refusal += refusal
            case ReasoningDelta(reasoning):
                read.reasoning += reasoning
            case ToolCallStarted(index, call_id, name):
                assert index == len(read.calls)
                read.calls[index] = [call_id, name, ""]
            case ToolArgumentsDelta(index, fragment):
                read.calls[index][2] += fragment
            case Finished(reason):
                assert read.finish is None
                read.finish = reason
            case UsageReported(usage):
                read.usage = usage
    return read


def events_of(dialect: str, stream: bytes) -> list[Event]:
    frames, decoder = SSEDecoder(), codec(dialect).decoder()
    events = [event for frame in [*frames.feed(stream), *frames.finish()] for event in decoder.decode(frame)]
    return events + decoder.finish()


def writing(dialect: str) -> Codec:
    """The codec, with a clock that stands still."""
    match dialect:
        case "openai.chat":
            return OpenAIChatCodec(lambda: 0.0)
        case "openai.responses":
            return OpenAIResponsesCodec(lambda: 0.0)
    return codec(dialect)


def translated(upstream: str, client: str, chunks: Sequence[bytes]) -> bytes:
    relay = Translate(codec(upstream), writing(client), "alias", "req_1", include_usage=True)
    output = [item for chunk in chunks for item in relay.feed(chunk)]
    output += [piece.item for piece in relay.finish()]
    assert relay.reading.ended
    assert relay.broken is None
    return b"".join(output)


def expected(client: str, read: Read) -> dict[str, Any]:
    """`read` in the words that the dialect `client` has."""
    finish = read.finish
    if client != "anthropic.messages" and finish in INSTEAD:
        finish = INSTEAD[finish]
    if not client.startswith("openai.") and read.refusal and finish is FinishReason.STOP:
        finish = FinishReason.CONTENT_FILTER
    if read.calls and finish is FinishReason.STOP:
        finish = FinishReason.TOOL_CALLS
    return read.summary | {"finish": finish}
