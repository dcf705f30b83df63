"""The shapes of Anthropic's answers, as far as this gateway looks at them. Fields and types it has not heard of pass.

Source: anthropic 2.12.0, types `Message`, `ContentBlock`, `RawMessageStreamEvent` (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pulse_gateway.wire.anthropic_messages.usage import WireUsage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol

__all__ = [
    "Block",
    "BlockDelta",
    "CitationsDelta",
    "InputJsonDelta",
    "RedactedThinkingBlock",
    "SignatureDelta",
    "TextBlock",
    "TextPiece",
    "ThinkingBlock",
    "ThinkingPiece",
    "ToolUseBlock",
    "WireMessage",
    "parse_block",
    "parse_block_delta",
    "parse_block_start",
    "parse_block_stop",
    "parse_message",
    "parse_message_delta",
    "parse_message_start",
    "parse_type",
]

# ── content blocks ────────────────────────────────────────────────────────────────────────────────────────────────────


class TextBlock(msgspec.Struct, tag="text"):
    text: str = ""


class ThinkingBlock(msgspec.Struct, tag="thinking"):
    thinking: str = ""
    signature: str | None = None


class RedactedThinkingBlock(msgspec.Struct, tag="redacted_thinking"):
    data: str = ""


class ToolUseBlock(msgspec.Struct, tag="tool_use"):
    id: str
    name: str
    input: Raw = Raw(b"{}")


Block = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock


class _Typed(msgspec.Struct):
    type: Any = None


_block: Callable[[bytes | Raw], Block] = msgspec.json.Decoder(Block).decode
_typed = msgspec.json.Decoder(_Typed).decode
_BLOCK_TYPES = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


def parse_type(data: bytes | Raw) -> str:
    """The `type` of an object; empty where it has none."""
    kind = from_provider(_typed, data).type
    return kind if isinstance(kind, str) else ""


def parse_block(data: Raw) -> Block | None:
    """None for a type that has no neutral form: server tools, and what is yet to be invented."""
    return from_provider(_block, data) if parse_type(data) in _BLOCK_TYPES else None


# ── a whole message ───────────────────────────────────────────────────────────────────────────────────────────────────


class WireMessage(msgspec.Struct):
    type: str = ""
    id: str = ""
    model: str = ""
    content: list[Raw] | UnsetType = UNSET
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: WireUsage | None = None


_message = msgspec.json.Decoder(WireMessage).decode


def parse_message(body: bytes) -> WireMessage:
    return from_provider(_message, body)


# ── the events of a stream ────────────────────────────────────────────────────────────────────────────────────────────


class MessageStart(msgspec.Struct):
    message: WireMessage


class BlockStart(msgspec.Struct):
    content_block: Raw
    index: int = 0


class BlockStop(msgspec.Struct):
    index: int = 0


class TextPiece(msgspec.Struct, tag="text_delta"):
    text: str


class ThinkingPiece(msgspec.Struct, tag="thinking_delta"):
    thinking: str


class InputJsonDelta(msgspec.Struct, tag="input_json_delta"):
    partial_json: str


class SignatureDelta(msgspec.Struct, tag="signature_delta"):
    signature: str


class CitationsDelta(msgspec.Struct, tag="citations_delta"):
    """Known so that it can be passed over at full speed."""


class BlockDelta(msgspec.Struct):
    delta: TextPiece | ThinkingPiece | InputJsonDelta | SignatureDelta | CitationsDelta
    index: int = 0


class _AnyDelta(msgspec.Struct):
    delta: _Typed


class Stop(msgspec.Struct):
    stop_reason: str | None = None
    stop_sequence: str | None = None


class MessageDelta(msgspec.Struct):
    delta: Stop | None = None
    usage: WireUsage | None = None


_message_start = msgspec.json.Decoder(MessageStart).decode
_message_delta = msgspec.json.Decoder(MessageDelta).decode
_block_start = msgspec.json.Decoder(BlockStart).decode
_block_stop = msgspec.json.Decoder(BlockStop).decode
_block_delta = msgspec.json.Decoder(BlockDelta).decode
_any_delta = msgspec.json.Decoder(_AnyDelta).decode
_DELTA_TYPES = frozenset({"text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta"})


def parse_message_start(data: bytes) -> MessageStart:
    return from_provider(_message_start, data)


def parse_message_delta(data: bytes) -> MessageDelta:
    return from_provider(_message_delta, data)


def parse_block_start(data: bytes) -> BlockStart:
    return from_provider(_block_start, data)


def parse_block_stop(data: bytes) -> BlockStop:
    return from_provider(_block_stop, data)


def parse_block_delta(data: bytes) -> BlockDelta | None:
    """None for a type of delta that is yet to be invented. Most frames of a stream come through here: one decode each."""
    try:
        return _block_delta(data)
    except (ValueError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError):
            kind = from_provider(_any_delta, data).delta.type
            if not isinstance(kind, str) or kind not in _DELTA_TYPES:
                return None
        raise not_of_protocol(error) from error
