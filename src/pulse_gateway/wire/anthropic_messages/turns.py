"""Neutral messages → the system prompt and the turns of a Messages request.

Source: https://platform.claude.com/docs/en/build-with-claude/working-with-messages and /tool-use (read 2026-11-24);
anthropic 2.12.0, types `MessageParam` and the block types (read 2026-11-24)
"""

from __future__ import annotations

import re

from msgspec import Raw

from pulse_gateway.types.chat import DocumentPart, ImagePart, ReasoningPart, TextPart, ToolResultPart
from pulse_gateway.wire.anthropic_messages.tool_ids import escape
from pulse_gateway.wire.media import media_type_of, utf8_of
from pulse_gateway.wire.refusals import unsupported
from pulse_gateway.wire.signatures import anthropic_signature
from pulse_gateway.wire.turns import Block, Turn, Turns

__all__ = ["TOOL_NAME", "TurnWriter"]

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
# Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use (read 2026-11-24)
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class TurnWriter(Turns):
    tool_name = TOOL_NAME

    def _check(self, turns: list[Turn]) -> None:
        super()._check(turns)
        self._refuse_white_end(turns[-1])

    def _said(self, text: str) -> Block:
        return {"type": "text", "text": text}

    def _thought(self, part: ReasoningPart) -> Block | None:
        if part.redacted is not None:
            return {"type": "redacted_thinking", "data": part.redacted}
        if part.signature is None or anthropic_signature(part.signature) is None:
            return None
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}

    def _called(self, call_id: str, name: str, arguments: Raw) -> Block:
        return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}

    def _escaped(self, call_id: str) -> str:
        return escape(call_id)

    def _result(self, part: ToolResultPart, call_id: str, path: str) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": call_id}
        match part.parts:
            case (TextPart(text),):
                content: str | list[Block] = text
            case several:
                content = [block for item in several for block in self._content(item, path)]
        if content:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return block

    def _image(self, part: ImagePart, path: str) -> Block:
        if part.url is not None:
            if not self._model.capabilities.image_urls:
                raise unsupported(self._model, path, "takes images by their bytes, not by URL")
            return {"type": "image", "source": self._url(part.url, path)}
        media_type = media_type_of(part.media_type)
        if media_type not in _IMAGES or part.data is None:
            raise unsupported(self._model, path, f"takes JPEG, PNG, GIF and WebP images, not {part.media_type}")
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": part.data}}

    def _url(self, url: str, path: str) -> Block:
        if not url.startswith("https://"):
            raise unsupported(self._model, path, "fetches only from https URLs")
        return {"type": "url", "url": url}

    def _document(self, part: DocumentPart, path: str) -> Block:
        block: Block = {"type": "document", "source": self._document_source(part, path)}
        if part.title is not None:
            block["title"] = part.title
        return block

    def _document_source(self, part: DocumentPart, path: str) -> Block:
        media_type = media_type_of(part.media_type)
        if part.text is not None:
            return _plain(part.text)
        if media_type in (None, "application/pdf") and part.url is not None:
            return self._url(part.url, path)
        if part.data is not None and media_type == "application/pdf":
            return {"type": "base64", "media_type": media_type, "data": part.data}
        if part.data is not None and media_type == "text/plain":
            return _plain(utf8_of(part.data, path))
        raise unsupported(self._model, path, f"takes PDF and plain text documents, not {part.media_type}")


def _plain(text: str) -> Block:
    return {"type": "text", "media_type": "text/plain", "data": text}
