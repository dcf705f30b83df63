"""A `ConverseStream` answer → events.

A block of text or thinking may begin with its first delta, without a start. `messageStop` tells why the answer ended, `metadata`
after it what it used, and is the last.

Source: botocore 1.44, shape `ConverseStreamOutput`;
https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html (read 2026-11-24)
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from pulse_gateway.types.chat import FinishReason
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
from pulse_gateway.wire.bedrock_converse.errors import stream_error
from pulse_gateway.wire.bedrock_converse.reply import (
    finish_reason,
    made_reply_id,
    media_in_the_answer,
    stop_sequence,
    unusable,
)
from pulse_gateway.wire.bedrock_converse.schema import (
    BlockDelta,
    BlockEvent,
    decode_block_event,
    decode_message_stop,
    decode_metadata,
)
from pulse_gateway.wire.bedrock_converse.tool_ids import unescape
from pulse_gateway.wire.eventstream import FAILURE
from pulse_gateway.wire.foreign_json import from_provider
from pulse_gateway.wire.held import Held
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["ConverseStreamDecoder"]

_SERVER_TOOL = -1  # in place of a call's number: the vendor runs it itself


class ConverseStreamDecoder:
    """One streamed answer. A signature proves a whole block of thinking, so it is told when the block ends."""

    def __init__(self) -> None:
        self._started = False
        self._calls: dict[int, int] = {}  # block → number of the call
        self._called = 0
        self._unsaid: set[int] = set()  # calls without arguments so far
        self._signatures: dict[int, str] = {}
        self._redacted: dict[int, bytes] = {}
        self._held = Held()
        self._finished = self._over = False

    def decode(self, frame: ServerSentEvent) -> list[Event]:
        if self._over:
            return []
        match frame.event:
            case "contentBlockDelta":
                block = from_provider(decode_block_event, frame.data)
                return self._begin() + self._delta(block.content_block_index, block.delta)
            case "contentBlockStart":
                return self._begin() + self._start(from_provider(decode_block_event, frame.data))
            case "contentBlockStop":
                return self._close(from_provider(decode_block_event, frame.data).content_block_index)
            case "messageStart":
                return self._begin()
            case "messageStop":
                return self._begin() + self._stop(frame.data)
            case "metadata":
                return self._metadata(frame.data)
            case name if name.startswith(FAILURE):
                self._over = True
                return [Failed(stream_error(name[len(FAILURE) :], frame.data))]
        return []

    def finish(self) -> list[Event]:
        """A stream that told why it stopped is whole, even if its last frame is missing."""
        if self._over or not self._finished:
            return []
        self._over = True
        return [Ended()]

    def _begin(self) -> list[Event]:
        if self._started:
            return []
        self._started = True
        return [Started(made_reply_id(), "")]

    def _start(self, block: BlockEvent) -> list[Event]:
        start, index = block.start, block.content_block_index
        if start is None:
            return []
        if start.image is not None:
            raise media_in_the_answer()
        call = start.tool_use
        if call is None:
            return []
        self._held.part()
        if call.type is not None:
            self._calls[index] = _SERVER_TOOL
            return []
        number = self._calls[index] = self._called
        self._called += 1
        self._unsaid.add(number)
        return [ToolCallStarted(number, unescape(call.tool_use_id), call.name)]

    def _delta(self, index: int, delta: BlockDelta | None) -> list[Event]:
        if delta is None:
            return []
        if delta.text is not None:
            return [TextDelta(delta.text)] if delta.text else []
        if delta.tool_use is not None:
            number = self._calls.get(index, _SERVER_TOOL)
            if number == _SERVER_TOOL or not delta.tool_use.input:
                return []
            self._unsaid.discard(number)
            return [ToolArgumentsDelta(number, delta.tool_use.input)]
        if delta.image is not None:
            raise media_in_the_answer()
        thought = delta.reasoning_content
        if thought is None:
            return []
        if thought.signature:
            self._held.text(thought.signature)
            self._signatures[index] = self._signatures.get(index, "") + thought.signature
        if thought.redacted_content:
            self._held.text(thought.redacted_content)
            self._redacted[index] = self._redacted.get(index, b"") + from_provider(
                b64decode, thought.redacted_content.encode()
            )
        return [ReasoningDelta(thought.text)] if thought.text else []

    def _close(self, index: int) -> list[Event]:
        number = self._calls.pop(index, None)
        if number is not None and number in self._unsaid:
            self._unsaid.discard(number)
            return [ToolArgumentsDelta(number, "{}")]
        redacted = self._redacted.pop(index, None)
        if redacted is not None:
            return [ReasoningSigned(redacted=b64encode(redacted).decode())]
        signature = self._signatures.pop(index, None)
        return [ReasoningSigned(signature)] if signature is not None else []

    def _stop(self, data: bytes) -> list[Event]:
        if self._finished:
            return []
        stop = from_provider(decode_message_stop, data)
        reason = stop.stop_reason or ""
        if failure := unusable(reason):
            self._over = True
            return [Failed(failure)]
        self._finished = True
        open_blocks = sorted({*self._calls, *self._redacted, *self._signatures})
        events = [event for index in open_blocks for event in self._close(index)]
        finish = finish_reason(reason, called_tools=self._called > 0)
        ended_by = stop_sequence(stop.additional_model_response_fields)
        return [*events, Finished(finish, ended_by if finish is FinishReason.STOP_SEQUENCE else None)]

    def _metadata(self, data: bytes) -> list[Event]:
        usage = from_provider(decode_metadata, data).usage
        events: list[Event] = [] if usage is None else [UsageReported(usage.usage())]
        if self._finished:
            self._over = True
            events.append(Ended())
        return events
