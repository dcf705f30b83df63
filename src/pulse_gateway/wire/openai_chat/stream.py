"""A streamed Chat Completions answer ⇄ events.

Source: `openai/types/chat/chat_completion_chunk.py` of the `openai` SDK 3.54.0, read 2026-11-24. Compatible vendors
deviate: usage in the finish chunk or in `x_groq`, deltas after the finish reason, tool calls whole or without an index, no
`[DONE]`; Azure's first chunk has no choices (each vendor's API reference, read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec

from pulse_gateway.errors import PulseError, UpstreamProtocolError
from pulse_gateway.types.chat import ReasoningPart, TextPart, ToolCallPart
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
from pulse_gateway.wire.held import Held
from pulse_gateway.wire.openai_chat.errors import encode_error, upstream_error
from pulse_gateway.wire.openai_chat.reasoning_details import encode_proof
from pulse_gateway.wire.openai_chat.reply import (
    decode_finish_reason,
    decode_logprobs,
    encode_call,
    encode_finish,
    encode_logprobs,
    fragment_of,
    fragments,
    interruption,
    thought_signature,
)
from pulse_gateway.wire.openai_chat.schema import Answer, ChoiceRecord, Completion, ToolCallRecord, decode_completion
from pulse_gateway.wire.openai_chat.usage import decode_usage, encode_usage
from pulse_gateway.wire.sse import ServerSentEvent
from pulse_gateway.wire.told_cost import told_nano_usd
from pulse_gateway.wire.tool_calls import made_id

__all__ = ["ChatStreamDecoder", "ChatStreamEncoder"]

_DONE = b"[DONE]"
# A frame that was looked at before it is decoded, and its chunk.
_NOTHING_AHEAD: tuple[bytes, Completion | None] = (b"", None)
_encode = msgspec.json.Encoder().encode


# ── decoding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Call:
    """One tool call under way. It starts once its name is known; what came before waits in `pieces`."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None
        self.signature: str | None = None
        self.started = False
        self.pieces: list[str] = []

    @property
    def whole(self) -> bool:
        """Whether the arguments so far are a complete JSON object."""
        if not self.pieces or not self.pieces[-1].rstrip().endswith("}"):
            return False
        try:
            msgspec.json.decode("".join(self.pieces))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True


class _Choice:
    """One choice under way. Fragments of calls find theirs by id, then by the vendor's index, then by being next."""

    def __init__(self, index: int, held: Held) -> None:
        held.part()
        self._held = held
        self.index = index
        self.calls: list[_Call] = []
        self.by_wire_index: dict[int, _Call] = {}
        self.by_id: dict[str, _Call] = {}
        self.finish: str | None = None
        self.told = False

    @property
    def whole(self) -> bool:
        """Has its finish reason. An empty one (xAI) counts beside calls that are complete."""
        return bool(self.finish) or (
            self.finish == "" and bool(self.calls) and all(call.whole for call in self.calls if call.pieces)
        )

    def call_for(self, record: ToolCallRecord, name: str | None) -> _Call:
        known = self.by_wire_index.get(record.index) if record.index is not None else None
        if record.id:
            if (same := self.by_id.get(record.id)) is not None:
                return same
            # A second id under one index is a second call, if it names its function; else a vendor that numbers fragments.
            if known is not None and (name is None or known.id is None):
                return known
            return self._new(record)
        last = known or (self.calls[-1] if self.calls and record.index is None else None)
        if last is None or (name is not None and last.started and (last.whole or last.name != name)):
            return self._new(record)
        return last

    def _new(self, record: ToolCallRecord) -> _Call:
        self._held.part()
        call = _Call(len(self.calls))
        self.calls.append(call)
        if record.index is not None:
            self.by_wire_index[record.index] = call
        return call


class ChatStreamDecoder:
    """Chunks in, events out. `Finished` and usage wait until nothing of their choice can follow.

    Usage: every report of the vendor is cumulative, so only the last one before the end is told.
    """

    def __init__(self) -> None:
        self._id = ""
        self._model = ""
        self._created: int | None = None
        self._started = False
        self._over = False
        self._choices: dict[int, _Choice] = {}
        self._usage: Usage | None = None
        self._cost: int | None = None
        self._held = Held()
        self._ahead = _NOTHING_AHEAD

    def decode(self, frame: ServerSentEvent) -> list[Event]:
        """Raises: UpstreamProtocolError when the frame's data is no JSON object of a chunk's shape."""
        data = frame.data
        if self._over:
            return []
        if not data.startswith(b"{"):
            data = data.strip()
            if not data:
                return []
            if data.startswith(_DONE):
                return self._end()
            if data.startswith(b"["):  # an error in a list of one: Gemini's compatible endpoint
                return self._fail(data)
        ahead, chunk = self._ahead
        if ahead is not data or chunk is None:
            chunk = decode_completion(data)
        self._ahead = _NOTHING_AHEAD
        if chunk.is_error or frame.event == "error":
            return self._fail(data)
        self._remember(chunk)
        events: list[Event] = []
        if chunk.choices:
            self._start(events)
            for record in chunk.choices:
                self._choice(record, events)
                if record.finish_reason and (failure := interruption(record.finish_reason)):
                    self._over = True
                    return [*events, Failed(failure)]
        elif self._choices and chunk.usage and all(choice.whole for choice in self._choices.values()):
            self._release(events)
        return events

    def plain_text(self, frame: ServerSentEvent) -> str | None:
        """What a chunk adds to the text of the first choice, where it does that and nothing else; None: `decode` it."""
        data = frame.data
        if frame.event or self._over or 0 not in self._choices or not data.startswith(b"{"):
            return None
        try:
            chunk = decode_completion(data)
        except UpstreamProtocolError:
            return None
        self._ahead = data, chunk
        choices = chunk.choices
        if choices is None or len(choices) != 1 or chunk.usage or chunk.x_groq:
            return None
        record = choices[0]
        delta = record.delta
        if (
            delta is None
            or record.index
            or record.finish_reason is not None
            or record.logprobs is not None
            or delta.tool_calls
            or delta.function_call
            or chunk.error
            or chunk.object == "error"
        ):
            return None
        return delta.plain_text

    def finish(self) -> list[Event]:
        """Ends a stream that lacks `[DONE]` but whose every choice is finished; else tells only usage that was held back."""
        events: list[Event] = []
        if self._over:
            return events
        if self._choices and all(choice.whole for choice in self._choices.values()):
            return self._end()
        self._over = True
        if self._usage is not None:
            events.append(UsageReported(self._usage, self._cost))
        return events

    def _fail(self, data: bytes) -> list[Event]:
        self._over = True
        return [Failed(upstream_error(200, (), data))]

    def _remember(self, chunk: Completion) -> None:
        """Azure's first chunk has an empty id and model, so the first that are not empty count."""
        if not self._id or not self._model or self._created is None:
            self._id = self._id or chunk.id or ""
            self._model = self._model or chunk.model or ""
            if self._created is None and chunk.created:
                self._created = int(chunk.created)
        reported = chunk.usage or (chunk.x_groq.usage if chunk.x_groq else None)
        if reported is not None:
            self._usage = decode_usage(reported) or self._usage
            self._cost = told_nano_usd(reported)

    def _start(self, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            events.append(Started(self._id, self._model, self._created))

    def _choice(self, record: ChoiceRecord, events: list[Event]) -> None:
        index = record.index or 0
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _Choice(index, self._held)
        if (delta := record.delta or record.message) is not None:
            if (text := delta.plain_text) is not None:  # as in most chunks
                if text:
                    events.append(TextDelta(text, index))
            else:
                self._say(delta, index, events)
            for fragment in delta.tool_calls or ():
                self._call(choice, fragment, events)
            if delta.function_call:  # the legacy form of a single call
                self._call(choice, ToolCallRecord(function=delta.function_call), events)
        if record.logprobs is not None and (logprobs := decode_logprobs(record.logprobs)):
            events.append(LogprobsDelta(logprobs, index))
        if record.finish_reason is not None:
            choice.finish = record.finish_reason or choice.finish or ""

    def _say(self, delta: Answer, index: int, events: list[Event]) -> None:
        for part in fragments(delta):
            if isinstance(part, TextPart):
                events.append(TextDelta(part.text, index))
            elif isinstance(part, ReasoningPart):
                if part.text:
                    events.append(ReasoningDelta(part.text, index))
                if part.signature:
                    events.append(ReasoningSigned(part.signature, choice=index))
            else:
                events.append(RefusalDelta(part.text, index))

    def _call(self, choice: _Choice, record: ToolCallRecord, events: list[Event]) -> None:
        function = record.function
        if function is None:
            return  # a custom tool's call: asked for in this dialect only, where bytes pass as they are
        name = function.name or None
        call = choice.call_for(record, name)
        if record.id and call.id is None:
            call.id = record.id
            choice.by_id[record.id] = call
        call.name = call.name or name
        call.signature = call.signature or thought_signature(record.extra_content)
        piece = fragment_of(function.arguments)
        if piece:
            self._held.text(piece)
            call.pieces.append(piece)
        if call.started:
            if piece:
                events.append(ToolArgumentsDelta(call.index, piece, choice.index))
        elif call.name is not None:
            self._start_call(choice, call, events)

    def _start_call(self, choice: _Choice, call: _Call, events: list[Event]) -> None:
        call.started = True
        call.id = call.id or made_id(self._id, choice.index, call.index)
        events.append(ToolCallStarted(call.index, call.id, call.name or "", call.signature, choice.index))
        if call.pieces:
            events.append(ToolArgumentsDelta(call.index, "".join(call.pieces), choice.index))

    def _release(self, events: list[Event]) -> None:
        for choice in self._choices.values():
            if choice.told:
                continue
            choice.told = True
            for call in choice.calls:
                if not call.started:
                    self._start_call(choice, call, events)
            reason = decode_finish_reason(choice.finish, called=bool(choice.calls))
            events.append(Finished(reason, choice=choice.index))
        if self._usage is not None:
            events.append(UsageReported(self._usage, self._cost))
            self._usage = None

    def _end(self) -> list[Event]:
        self._over = True
        events: list[Event] = []
        self._start(events)
        self._release(events)
        events.append(Ended())
        return events


# ── encoding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class ChatStreamEncoder:
    """Events in, chunks out, as OpenAI's own clients expect them; reasoning goes into extensions: its text into
    `reasoning_content`, its proofs into `reasoning_details`.

    `Failed` writes nothing: whoever reads the events answers it with `error`, which knows the request's id.
    """

    def __init__(self, request_model: str, *, include_usage: bool, now: Callable[[], float]) -> None:
        self._request_model = request_model
        self._include_usage = include_usage
        self._now = now
        self._head = b""
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._greeted: set[int] = set()
        # Around the text of a frame that adds to the first choice's, as nearly all do.
        self._text_start = b""
        self._text_end = b'},"logprobs":null,"finish_reason":null}]' + self._tail
        self._thinking: dict[int, list[str]] = {}  # by choice: the block that is being told
        self._held = Held()
        self._proofs: dict[int, int] = {}  # by choice: how many
        self._usage: Usage | None = None

    def encode(self, event: Event) -> bytes:
        if isinstance(event, TextDelta):
            if self._thinking:
                self._thinking.pop(event.choice, None)
            if event.choice or not self._text_start:
                return self._chunk(event.choice, {"content": event.text})
            return self._text_start + _encode(event.text) + self._text_end
        match event:
            case Started():
                return self._start(event) + self._greet(0)
            case ReasoningDelta():
                self._remember(event)
                return self._chunk(event.choice, {"reasoning_content": event.reasoning})
            case ReasoningSigned():
                return self._proof(event)
            case RefusalDelta():
                return self._chunk(event.choice, {"refusal": event.refusal})
            case ToolCallStarted():
                self._thinking.pop(event.choice, None)
                call = ToolCallPart(event.id, event.name, "", event.signature)
                return self._chunk(event.choice, {"tool_calls": [{"index": event.index, **encode_call(call)}]})
            case ToolArgumentsDelta():
                fragment = {"index": event.index, "function": {"arguments": event.fragment}}
                return self._chunk(event.choice, {"tool_calls": [fragment]})
            case LogprobsDelta():
                return self._chunk(event.choice, {}, logprobs=encode_logprobs(event.logprobs))
            case Finished():
                return self._chunk(event.choice, {}, **encode_finish(event.reason))
            case UsageReported():
                self._usage = event.usage
            case Ended():
                return self._usage_chunk() + b"data: [DONE]\n\n"
        return b""

    def around_text(self) -> tuple[bytes, bytes] | None:
        """What stands before and after the text of a frame that adds to the first choice's, until another event; None: that is not all
        that such a text would change."""
        return (self._text_start, self._text_end) if self._text_start and 0 not in self._thinking else None

    def error(self, error: PulseError, request_id: str) -> bytes:
        """Source: the SDK raises `APIError` for a frame with a top-level `error` (`openai/_streaming.py`, 3.54.0)."""
        return b"data: " + encode_error(error, request_id) + b"\n\n"

    def _remember(self, event: ReasoningDelta) -> None:
        """A proof may follow, and then stands beside the text that it proves."""
        self._held.text(event.reasoning)
        self._thinking.setdefault(event.choice, []).append(event.reasoning)

    def _proof(self, event: ReasoningSigned) -> bytes:
        text = "" if event.redacted is not None else "".join(self._thinking.pop(event.choice, ()))
        if not event.signature and event.redacted is None:
            return b""
        index = self._proofs.get(event.choice, 0)
        self._proofs[event.choice] = index + 1
        part = ReasoningPart(text, event.signature, event.redacted)
        return self._chunk(event.choice, {"reasoning_details": [encode_proof(part, index)]})

    def _start(self, event: Started) -> bytes:
        head = {
            "id": event.id or f"chatcmpl-{uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(self._now()) if event.created is None else event.created,
            "model": event.model or self._request_model,
        }
        self._head = b"data: " + _encode(head)[:-1] + b',"choices":['
        self._text_start = self._head + b'{"index":0,"delta":{"content":'
        return b""

    def _greet(self, choice: int) -> bytes:
        if choice in self._greeted:
            return b""
        self._greeted.add(choice)
        return self._frame(choice, {"role": "assistant", "content": ""})

    def _chunk(self, choice: int, delta: dict[str, Any], **members: Any) -> bytes:
        return self._greet(choice) + self._frame(choice, delta, **members)

    def _frame(self, choice: int, delta: dict[str, Any], **members: Any) -> bytes:
        told = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": None, **members}
        return b"%b%b]%b" % (self._head, _encode(told), self._tail)

    def _usage_chunk(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return b""
        return self._head + b'],"usage":' + _encode(encode_usage(self._usage)) + b"}\n\n"
