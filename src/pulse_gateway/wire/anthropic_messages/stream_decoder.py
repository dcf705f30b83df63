"""A streamed Messages answer → events.

Every frame names its event twice, before its data and inside; either will do. Unknown events, blocks and deltas are passed
over, so are the blocks of server tools.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-24); anthropic 2.12.0, type
`RawMessageStreamEvent` and `lib/streaming/_messages.py` (read 2026-11-24)
"""

from __future__ import annotations

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.types.events import (
    Ended,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.anthropic_messages import schema
from pulse_gateway.wire.anthropic_messages.errors import upstream_error
from pulse_gateway.wire.anthropic_messages.reply import finish_reason, input_text
from pulse_gateway.wire.anthropic_messages.tool_ids import unescape
from pulse_gateway.wire.anthropic_messages.usage import WireUsage
from pulse_gateway.wire.held import Held
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["MessagesStreamDecoder"]


_UNKNOWN = Usage()


class _ToolCall:
    """An open tool call. `whole` is the input that came with its start; fragments, where there are any, replace it."""

    __slots__ = ("index", "whole")

    def __init__(self, index: int, whole: str) -> None:
        self.index, self.whole = index, whole


class _Thinking:
    """An open thinking block. Its signature proves the whole block, so it is told when the block ends."""

    __slots__ = ("signature",)

    def __init__(self, signature: str | None) -> None:
        self.signature = signature


class _Ignored:
    """An open block without a neutral form."""


class MessagesStreamDecoder:
    """One streamed answer. Usage is reported as soon as the input is counted, so that an abandoned stream knows its cost."""

    def __init__(self) -> None:
        self._open: dict[int, _ToolCall | _Thinking | _Ignored] = {}
        self._calls = 0
        self._held = Held()
        self._usage = WireUsage()
        self._finished = False
        self._over = False

    def decode(self, frame: ServerSentEvent) -> list[Event]:
        data = frame.data
        if not data or self._over:
            return []
        match frame.event or schema.parse_type(data):
            case "content_block_delta":
                return self._delta(data)
            case "content_block_start":
                return self._start(data)
            case "content_block_stop":
                return self._close(schema.parse_block_stop(data).index)
            case "message_start":
                message = schema.parse_message_start(data).message
                return [Started(message.id, message.model), *self._report(message.usage)]
            case "message_delta":
                return self._message_delta(data)
            case "message_stop":
                self._over = True
                return [*self._close_all(), Ended()]
            case "error":
                self._over = True
                return [Failed(upstream_error(200, (), data))]
        return []

    def plain_text(self, frame: ServerSentEvent) -> str | None:
        """What a frame adds to the text, where it does that and nothing else; None: `decode` it."""
        if self._over or frame.event != "content_block_delta":
            return None
        try:
            told = schema.parse_block_delta(frame.data)
        except UpstreamProtocolError:
            return None
        if (
            told is None
            or not isinstance(told.delta, schema.TextPiece)
            or isinstance(self._open.get(told.index), _Ignored)
        ):
            return None
        return told.delta.text

    def finish(self) -> list[Event]:
        """A stream that told why it stopped is whole, even if its last frame is missing."""
        if self._over or not self._finished:
            return []
        self._over = True
        return [Ended()]

    def _start(self, data: bytes) -> list[Event]:
        start = schema.parse_block_start(data)
        self._held.part()
        match schema.parse_block(start.content_block):
            case schema.TextBlock(text):
                return [TextDelta(text)] if text else []
            case schema.ThinkingBlock(thinking, signature):
                self._open[start.index] = _Thinking(signature)
                return [ReasoningDelta(thinking)] if thinking else []
            case schema.RedactedThinkingBlock(redacted):
                return [ReasoningSigned(redacted=redacted)]
            case schema.ToolUseBlock(call_id, name, value):
                call = _ToolCall(self._calls, input_text(value))
                self._open[start.index] = call
                self._calls += 1
                return [ToolCallStarted(call.index, unescape(call_id), name)]
        self._open[start.index] = _Ignored()
        return []

    def _delta(self, data: bytes) -> list[Event]:
        frame = schema.parse_block_delta(data)
        if frame is None:
            return []
        block, delta = self._open.get(frame.index), frame.delta
        if isinstance(block, _Ignored):
            return []
        if isinstance(delta, schema.TextPiece):
            return [TextDelta(delta.text)] if delta.text else []
        if isinstance(delta, schema.InputJsonDelta):
            if not delta.partial_json or not isinstance(block, _ToolCall):
                return []
            block.whole = ""
            return [ToolArgumentsDelta(block.index, delta.partial_json)]
        if isinstance(delta, schema.ThinkingPiece):
            return [ReasoningDelta(delta.thinking)] if delta.thinking else []
        if isinstance(delta, schema.SignatureDelta) and isinstance(block, _Thinking):
            block.signature = delta.signature
        return []

    def _close(self, index: int) -> list[Event]:
        match self._open.pop(index, None):
            case _ToolCall(index=call, whole=arguments) if arguments:
                return [ToolArgumentsDelta(call, arguments)]
            case _Thinking(signature=str() as signature) if signature:
                return [ReasoningSigned(signature)]
        return []

    def _close_all(self) -> list[Event]:
        return [event for index in list(self._open) for event in self._close(index)]

    def _message_delta(self, data: bytes) -> list[Event]:
        frame = schema.parse_message_delta(data)
        events: list[Event] = []
        if frame.delta is not None and frame.delta.stop_reason is not None and not self._finished:
            self._finished = True
            reason = finish_reason(frame.delta.stop_reason, called_tools=self._calls > 0)
            events = [*self._close_all(), Finished(reason, frame.delta.stop_sequence)]
        return events + self._report(frame.usage)

    def _report(self, usage: WireUsage | None) -> list[Event]:
        if usage is None:
            return []
        self._usage = self._usage.updated_by(usage)
        known = self._usage.usage()
        return [UsageReported(known)] if known != _UNKNOWN else []  # an empty object tells nothing
