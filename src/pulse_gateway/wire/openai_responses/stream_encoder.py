"""Events → a streamed Responses answer.

The dialect says everything three times: in deltas, in what ends each part and item, and in the whole response at the end. Its text is
therefore kept until then, within a bound. An item ends when another begins, a tool call once its arguments are a whole JSON object, as
in OpenAI's own streams; calls whose fragments interleave stay open side by side.

Source: `openai/types/responses/response_stream_event.py` and `openai/lib/streaming/responses/_responses.py` of the `openai` SDK
3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from uuid import uuid4

import msgspec

from pulse_gateway.errors import PulseError, UpstreamProtocolError
from pulse_gateway.types.chat import FinishReason, Logprob, ToolCallPart
from pulse_gateway.types.events import (
    Ended,
    Event,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    ReasoningSigned,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_responses.errors import error_event
from pulse_gateway.wire.openai_responses.output import (
    OWN_REASONING,
    call_item,
    encode_logprobs,
    item_id,
    message_item,
    reasoning_item,
    text_content,
)
from pulse_gateway.wire.openai_responses.proofs import closed
from pulse_gateway.wire.openai_responses.reply import ResponseHead
from pulse_gateway.wire.sse import MAX_EVENT_BYTES, encode_event
from pulse_gateway.wire.tool_calls import arguments_object

__all__ = ["ResponsesStreamEncoder"]

_MAX_ANSWER_CHARS = MAX_EVENT_BYTES  # the last event holds all of it, and nobody takes an event that is longer
_CUT_OFF = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.PAUSE)
_COMPLETED, _INCOMPLETE = "completed", "incomplete"

_encode = msgspec.json.Encoder().encode


class _Text:
    """A content part of a message: words, or a refusal. `delta` is the beginning of the frame of each of its fragments."""

    __slots__ = ("delta", "index", "kind", "logprobs", "pieces")

    def __init__(self, kind: Literal["output_text", "refusal"], index: int, delta: bytes) -> None:
        self.kind, self.index, self.delta = kind, index, delta
        self.pieces: list[str] = []
        self.logprobs: list[Logprob] = []

    def content(self) -> dict[str, Any]:
        text = "".join(self.pieces)
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return text_content(text, self.logprobs)


class _Message:
    __slots__ = ("content", "id", "index", "part")

    def __init__(self, identity: str, index: int) -> None:
        self.id, self.index = identity, index
        self.content: list[dict[str, Any]] = []
        self.part: _Text | None = None


class _Reasoning:
    __slots__ = ("delta", "id", "index", "pieces")

    def __init__(self, identity: str, index: int, delta: bytes) -> None:
        self.id, self.index, self.delta = identity, index, delta
        self.pieces: list[str] = []


class _Call:
    __slots__ = ("delta", "id", "index", "pieces", "started")

    def __init__(self, identity: str, index: int, delta: bytes, started: ToolCallStarted) -> None:
        self.id, self.index, self.delta, self.started = identity, index, delta, started
        self.pieces: list[str] = []

    @property
    def is_whole(self) -> bool:
        if not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        return arguments_object("".join(self.pieces)) is not None

    def item(self, status: str) -> dict[str, Any]:
        started = self.started
        call = ToolCallPart(started.id, started.name, "".join(self.pieces), started.signature)
        return call_item(self.id, call, status)


class ResponsesStreamEncoder:
    """One streamed answer. The last event waits for `Ended`, since usage may come after the reason.

    `Failed` says nothing by itself: its error is written by `error`, which knows the request's id.

    Raises: UpstreamProtocolError for an answer too large for the event that ends it, and for a call that goes on after its end.
    """

    def __init__(self, request_model: str, *, now: Callable[[], float]) -> None:
        self._request_model = request_model
        self._now = now
        self._head: ResponseHead | None = None
        self._number = 0
        self._output: list[dict[str, Any]] = []  # by output index; empty until its item has ended
        self._open: _Message | _Reasoning | None = None
        self._calls: dict[int, _Call | None] = {}  # by their index among calls; None: it has ended
        self._chars = 0
        self._usage: Usage | None = None
        self._reason: FinishReason | None = None

    def encode(self, event: Event) -> bytes:
        if getattr(event, "choice", 0):
            return b""  # there is one choice in this dialect
        # Nearly all events are one of these three, and `isinstance` tells them apart faster than a class pattern.
        if isinstance(event, TextDelta):
            return self._say("output_text", event.text) if event.text else b""
        if isinstance(event, ToolArgumentsDelta):
            return self._add_arguments(event.index, event.fragment)
        if isinstance(event, ReasoningDelta):
            return self._think(event.reasoning) if event.reasoning else b""
        match event:
            case ToolCallStarted():
                return self._start_call(event)
            case ReasoningSigned(signature, redacted):
                return self._prove(signature, redacted)
            case RefusalDelta(refusal):
                return self._say("refusal", refusal) if refusal else b""
            case LogprobsDelta(logprobs):
                return self._add_logprobs(logprobs)
            case Started(identity, model, created):
                return self._start(identity, model, created)
            case UsageReported(usage):
                self._usage = usage
            case Finished(reason):
                self._reason = reason
                return self._end_all()
            case Ended():
                return self._end()
        return b""

    def error(self, error: PulseError, request_id: str) -> bytes:
        return encode_event(_encode(error_event(error, request_id, self._number)), "error")

    # ── the response ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, identity: str, model: str, created: int | None) -> bytes:
        if self._head is not None:
            return b""
        head = self._head = ResponseHead(
            identity or f"resp_{uuid4().hex}", model or self._request_model, int(self._now()) if created is None else created
        )  # fmt: skip
        response = head.begun()
        return self._frame("response.created", response=response) + self._frame(
            "response.in_progress", response=response
        )

    def _begun(self) -> tuple[ResponseHead, bytes]:
        """The response, and its beginning if that has not been told."""
        told = self._start("", "", None)
        assert self._head is not None  # by `_start`
        return self._head, told

    def _end(self) -> bytes:
        head, begun = self._begun()
        rest = self._end_all()
        response = head.ended(self._output, self._reason, self._usage, completed_at=int(self._now()))
        return begun + rest + self._frame(f"response.{response['status']}", response=response)

    def _frame(self, kind: str, **members: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return encode_event(_encode({"type": kind, **members, "sequence_number": number}), kind)

    def _delta(self, beginning: bytes, text: str) -> bytes:
        number, self._number = self._number, self._number + 1
        self._chars += len(text)
        if self._chars > _MAX_ANSWER_CHARS:
            raise UpstreamProtocolError(f"the provider's answer exceeds {_MAX_ANSWER_CHARS} characters")
        return b'%b,"sequence_number":%d,"delta":%b}\n\n' % (beginning, number, _encode(text))

    # ── its items ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _next(self, kind: str) -> tuple[str, int, bytes]:
        """The id and the index of a new item, and the ends of those before it."""
        head, begun = self._begun()
        ended = begun + self._end_open(_COMPLETED) + self._end_whole_calls()
        index = len(self._output)
        self._output.append({})
        return item_id(kind, head.id, index), index, ended

    def _added(self, index: int, item: dict[str, Any]) -> bytes:
        return self._frame("response.output_item.added", output_index=index, item=item)

    def _done(self, index: int, item: dict[str, Any]) -> bytes:
        self._output[index] = item
        return self._frame("response.output_item.done", output_index=index, item=item)

    def _end_open(self, status: str) -> bytes:
        open_item, self._open = self._open, None
        if isinstance(open_item, _Message):
            ended = self._end_part(open_item)
            return ended + self._done(open_item.index, message_item(open_item.id, open_item.content, status))
        return b"" if open_item is None else self._end_reasoning(open_item, None)

    def _end_all(self) -> bytes:
        status = _INCOMPLETE if self._reason in _CUT_OFF else _COMPLETED
        calls = [call for call in self._calls.values() if call is not None]
        ended = [self._end_call(call, _COMPLETED if call.is_whole else status) for call in calls]
        return b"".join([self._end_open(status), *ended])

    # ── words ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _say(self, kind: Literal["output_text", "refusal"], text: str) -> bytes:
        message, part = self._open, None
        told = b""
        if isinstance(message, _Message):
            part = message.part
        else:
            identity, index, told = self._next("msg")
            message = self._open = _Message(identity, index)
            told += self._added(index, message_item(identity, [], "in_progress"))
        if part is None or part.kind != kind:
            told += self._end_part(message)
            part, begun = self._begin_part(message, kind)
            told += begun
        part.pieces.append(text)
        return told + self._delta(part.delta, text)

    def _begin_part(self, message: _Message, kind: Literal["output_text", "refusal"]) -> tuple[_Text, bytes]:
        where = {"item_id": message.id, "output_index": message.index, "content_index": len(message.content)}
        more: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        part = message.part = _Text(kind, len(message.content), _beginning(f"response.{kind}.delta", **where, **more))
        return part, self._frame("response.content_part.added", **where, part=part.content())

    def _end_part(self, message: _Message) -> bytes:
        part, message.part = message.part, None
        if part is None:
            return b""
        content = part.content()
        message.content.append(content)
        where = {"item_id": message.id, "output_index": message.index, "content_index": part.index}
        if part.kind == "refusal":
            ended = self._frame("response.refusal.done", **where, refusal=content["refusal"])
        else:
            ended = self._frame(
                "response.output_text.done", **where, text=content["text"], logprobs=content["logprobs"]
            )
        return ended + self._frame("response.content_part.done", **where, part=content)

    def _add_logprobs(self, logprobs: tuple[Logprob, ...]) -> bytes:
        """They come after the words that they are about, in a fragment without any."""
        message = self._open
        if not isinstance(message, _Message) or message.part is None or message.part.kind == "refusal":
            return b""
        message.part.logprobs += logprobs
        self._chars += sum(len(entry.token) for entry in logprobs)
        where = {"item_id": message.id, "output_index": message.index, "content_index": message.part.index}
        return self._frame("response.output_text.delta", **where, delta="", logprobs=encode_logprobs(logprobs))

    # ── thinking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _think(self, text: str) -> bytes:
        reasoning, told = self._thinking()
        if not reasoning.pieces:
            where = {"item_id": reasoning.id, "output_index": reasoning.index, "summary_index": 0}
            told += self._frame("response.reasoning_summary_part.added", **where, part=_summary(""))
        reasoning.pieces.append(text)
        return told + self._delta(reasoning.delta, text)

    def _thinking(self, own_id: str | None = None) -> tuple[_Reasoning, bytes]:
        """The reasoning that goes on, or a new one, and what is to be told of it."""
        if isinstance(self._open, _Reasoning):
            return self._open, b""
        identity, index, told = self._next(OWN_REASONING)
        identity = own_id or identity
        where = {"item_id": identity, "output_index": index, "summary_index": 0}
        reasoning = self._open = _Reasoning(
            identity, index, _beginning("response.reasoning_summary_text.delta", **where)
        )
        return reasoning, told + self._added(index, reasoning_item(identity, "", None))

    def _prove(self, signature: str | None, redacted: str | None) -> bytes:
        """A proof ends the thinking that it proves. A redacted block is an item of its own."""
        own_id, proof = closed(signature, redacted)
        if proof is None:
            return b""
        ended = self._end_open(_COMPLETED) if redacted is not None else b""
        reasoning, told = self._thinking(own_id)
        self._open = None
        return ended + told + self._end_reasoning(reasoning, proof)

    def _end_reasoning(self, reasoning: _Reasoning, proof: str | None) -> bytes:
        ended = b""
        text = "".join(reasoning.pieces)
        if text:
            where = {"item_id": reasoning.id, "output_index": reasoning.index, "summary_index": 0}
            ended = self._frame("response.reasoning_summary_text.done", **where, text=text)
            ended += self._frame("response.reasoning_summary_part.done", **where, part=_summary(text))
        return ended + self._done(reasoning.index, reasoning_item(reasoning.id, text, proof))

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_call(self, event: ToolCallStarted) -> bytes:
        identity, index, told = self._next("fc")
        beginning = _beginning("response.function_call_arguments.delta", item_id=identity, output_index=index)
        call = self._calls[event.index] = _Call(identity, index, beginning, event)
        return told + self._added(index, call.item("in_progress"))

    def _add_arguments(self, index: int, fragment: str) -> bytes:
        call = self._calls.get(index)
        if call is None:
            if fragment.strip():
                raise UpstreamProtocolError("the provider's answer adds to the arguments of a call that is over")
            return b""
        if not fragment:
            return b""
        call.pieces.append(fragment)
        return self._delta(call.delta, fragment)

    def _end_whole_calls(self) -> bytes:
        whole = [call for call in self._calls.values() if call is not None and call.is_whole]
        return b"".join([self._end_call(call, _COMPLETED) for call in whole])

    def _end_call(self, call: _Call, status: str) -> bytes:
        self._calls[call.started.index] = None
        item = call.item(status)
        where = {"item_id": call.id, "output_index": call.index}
        ended = self._frame("response.function_call_arguments.done", **where, arguments=item["arguments"])
        return ended + self._done(call.index, item)


def _beginning(kind: str, **members: Any) -> bytes:
    """A frame of the type `kind` up to what changes with every fragment."""
    return b"event: %b\ndata: %b" % (kind.encode(), _encode({"type": kind, **members})[:-1])


def _summary(text: str) -> dict[str, str]:
    return {"type": "summary_text", "text": text}
