"""The answers of this dialect, as far as they mean something here. Unknown members and blocks are passed over.

Source: botocore 1.44, shapes `ConverseResponse` and `ConverseStreamOutput` of `bedrock-runtime`
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from pulse_gateway.wire.bedrock_converse.usage import TokenUsage

__all__ = [
    "BlockDelta", "BlockEvent", "BlockStart", "ContentBlock", "ConverseReply", "MessageStop", "Metadata", "ReasoningBlock",
    "ToolUse", "decode_block_event", "decode_converse", "decode_message_stop", "decode_metadata",
]  # fmt: skip


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Members are spelled in camel case."""


class ReasoningText(_Wire, frozen=True):
    text: str = ""
    signature: str | None = None


class ReasoningBlock(_Wire, frozen=True):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None  # base64


class ToolUse(_Wire, frozen=True):
    """`type` is set on calls that the vendor runs itself."""

    tool_use_id: str = ""
    name: str = ""
    input: Raw = Raw()
    type: str | None = None


class _CitedText(_Wire, frozen=True):
    text: str | None = None


class _CitationsContent(_Wire, frozen=True):
    content: list[_CitedText] | None = None

    @property
    def text(self) -> str:
        return "".join(piece.text or "" for piece in self.content or ())


class ContentBlock(_Wire, frozen=True):
    """One member of the union is set."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: ReasoningBlock | None = None
    citations_content: _CitationsContent | None = None
    image: Any = None
    audio: Any = None
    video: Any = None


class _Message(_Wire, frozen=True):
    content: list[ContentBlock] | None = None


class _Output(_Wire, frozen=True):
    message: _Message | None = None


class ConverseReply(_Wire, frozen=True):
    output: _Output | None = None
    stop_reason: str | None = None
    usage: TokenUsage | None = None
    additional_model_response_fields: Any = None


class BlockStart(_Wire, frozen=True):
    tool_use: ToolUse | None = None
    image: Any = None


class _ReasoningDelta(_Wire, frozen=True):
    text: str | None = None
    redacted_content: str | None = None
    signature: str | None = None


class _ToolUseDelta(_Wire, frozen=True):
    input: str = ""


class BlockDelta(_Wire, frozen=True):
    text: str | None = None
    tool_use: _ToolUseDelta | None = None
    reasoning_content: _ReasoningDelta | None = None
    image: Any = None


class BlockEvent(_Wire, frozen=True):
    """`contentBlockStart`, `contentBlockDelta` and `contentBlockStop`."""

    content_block_index: int = 0
    start: BlockStart | None = None
    delta: BlockDelta | None = None


class MessageStop(_Wire, frozen=True):
    stop_reason: str | None = None
    additional_model_response_fields: Any = None


class Metadata(_Wire, frozen=True):
    usage: TokenUsage | None = None


decode_converse = msgspec.json.Decoder(ConverseReply).decode
decode_block_event = msgspec.json.Decoder(BlockEvent).decode
decode_message_stop = msgspec.json.Decoder(MessageStop).decode
decode_metadata = msgspec.json.Decoder(Metadata).decode
