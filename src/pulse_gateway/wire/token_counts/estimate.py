"""The tokens of a chat's prompt as they are counted here, for models whose vendor does not count them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.token_estimate import estimate_output_tokens, estimate_prompt_tokens

__all__ = ["estimate_count"]

_TOKENS_PER_MESSAGE = 4  # what marks its beginning, its end and its role


def estimate_count(request: ChatRequest) -> int:
    """Texts, tools and schemas as byte-pair vocabularies would split them; an attachment as an image of one megapixel."""
    texts: list[str] = []
    attachments = 0
    for message in request.messages:
        for part in message.parts:
            for piece in part.parts if isinstance(part, ToolResultPart) else (part,):
                texts += _said(piece)
                attachments += isinstance(piece, ImagePart | AudioPart | DocumentPart)
    for tool in request.tools:
        texts += [tool.name, tool.description or "", _json(tool.parameters)]
    if request.response_format is not None:
        texts.append(_json(request.response_format.schema))
    return (
        estimate_output_tokens("\n".join(texts))
        + estimate_prompt_tokens((), attachments)
        + _TOKENS_PER_MESSAGE * len(request.messages)
    )


def _said(part: Part) -> Iterator[str]:
    match part:
        case TextPart() | ReasoningPart() | RefusalPart():
            yield part.text
        case ToolCallPart():
            yield part.name
            yield part.arguments
        case DocumentPart():
            yield part.text or ""


def _json(schema: object) -> str:
    return msgspec.json.encode(schema).decode() if schema else ""
