"""Events → a streamed Messages answer.

In this dialect one block is open at a time and none is ever opened again, while other vendors interleave the fragments of
parallel tool calls. Blocks are therefore numbered in the order of their first event, and one that must wait for its turn
holds its frames back. A block of text or thinking ends as soon as another one begins, a tool call once its arguments are a
whole JSON object: calls that come one after the other, as they nearly always do, are never held back.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-24); anthropic 2.12.0,
`_streaming.py` and `lib/streaming/_messages.py` (read 2026-11-24)
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

import msgspec

from pulse_gateway.errors import PulseError, UpstreamProtocolError
from pulse_gateway.types.chat import FinishReason
from pulse_gateway.types.events import (
    Ended,
    Event,
    Finished,
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
from pulse_gateway.wire.anthropic_messages.errors import encode_error
from pulse_gateway.wire.anthropic_messages.reply import stop_reason
from pulse_gateway.wire.anthropic_messages.tool_ids import escape
from pulse_gateway.wire.anthropic_messages.usage import encode_usage
from pulse_gateway.wire.held import Held
from pulse_gateway.wire.signatures import mark_as_call
from pulse_gateway.wire.sse import encode_event
from pulse_gateway.wire.tool_calls import arguments_object, unusable_call

__all__ = ["MessagesStreamEncoder"]

_Kind = Literal["text", "thinking", "redacted_thinking", "tool_use"]

_encode = msgspec.json.Encoder().encode
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
_TEXT_START = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":'
)
_TEXT_END = b"}}\n\n"


class _Block:
    """A content block. `held` are its frames while it waits; `sealed` when nothing more may be added to it."""

    __slots__ = ("arguments", "held", "index", "kind", "name", "sealed")

    def __init__(self, index: int, kind: _Kind, name: str) -> None:
        self.index, self.kind, self.name = index, kind, name
        self.held: list[bytes] = []
        self.sealed = False
        self.arguments: list[str] = []

    @property
    def may_end(self) -> bool:
        if self.kind != "tool_use":
            return True
        return bool(self.arguments) and self.arguments[-1].rstrip().endswith("}") and self.is_usable

    @property
    def is_usable(self) -> bool:
        """Whether it is no call, or one whose arguments so far are an object."""
        return self.kind != "tool_use" or arguments_object("".join(self.arguments)) is not None


class MessagesStreamEncoder:
    """One streamed answer. `message_delta`, with the reason and the final usage, waits for `Ended`, since usage may come last.

    Raises: UpstreamProtocolError for a call whose arguments are no JSON object, unless the length limit has cut them off.

    `Failed` says nothing by itself: its error is written by `error`, which knows the request's id.
    """

    def __init__(self, request_model: str) -> None:
        self._request_model = request_model
        self._started = False
        self._made = 0
        self._held = Held()
        self._current: _Block | None = None
        self._waiting: deque[_Block] = deque()
        self._calls: dict[int, _Block] = {}
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._refused = False

    def encode(self, event: Event) -> bytes:
        if getattr(event, "choice", 0):
            return b""  # there is one choice in this dialect
        # Nearly all events are one of these three, and `isinstance` tells them apart faster than a class pattern.
        if isinstance(event, TextDelta):
            if not event.text:
                return b""
            if (around := self.around_text()) is not None:
                return around[0] + _encode(event.text) + around[1]
            return self._add("text", {"type": "text_delta", "text": event.text})
        if isinstance(event, ToolArgumentsDelta):
            return self._add_arguments(event.index, event.fragment)
        if isinstance(event, ReasoningDelta):
            text = event.reasoning
            return self._add("thinking", {"type": "thinking_delta", "thinking": text}) if text else b""
        match event:
            case ToolCallStarted():
                return self._start_call(event)
            case ReasoningSigned(signature, redacted):
                return self._sign(signature, redacted)
            case RefusalDelta(refusal):
                self._refused = True
                return self._add("text", {"type": "text_delta", "text": refusal}) if refusal else b""
            case Started(message_id, model):
                return self._start(message_id, model)
            case UsageReported(usage):
                self._usage = usage
            case Finished():
                self._finished = event
                return self._end_blocks()
            case Ended():
                return self._end()
        return b""

    def around_text(self) -> tuple[bytes, bytes] | None:
        """What stands before and after the text of a frame that adds to the block that is open, until another event; None: a text would
        open one, or wait."""
        block = self._current
        if block is None or block.kind != "text" or block.sealed or self._waiting:
            return None
        return _TEXT_START % block.index, _TEXT_END

    def error(self, error: PulseError, request_id: str) -> bytes:
        return encode_event(encode_error(error, request_id), "error")

    # ── the message ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, message_id: str, model: str) -> bytes:
        if self._started:
            return b""
        self._started = True
        message: dict[str, Any] = {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model or self._request_model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": encode_usage(self._usage) | {"output_tokens": 0},
        }
        return _frame("message_start", message=message)

    def _end(self) -> bytes:
        reason = self._finished.reason if self._finished else None
        delta = {
            "stop_reason": stop_reason(reason, refused=self._refused),
            "stop_sequence": self._finished.stop_sequence if self._finished else None,
        }
        return b"".join(
            (
                self._start("", ""),
                self._end_blocks(),
                _frame("message_delta", delta=delta, usage=encode_usage(self._usage)),
                _frame("message_stop"),
            )
        )

    # ── its blocks ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _add(self, kind: Literal["text", "thinking"], delta: dict[str, str]) -> bytes:
        """Write `delta` to the newest block if it takes more of `kind`, else to a new one."""
        block, opened = self._newest(kind)
        return opened + self._write(block, delta)

    def _newest(self, kind: Literal["text", "thinking"]) -> tuple[_Block, bytes]:
        newest = self._waiting[-1] if self._waiting else self._current
        if newest is not None and newest.kind == kind and not newest.sealed:
            return newest, b""
        return self._open(kind, _EMPTY[kind])

    def _sign(self, signature: str | None, redacted: str | None) -> bytes:
        if redacted is not None:
            block, written = self._open("redacted_thinking", {"data": redacted})
        elif signature is not None:
            block, opened = self._newest("thinking")
            written = opened + self._write(block, {"type": "signature_delta", "signature": signature})
        else:
            return b""
        block.sealed = True
        return written

    def _start_call(self, event: ToolCallStarted) -> bytes:
        """Gemini's signature of it ends the thinking before it: the dialect's calls have no place for one."""
        signed = self._sign(mark_as_call(event.signature), None) if event.signature else b""
        content = {"id": escape(event.id), "name": event.name, "input": {}}
        self._calls[event.index], opened = self._open("tool_use", content)
        return signed + opened

    def _add_arguments(self, index: int, fragment: str) -> bytes:
        block = self._calls.get(index)
        if block is None or block.sealed:
            if fragment.strip():
                raise UpstreamProtocolError("the provider's answer adds to the arguments of a call that is over")
            return b""
        if not fragment:
            return b""
        self._held.text(fragment)
        block.arguments.append(fragment)
        written = self._write(block, {"type": "input_json_delta", "partial_json": fragment})
        return written + self._advance() if self._waiting else written

    def _open(self, kind: _Kind, content: dict[str, Any]) -> tuple[_Block, bytes]:
        """A new block behind all others, and what can be sent now that it is there."""
        started = self._start("", "")
        self._held.part()
        block = _Block(self._made, kind, content.get("name", ""))
        self._made += 1
        block.held.append(_frame("content_block_start", index=block.index, content_block={"type": kind} | content))
        self._waiting.append(block)
        return block, started + self._advance()

    def _write(self, block: _Block, delta: dict[str, str]) -> bytes:
        frame = _DELTA % (block.index, _encode(delta))
        if block is self._current:
            return frame
        self._held.text(delta.get("text") or delta.get("thinking") or "")
        block.held.append(frame)
        return b""

    def _advance(self, *, force: bool = False) -> bytes:
        """Hand the turn on, as far as the blocks before allow it."""
        frames: list[bytes] = []
        while self._waiting and (self._current is None or force or self._current.may_end):
            frames.append(self._close())
            self._current = self._waiting.popleft()
            frames += self._current.held
        return b"".join(frames)

    def _close(self) -> bytes:
        block, self._current = self._current, None
        if block is None:
            return b""
        block.sealed = True
        cut_short = self._finished is not None and self._finished.reason is FinishReason.LENGTH
        if not (cut_short or block.is_usable):
            raise unusable_call(block.name)
        return _frame("content_block_stop", index=block.index)

    def _end_blocks(self) -> bytes:
        return self._advance(force=True) + self._close()


_EMPTY: dict[str, dict[str, Any]] = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}


def _frame(kind: str, **members: Any) -> bytes:
    return encode_event(_encode({"type": kind, **members}), kind)
