"""Neutral messages → Converse's `system` and `messages`.

A `cache_control` of Anthropic's becomes a cache point behind the block it stood on.

Source: botocore 1.44, shapes `Message`, `ContentBlock`, `SystemContentBlock`;
https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html (read 2026-11-24)
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence

from msgspec import Raw

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolResultPart,
)
from pulse_gateway.wire.bedrock_converse.cache_points import CachePoints
from pulse_gateway.wire.bedrock_converse.families import is_claude
from pulse_gateway.wire.bedrock_converse.media import DocumentNames, audio_block, document_block, image_block
from pulse_gateway.wire.bedrock_converse.tool_ids import escape
from pulse_gateway.wire.refusals import unsupported
from pulse_gateway.wire.signatures import anthropic_signature
from pulse_gateway.wire.tool_calls import arguments_object
from pulse_gateway.wire.turns import Block, Turn, Turns

__all__ = ["TOOL_NAME", "TurnWriter"]

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class TurnWriter(Turns):
    tool_name = TOOL_NAME

    def __init__(self, model: Model, dropped: dict[str, None], cache_points: CachePoints) -> None:
        super().__init__(model, dropped)
        self._cache_points = cache_points
        self._documents = DocumentNames()

    def write(self, messages: Sequence[Message]) -> tuple[list[Block], list[Block]]:
        system, written = super().write(messages)
        written[-1]["content"] += self._cache_points.at_the_end()
        return system, written

    def _check(self, turns: list[Turn]) -> None:
        if turns[0].role == "assistant":
            raise unsupported(self._model, turns[0].path, "takes no conversation that begins with an answer")
        super()._check(turns)
        if is_claude(self._model):
            self._refuse_white_end(turns[-1])

    def _marked(self, message: Message, blocks: list[Block]) -> list[Block]:
        """And the cache point behind it, if one was asked for."""
        return blocks + self._cache_points.behind_next_part(message.path, said=bool(blocks))

    def _said(self, text: str) -> Block:
        return {"text": text}

    def _user(self, message: Message) -> list[Block]:
        blocks = super()._user(message)
        if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
            raise unsupported(self._model, message.path, "takes a document only beside a text")
        return blocks

    def _content(self, part: Part, path: str) -> list[Block]:
        return [audio_block(part, self._model, path)] if isinstance(part, AudioPart) else super()._content(part, path)

    def _image(self, part: ImagePart, path: str) -> Block:
        return image_block(part, self._model, path)

    def _document(self, part: DocumentPart, path: str) -> Block:
        name = self._documents.name(part.title)
        if part.title is not None and part.title != name:
            self._dropped["messages.document_title"] = None
        return document_block(part, self._model, path, name)

    def _thought(self, part: ReasoningPart) -> Block | None:
        if part.redacted is not None:
            return {"reasoningContent": {"redactedContent": part.redacted}} if _is_base64(part.redacted) else None
        if part.signature is None or anthropic_signature(part.signature) is None:
            return None
        return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}

    def _called(self, call_id: str, name: str, arguments: Raw) -> Block:
        return {"toolUse": {"toolUseId": call_id, "name": name, "input": arguments}}

    def _escaped(self, call_id: str) -> str:
        return escape(call_id)

    def _result(self, part: ToolResultPart, call_id: str, path: str) -> Block:
        content: list[Block]
        match part.parts:
            case (TextPart(text),) if part.structured and (value := arguments_object(text)) is not None:
                content = [{"json": value}]
            case (TextPart(text),):
                content = [{"text": text}] if text else []
            case several:
                content = [block for item in several for block in self._content(item, path)]
        result: Block = {"toolUseId": call_id, "content": content}
        if part.is_error:
            result["status"] = "error"
        return {"toolResult": result}


def _is_base64(data: str) -> bool:
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return False
    return bool(data)
