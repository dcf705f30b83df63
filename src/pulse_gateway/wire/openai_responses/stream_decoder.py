"""A streamed Responses answer → events.

Every event says its type twice, before its data and inside; either will do. What hosted tools do on the way, and types that are
yet to be invented, are passed over. The ends of things repeat what their deltas have told, and are listened to only where there were
none: some servers send nothing else.

Source: `openai/types/responses/response_stream_event.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.types.chat import FinishReason, Logprob, Part, RefusalPart, TextPart, ToolCallPart
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
from pulse_gateway.wire.openai_chat.reply import fragment_of
from pulse_gateway.wire.openai_responses import schema
from pulse_gateway.wire.openai_responses.errors import failure
from pulse_gateway.wire.openai_responses.items import BETWEEN_PARAGRAPHS
from pulse_gateway.wire.openai_responses.output import call_of, decode_item, decode_logprobs, reasoning_of
from pulse_gateway.wire.openai_responses.reply import failure_of, finish_reason
from pulse_gateway.wire.openai_responses.usage import decode_usage
from pulse_gateway.wire.sse import ServerSentEvent
from pulse_gateway.wire.told_cost import told_nano_usd

__all__ = ["ResponsesStreamDecoder"]

_MOST_PARTS = 10_000  # far more than any answer has, and little to remember
_DONE = b"[DONE]"  # OpenAI sends none, some that copy it do


class _Call:
    __slots__ = ("index", "told")

    def __init__(self, index: int) -> None:
        self.index = index
        self.told = False  # something of its arguments


class _Reasoning:
    """The paragraph that is being told of a reasoning item: where it stands, and whether it is not the first."""

    __slots__ = ("paragraph",)

    def __init__(self) -> None:
        self.paragraph: tuple[str, int] | None = None


class ResponsesStreamDecoder:
    """One streamed answer. The terminal event has the reason and the usage, so nothing is whole without it."""

    def __init__(self) -> None:
        self._id = ""
        self._started = False
        self._over = False
        self._calls: dict[int, _Call] = {}  # by output index
        self._reasoning: dict[int, _Reasoning] = {}
        self._told: set[tuple[int, int]] = set()  # content parts of which something was told
        self._ended_items: set[int] = set()

    def decode(self, frame: ServerSentEvent) -> list[Event]:
        data = frame.data
        if not data or self._over or data.startswith(_DONE):
            return []
        read = _READERS.get(frame.event) or _READERS.get(schema.parse_type(data))
        return [] if read is None else read(self, data)

    def finish(self) -> list[Event]:
        return []

    # ── the response ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, data: bytes) -> list[Event]:
        return self._start(schema.parse_response_event(data))

    def _start(self, record: schema.ResponseRecord) -> list[Event]:
        if self._started:
            return []
        self._started = True
        self._id = record.id or ""
        created = None if record.created_at is None else int(record.created_at)
        return [Started(self._id, record.model or "", created)]

    def _end(self, data: bytes) -> list[Event]:
        record = schema.parse_response_event(data)
        self._over = True
        usage = decode_usage(record.usage)
        reported: list[Event] = [] if usage is None else [UsageReported(usage, told_nano_usd(record.usage))]
        if (error := failure_of(record)) is not None:
            return [*reported, Failed(error)]
        events = self._start(record)
        if not (self._told or self._calls or self._ended_items):
            for place, raw in enumerate(record.output or ()):
                self._whole_item(raw, place, events)
        reason = finish_reason(record, called=bool(self._calls))
        return [*events, Finished(reason or FinishReason.STOP), *reported, Ended()]

    def _fail(self, data: bytes) -> list[Event]:
        self._over = True
        record = schema.parse_error(data)
        return [
            Failed(failure(record.error or {"code": record.code, "message": record.message, "param": record.param}))
        ]

    # ── its items ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _item_added(self, data: bytes) -> list[Event]:
        event = schema.parse_item_event(data)
        if schema.parse_type(event.item) != "function_call":
            return []
        call = call_of(schema.parse_call(event.item), self._id, len(self._calls))
        return [] if event.output_index in self._calls else self._start_call(event.output_index, call)

    def _start_call(self, place: int, call: ToolCallPart) -> list[Event]:
        """Arguments that stand in an item from the start are told at its end, if nothing else tells them."""
        started = self._calls[place] = _Call(len(self._calls))
        self._bound(len(self._calls))
        return [ToolCallStarted(started.index, call.id, call.name, call.signature)]

    def _item_done(self, data: bytes) -> list[Event]:
        event = schema.parse_item_event(data)
        events: list[Event] = []
        self._whole_item(event.item, event.output_index, events)
        return events

    def _whole_item(self, raw: Any, place: int, events: list[Event]) -> None:
        """What an item that has ended says beyond what was told of it."""
        if place in self._ended_items:
            return
        self._bound(len(self._ended_items))
        match schema.parse_type(raw):
            case "function_call":
                self._ended_items.add(place)
                call = call_of(schema.parse_call(raw), self._id, len(self._calls))
                if place not in self._calls:
                    events += self._start_call(place, call)
                events += self._arguments(place, call.arguments)
            case "reasoning":
                self._ended_items.add(place)
                part = reasoning_of(schema.parse_reasoning(raw))
                if part is not None:
                    if part.text and place not in self._reasoning:
                        events.append(ReasoningDelta(part.text))
                    if part.signature is not None or part.redacted is not None:
                        events.append(ReasoningSigned(part.signature, part.redacted))
            case "message":
                self._ended_items.add(place)
                if all(item != place for item, _ in self._told):
                    parts: list[Part] = []
                    logprobs: list[Logprob] = []
                    decode_item(raw, parts, logprobs, self._id)
                    events += [event for part in parts if (event := _said(part)) is not None]
                    if logprobs:
                        events.append(LogprobsDelta(tuple(logprobs)))

    def _arguments(self, place: int, arguments: str) -> list[Event]:
        """All of them, if nothing of them was told."""
        call = self._calls[place]
        if call.told or not arguments:
            return []
        call.told = True
        return [ToolArgumentsDelta(call.index, arguments)]

    # ── what is in them ───────────────────────────────────────────────────────────────────────────────────────────────

    def _text_delta(self, data: bytes) -> list[Event]:
        event = schema.parse_delta(data)
        if (event.output_index, event.content_index) not in self._told:
            self._note(event.output_index, event.content_index)
        events: list[Event] = [TextDelta(event.delta)] if event.delta else []
        if event.logprobs:
            events.append(LogprobsDelta(decode_logprobs(event.logprobs)))
        return events

    def _text_done(self, data: bytes) -> list[Event]:
        event = schema.parse_done(data)
        if not self._is_news(event) or not event.text:
            return []
        logprobs = decode_logprobs(event.logprobs)
        return [TextDelta(event.text), *([LogprobsDelta(logprobs)] if logprobs else [])]

    def _refusal_delta(self, data: bytes) -> list[Event]:
        event = schema.parse_delta(data)
        self._note(event.output_index, event.content_index)
        return [RefusalDelta(event.delta)] if event.delta else []

    def _refusal_done(self, data: bytes) -> list[Event]:
        event = schema.parse_done(data)
        return [RefusalDelta(event.refusal)] if self._is_news(event) and event.refusal else []

    def _is_news(self, event: schema.DoneRecord) -> bool:
        """Whether nothing was told yet of the content part that ends."""
        if (event.output_index, event.content_index) in self._told:
            return False
        self._note(event.output_index, event.content_index)
        return True

    def _note(self, item: int, content: int) -> None:
        self._told.add((item, content))
        self._bound(len(self._told))

    def _bound(self, kept: int) -> None:
        if kept > _MOST_PARTS:
            raise UpstreamProtocolError(f"the provider's answer has more than {_MOST_PARTS} parts")

    def _arguments_delta(self, data: bytes) -> list[Event]:
        event = schema.parse_delta(data)
        call = self._calls.get(event.output_index)
        if call is None or not event.delta:
            return []
        call.told = True
        return [ToolArgumentsDelta(call.index, event.delta)]

    def _arguments_done(self, data: bytes) -> list[Event]:
        event = schema.parse_done(data)
        if event.output_index not in self._calls:
            return []
        return self._arguments(event.output_index, fragment_of(event.arguments))

    def _summary_delta(self, data: bytes) -> list[Event]:
        event = schema.parse_delta(data)
        return self._thought(event.delta, event.output_index, ("summary", event.summary_index))

    def _summary_done(self, data: bytes) -> list[Event]:
        event = schema.parse_done(data)
        return self._thought(event.text or "", event.output_index, ("summary", event.summary_index), whole=True)

    def _thinking_delta(self, data: bytes) -> list[Event]:
        event = schema.parse_delta(data)
        return self._thought(event.delta, event.output_index, ("content", event.content_index))

    def _thinking_done(self, data: bytes) -> list[Event]:
        event = schema.parse_done(data)
        return self._thought(event.text or "", event.output_index, ("content", event.content_index), whole=True)

    def _thought(self, text: str, place: int, paragraph: tuple[str, int], *, whole: bool = False) -> list[Event]:
        """Paragraphs are parted as they are in a whole answer. `whole`: the text repeats what deltas told, if there were any."""
        if not text:
            return []
        item = self._reasoning.get(place)
        if item is None:
            item = self._reasoning[place] = _Reasoning()
            self._bound(len(self._reasoning))
        if item.paragraph == paragraph:
            return [] if whole else [ReasoningDelta(text)]
        parted = text if item.paragraph is None else BETWEEN_PARAGRAPHS + text
        item.paragraph = paragraph
        return [ReasoningDelta(parted)]


def _said(part: Part) -> Event | None:
    if isinstance(part, TextPart):
        return TextDelta(part.text)
    return RefusalDelta(part.text) if isinstance(part, RefusalPart) else None


_READERS: dict[str, Callable[[ResponsesStreamDecoder, bytes], list[Event]]] = {
    "response.output_text.delta": ResponsesStreamDecoder._text_delta,
    "response.function_call_arguments.delta": ResponsesStreamDecoder._arguments_delta,
    "response.reasoning_summary_text.delta": ResponsesStreamDecoder._summary_delta,
    "response.reasoning_text.delta": ResponsesStreamDecoder._thinking_delta,
    "response.refusal.delta": ResponsesStreamDecoder._refusal_delta,
    "response.created": ResponsesStreamDecoder._begin,
    "response.queued": ResponsesStreamDecoder._begin,
    "response.in_progress": ResponsesStreamDecoder._begin,
    "response.output_item.added": ResponsesStreamDecoder._item_added,
    "response.output_item.done": ResponsesStreamDecoder._item_done,
    "response.output_text.done": ResponsesStreamDecoder._text_done,
    "response.refusal.done": ResponsesStreamDecoder._refusal_done,
    "response.function_call_arguments.done": ResponsesStreamDecoder._arguments_done,
    "response.reasoning_summary_text.done": ResponsesStreamDecoder._summary_done,
    "response.reasoning_text.done": ResponsesStreamDecoder._thinking_done,
    "response.completed": ResponsesStreamDecoder._end,
    "response.incomplete": ResponsesStreamDecoder._end,
    "response.failed": ResponsesStreamDecoder._end,
    "error": ResponsesStreamDecoder._fail,
}
