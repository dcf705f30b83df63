"""Neutral messages → the system prompt and the turns of a Messages request.

Consecutive messages of one role are one turn, and tool results stand first in it, as the vendor demands. Empty texts are
left out, since the vendor refuses them.

Source: https://platform.claude.com/docs/en/build-with-claude/working-with-messages and /tool-use (read 2026-11-24);
anthropic 2.12.0, types `MessageParam` and the block types (read 2026-11-24)
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.anthropic_messages.arguments import arguments_object
from pulse_gateway.wire.anthropic_messages.refusals import unsupported
from pulse_gateway.wire.anthropic_messages.tool_ids import escape

__all__ = ["TurnWriter"]

_IMAGES = {name: name for name in ("image/jpeg", "image/png", "image/gif", "image/webp")} | {"image/jpg": "image/jpeg"}
_ROLES = {"user": "user", "tool": "user", "assistant": "assistant", "system": "system"}


class _Turn:
    __slots__ = ("blocks", "path", "results", "role")

    def __init__(self, role: str, path: str) -> None:
        self.role, self.path = role, path
        self.results: list[dict[str, Any]] = []
        self.blocks: list[dict[str, Any]] = []


class TurnWriter:
    """Writes one conversation for `model`. `dropped` gets the names of hints that have no place in it.

    Raises: UnsupportedParameter and InvalidRequest with the path of the message at fault.
    """

    def __init__(self, model: Model, dropped: dict[str, None]) -> None:
        self._model = model
        self._dropped = dropped

    def write(self, messages: Sequence[Message]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The `system` blocks and the `messages`."""
        leading = 0
        while leading < len(messages) and messages[leading].role == "system":
            leading += 1
        system = [block for message in messages[:leading] for block in self._system(message)]
        turns = self._turns(messages[leading:])
        if not turns:
            raise unsupported(self._model, "messages", "needs a message besides the system prompt")
        if turns[-1].role == "assistant" and not self._model.capabilities.prefill:
            raise unsupported(
                self._model, turns[-1].path, "does not continue an assistant turn: the last must be a user's"
            )
        return system, [{"role": turn.role, "content": turn.results + turn.blocks} for turn in turns]

    def _turns(self, messages: Sequence[Message]) -> list[_Turn]:
        turns: list[_Turn] = []
        for message in messages:
            role = _ROLES[message.role]
            if not turns or turns[-1].role != role:
                turns.append(_Turn(role, message.path))
            turn = turns[-1]
            if message.name is not None:
                self._dropped["name"] = None
            match message.role:
                case "system":
                    if not self._model.capabilities.system_mid_conversation:
                        raise unsupported(self._model, message.path, "takes system messages only before all others")
                    turn.blocks += self._system(message)
                case "tool":
                    turn.results += [self._result(part, message.path) for part in message.parts]
                case "user":
                    turn.blocks += self._user_blocks(message.parts, message.path)
                case "assistant":
                    turn.blocks += [block for part in message.parts if (block := self._assistant(part, message.path))]
        for turn in turns:
            if not (turn.results or turn.blocks):
                raise unsupported(self._model, turn.path, "takes no empty turn")
        return turns

    def _system(self, message: Message) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in message.parts:
            if not isinstance(part, TextPart):
                raise unsupported(self._model, message.path, "takes only text in a system message")
            if part.text:
                blocks.append(_text(part.text))
        return blocks

    def _user_blocks(self, parts: Sequence[Part], path: str) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case TextPart(text):
                    if text:
                        blocks.append(_text(text))
                case ImagePart():
                    blocks.append(self._image(part, path))
                case DocumentPart():
                    blocks.append(self._document(part, path))
                case _:
                    raise unsupported(self._model, path, f"takes no {_kind(part)} in a user turn")
        return blocks

    def _assistant(self, part: Part, path: str) -> dict[str, Any] | None:
        match part:
            case TextPart(text) | RefusalPart(text):
                return _text(text) if text else None
            case ToolCallPart():
                return self._call(part, path)
            case ReasoningPart(redacted=str() as data):
                return {"type": "redacted_thinking", "data": data}
            case ReasoningPart(text, str() as signature):
                return {"type": "thinking", "thinking": text, "signature": signature}
            case ReasoningPart():  # the vendor takes back only the thinking it has signed
                self._dropped["reasoning"] = None
                return None
            case _:
                raise unsupported(self._model, path, f"takes no {_kind(part)} in an assistant turn")

    def _call(self, part: ToolCallPart, path: str) -> dict[str, Any]:
        if part.signature is not None:
            self._dropped["thought_signature"] = None
        try:
            arguments = arguments_object(part.arguments)
        except ValueError as error:
            raise InvalidRequest("the arguments of a tool call are not a JSON object", param=path or None) from error
        return {"type": "tool_use", "id": escape(part.id), "name": part.name, "input": arguments}

    def _result(self, part: Part, path: str) -> dict[str, Any]:
        if not isinstance(part, ToolResultPart):
            raise unsupported(self._model, path, f"takes no {_kind(part)} in place of a tool result")
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": escape(part.call_id)}
        content = self._user_blocks(part.parts, path)
        if content:
            block["content"] = content[0]["text"] if len(content) == 1 and "text" in content[0] else content
        if part.is_error:
            block["is_error"] = True
        return block

    def _image(self, part: ImagePart, path: str) -> dict[str, Any]:
        if part.detail not in (None, "auto"):
            self._dropped["detail"] = None
        if part.url is not None:
            if not (part.url.startswith(("https://", "http://")) and self._model.capabilities.image_urls):
                raise unsupported(self._model, path, "does not fetch images from that kind of URL")
            return {"type": "image", "source": {"type": "url", "url": part.url}}
        media_type = _IMAGES.get(part.media_type or "")
        if media_type is None or part.data is None:
            raise unsupported(self._model, path, f"takes JPEG, PNG, GIF and WebP images, not {part.media_type}")
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": part.data}}

    def _document(self, part: DocumentPart, path: str) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "document", "source": self._document_source(part, path)}
        if part.title is not None:
            block["title"] = part.title
        return block

    def _document_source(self, part: DocumentPart, path: str) -> dict[str, Any]:
        if part.text is not None:
            return _plain(part.text)
        if part.media_type in (None, "application/pdf") and part.url is not None:
            return {"type": "url", "url": part.url}
        if part.data is not None and part.media_type == "application/pdf":
            return {"type": "base64", "media_type": "application/pdf", "data": part.data}
        if part.data is not None and part.media_type == "text/plain":
            try:
                return _plain(b64decode(part.data).decode())
            except ValueError as error:
                raise InvalidRequest("the document is not base64 of UTF-8 text", param=path or None) from error
        raise unsupported(self._model, path, f"takes PDF and plain text documents, not {part.media_type}")


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _kind(part: Part) -> str:
    return str(type(part).__struct_config__.tag).replace("_", " ")
