"""A streamed answer: `data:` frames ⇄ events.

Every frame is a partial `GenerateContentResponse`, function calls are whole, the usage of the last frame is final, and nothing
marks the end. The official SDK fails on event names, comments and a `[DONE]`, so none is ever written.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent (read 2026-11-24); google-genai 3.4.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import PulseError, UpstreamProtocolError
from pulse_gateway.types.chat import FinishReason, ToolCallPart
from pulse_gateway.types.events import (
    Ended,
    Event,
    Failed,
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
from pulse_gateway.wire.gemini.errors import embedded_error, error_body
from pulse_gateway.wire.gemini.reply import (
    call_arguments,
    decode_frames,
    decode_logprobs,
    encode_call,
    encode_logprobs,
    encode_thinking,
    unusable,
)
from pulse_gateway.wire.gemini.schema import (
    FAILED_FINISHES,
    Candidate,
    Part,
    Reply,
    finish_name,
    finish_reason,
)
from pulse_gateway.wire.gemini.usage import decode_usage, encode_usage
from pulse_gateway.wire.held import Held
from pulse_gateway.wire.signatures import mark_as_gemini
from pulse_gateway.wire.sse import ServerSentEvent
from pulse_gateway.wire.tool_calls import is_unfinished, made_id

__all__ = ["GeminiDecoder", "GeminiEncoder"]

_NOTHING_SAID = ({"text": ""},)


class GeminiDecoder:
    """Frames in, events out. `finish` says `Ended` once every candidate seen has its finish reason.

    Media have no event and are passed over: a request that comes from another dialect never asks for them.
    """

    __slots__ = ("_calls", "_failed", "_finished", "_held", "_id", "_searches", "_seen", "_started")

    def __init__(self) -> None:
        self._id = ""
        self._started = False
        self._failed = False
        self._calls: dict[int, int] = {}  # how many, by candidate
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._searches: set[str] = set()
        self._held = Held()

    def decode(self, frame: ServerSentEvent) -> list[Event]:
        if not frame.data or self._failed:
            return []
        events: list[Event] = []
        for reply in decode_frames(frame.data):
            self._reply(reply, events)
        return events

    def finish(self) -> list[Event]:
        whole = self._finished and self._seen <= self._finished and not self._failed
        return [Ended()] if whole else []

    def _reply(self, reply: Reply, events: list[Event]) -> None:
        if reply.error is not None:
            self._failed = True
            events.append(Failed(embedded_error(reply.error)))
            return
        if not self._started:
            self._started = True
            self._id = reply.response_id or ""
            events.append(Started(self._id, reply.model_version or ""))
        failure = None
        for candidate in reply.candidates or ():
            failure = self._candidate(candidate, events) or failure
        if reply.blocks_prompt and not self._finished:
            self._finished.add(0)
            events.append(Finished(FinishReason.CONTENT_FILTER))
        if reply.usage_metadata is not None:
            events.append(UsageReported(decode_usage(reply.usage_metadata, self._searches)))
        if failure is not None:
            self._failed = True
            events.append(Failed(unusable(failure)))

    def _candidate(self, candidate: Candidate, events: list[Event]) -> str | None:
        """Its events; the finish reason, if that is a failure."""
        choice = candidate.index or 0
        if choice not in self._seen:
            self._held.part()
            self._seen.add(choice)
        for query in candidate.searches:
            if query not in self._searches:
                self._held.text(query)
                self._searches.add(query)
        if candidate.content is not None and candidate.content.parts:
            for part in candidate.content.parts:
                self._part(part, choice, events)
        if candidate.logprobs_result is not None:
            events.append(LogprobsDelta(decode_logprobs(candidate.logprobs_result), choice))
        if candidate.finish_reason in FAILED_FINISHES:
            return candidate.finish_reason
        reason = finish_reason(candidate.finish_reason, called=choice in self._calls)
        if reason is not None and choice not in self._finished:
            self._finished.add(choice)
            events.append(Finished(reason, choice=choice))
        return None

    def _part(self, part: Part, choice: int, events: list[Event]) -> None:
        if part.text is not None:
            if not part.thought:
                if part.text:
                    events.append(TextDelta(part.text, choice))
            elif part.text or part.thought_signature:
                events.append(ReasoningDelta(part.text, choice))
                if part.thought_signature:
                    events.append(ReasoningSigned(mark_as_gemini(part.thought_signature), choice=choice))
        call = part.function_call
        if call is not None and call.name:
            index = self._calls.get(choice, 0)
            self._calls[choice] = index + 1
            call_id = call.id or made_id(self._id, choice, index)
            events.append(ToolCallStarted(index, call_id, call.name, part.thought_signature, choice))
            events.append(ToolArgumentsDelta(index, call_arguments(call), choice))


class _Call:
    """A call whose arguments are still being written."""

    __slots__ = ("_fragments", "_started", "may_be_whole")

    def __init__(self, started: ToolCallStarted) -> None:
        self._started = started
        self._fragments: list[str] = []
        self.may_be_whole = False

    def grow(self, fragment: str) -> None:
        self._fragments.append(fragment)
        if written := fragment.rstrip():
            self.may_be_whole = written.endswith("}")

    def part(self) -> ToolCallPart:
        started = self._started
        return ToolCallPart(started.id, started.name, "".join(self._fragments), started.signature)


_A_TEXT, _A_TOKEN = "a text of our own 5a10", b'"a text of our own 5a10"'


class GeminiEncoder:
    """Events in, frames out. Finish reasons and usage are held for the last frame, where the dialect has them.

    A function call is one part, so its arguments are collected: it is written once they are a whole object and something else
    follows, at the latest when its candidate finishes. `Failed` says nothing by itself: its error is written by `error`, which
    knows the request's id.

    Raises: UpstreamProtocolError for a call whose arguments are no JSON object, unless the length limit has cut them off.
    """

    def __init__(self, request_model: str) -> None:
        self._id = ""
        self._model = request_model
        self._calls: dict[int, dict[int, _Call]] = {}  # by candidate and index
        self._refused: set[int] = set()
        self._finishes: dict[int, str] = {}
        self._usage: Usage | None = None
        self._held = Held()
        self._over = False

    def error(self, error: PulseError, request_id: str) -> bytes:
        self._over = True
        return _data(error_body(error, request_id))

    def around_text(self) -> tuple[bytes, bytes] | None:
        """What stands before and after the text of a frame that adds to the first candidate's, until another event; None: such a text
        would end calls before it, or it cannot be told."""
        if self._over or 0 in self._calls:
            return None
        start, text, end = self._say(0, {"text": _A_TEXT}).partition(_A_TOKEN)
        return None if not text or _A_TOKEN in end else (start, end)

    def encode(self, event: Event) -> bytes:
        if self._over:
            return b""
        if isinstance(event, TextDelta):
            return self._say(event.choice, {"text": event.text})
        if isinstance(event, ReasoningDelta):
            return self._say(event.choice, encode_thinking(event.reasoning)) if event.reasoning else b""
        if isinstance(event, ReasoningSigned):
            return self._say(event.choice, encode_thinking("", event.signature, event.redacted))
        if isinstance(event, RefusalDelta):
            self._refused.add(event.choice)
            return self._say(event.choice, {"text": event.refusal})
        if isinstance(event, ToolCallStarted):
            frame = self._say(event.choice)
            self._calls.setdefault(event.choice, {})[event.index] = _Call(event)
            return frame
        if isinstance(event, ToolArgumentsDelta):
            self._grow(event)
        elif isinstance(event, LogprobsDelta):
            return self._frame([_candidate(event.choice, logprobsResult=encode_logprobs(event.logprobs))])
        elif isinstance(event, Started):
            self._id, self._model = event.id, event.model or self._model
        elif isinstance(event, UsageReported):
            self._usage = event.usage
        elif isinstance(event, Finished):
            return self._finish(event)
        elif isinstance(event, Ended):
            self._over = True
            last = [_candidate(choice, finishReason=name) for choice, name in sorted(self._finishes.items())]
            return self._frame(last, self._usage)
        return b""

    def _say(self, choice: int, *parts: dict[str, Any]) -> bytes:
        """A frame with `parts`, after the calls before them that are whole."""
        if choice in self._calls:
            parts = (*self._whole_calls(self._calls[choice]), *parts)
        return self._frame([_candidate(choice, *parts)]) if parts else b""

    def _grow(self, event: ToolArgumentsDelta) -> None:
        call = self._calls.get(event.choice, {}).get(event.index)
        if call is not None:
            self._held.text(event.fragment)
            call.grow(event.fragment)
        elif event.fragment.strip():
            raise UpstreamProtocolError("the provider's answer adds to the arguments of a call that is over")

    def _whole_calls(self, calls: dict[int, _Call]) -> list[dict[str, Any]]:
        """Taken off the front, up to the first that still grows, so that calls keep their order."""
        parts: list[dict[str, Any]] = []
        for index, call in [*calls.items()]:
            part = call.part() if call.may_be_whole else None
            if part is None or is_unfinished(part):
                break
            parts.append(encode_call(part))
            del calls[index]
        return parts

    def _finish(self, event: Finished) -> bytes:
        """Write the last calls. One that the length limit cut short is left out: the finish reason tells of it."""
        choice, reason = event.choice, event.reason
        self._finishes[choice] = finish_name(reason, refused=choice in self._refused)
        calls = [call.part() for call in self._calls.pop(choice, {}).values()]
        if reason is FinishReason.LENGTH:
            calls = [call for call in calls if not is_unfinished(call)]
        return self._frame([_candidate(choice, *map(encode_call, calls))]) if calls else b""

    def _frame(self, candidates: list[dict[str, Any]], usage: Usage | None = None) -> bytes:
        body: dict[str, Any] = {"candidates": candidates}
        if usage is not None:
            body["usageMetadata"] = encode_usage(usage)
        body["modelVersion"] = self._model
        body["responseId"] = self._id
        return _data(body)


def _candidate(choice: int, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The SDK's chats take a frame without a part for a spoiled answer: an empty text says nothing instead."""
    return {"content": {"parts": parts or _NOTHING_SAID, "role": "model"}, **more, "index": choice}


def _data(body: dict[str, Any]) -> bytes:
    return b"data: %b\r\n\r\n" % msgspec.json.encode(body)
