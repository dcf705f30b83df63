"""The shapes of Anthropic's answers, as far as this gateway looks at them. Fields and types it has not heard of pass.

Source: anthropic 2.12.0, types `Message`, `ContentBlock`, `RawMessageStreamEvent` (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.wire.anthropic_messages.usage import WireUsage

__all__ = [
    "BLOCK_START",
    "BLOCK_STOP",
    "MESSAGE",
    "MESSAGE_DELTA",
    "MESSAGE_START",
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
    "not_of_protocol",
    "parse",
    "parse_block",
    "parse_block_delta",
    "parse_type",
]

T = TypeVar("T")


def not_of_protocol(reason: object) -> UpstreamProtocolError:
    return UpstreamProtocolError(f"the provider's answer is not of its protocol: {reason}")


def parse(decoder: msgspec.json.Decoder[T], data: bytes | Raw) -> T:
    """Raises: UpstreamProtocolError when `data` does not have the shape."""
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError) as error:  # msgspec's errors and invalid UTF-8 are ValueErrors
        raise not_of_protocol(error) from error


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


_BLOCK: msgspec.json.Decoder[Block] = msgspec.json.Decoder(Block)
_TYPED = msgspec.json.Decoder(_Typed)
_BLOCK_TYPES = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


def parse_type(data: bytes | Raw) -> str:
    """The `type` of an object; empty where it has none."""
    kind = parse(_TYPED, data).type
    return kind if isinstance(kind, str) else ""


def parse_block(data: Raw) -> Block | None:
    """None for a type that has no neutral form: server tools, and what is yet to be invented."""
    return parse(_BLOCK, data) if parse_type(data) in _BLOCK_TYPES else None


# ── a whole message ───────────────────────────────────────────────────────────────────────────────────────────────────


class WireMessage(msgspec.Struct):
    type: str = ""
    id: str = ""
    model: str = ""
    content: list[Raw] | UnsetType = UNSET
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: WireUsage | None = None


MESSAGE = msgspec.json.Decoder(WireMessage)


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


MESSAGE_START = msgspec.json.Decoder(MessageStart)
MESSAGE_DELTA = msgspec.json.Decoder(MessageDelta)
BLOCK_START = msgspec.json.Decoder(BlockStart)
BLOCK_STOP = msgspec.json.Decoder(BlockStop)
_BLOCK_DELTA = msgspec.json.Decoder(BlockDelta)
_ANY_DELTA = msgspec.json.Decoder(_AnyDelta)
_DELTA_TYPES = frozenset({"text_delta", "thinking_delta", "input_json_delta", "signature_delta", "citations_delta"})


def parse_block_delta(data: bytes) -> BlockDelta | None:
    """None for a type of delta that is yet to be invented. Most frames of a stream come through here: one decode each."""
    try:
        return _BLOCK_DELTA.decode(data)
    except (ValueError, RecursionError) as error:
        if isinstance(error, msgspec.ValidationError) and parse(_ANY_DELTA, data).delta.type not in _DELTA_TYPES:
            return None
        raise not_of_protocol(error) from error
