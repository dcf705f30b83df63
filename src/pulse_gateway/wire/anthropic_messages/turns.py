"""Neutral messages → the system prompt and the turns of a Messages request.

Consecutive messages of one role are one turn, and tool results stand first in it, as the vendor demands. Texts of white space
alone are left out, since the vendor refuses them.

Source: https://platform.claude.com/docs/en/build-with-claude/working-with-messages and /tool-use (read 2026-11-24);
anthropic 2.12.0, types `MessageParam` and the block types (read 2026-11-24)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

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
from pulse_gateway.wire.anthropic_messages.tool_ids import escape
from pulse_gateway.wire.media import media_type_of, utf8_of
from pulse_gateway.wire.refusals import leave_out, unsupported
from pulse_gateway.wire.signatures import anthropic_signature
from pulse_gateway.wire.tool_calls import arguments_object, not_an_object

__all__ = ["TOOL_NAME", "TurnWriter"]

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_ROLES = {"user": "user", "tool": "user", "assistant": "assistant", "system": "system"}
# Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use (read 2026-11-24)
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


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
        self._uses: dict[str, int] = {}  # of each call's id so far

    def write(self, messages: Sequence[Message]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The `system` blocks and the `messages`."""
        if any(message.name is not None for message in messages):
            self._dropped["messages.name"] = None
        leading = 0
        while leading < len(messages) and messages[leading].role == "system":
            leading += 1
        system = [block for message in messages[:leading] for block in self._system(message)]
        turns = self._turns(messages[leading:])
        if not turns:
            raise unsupported(self._model, "messages", "needs a message besides the system prompt")
        self._check_prefill(turns[-1])
        return system, [{"role": turn.role, "content": turn.results + turn.blocks} for turn in turns]

    def _check_prefill(self, last: _Turn) -> None:
        if last.role != "assistant":
            return
        if not self._model.capabilities.prefill:
            raise unsupported(
                self._model, last.path, "does not go on with a started answer: the last turn must be a user's"
            )
        text = str(last.blocks[-1].get("text", ""))
        if text != text.rstrip():
            raise unsupported(self._model, last.path, "does not go on with an answer that ends with white space")

    def _turns(self, messages: Sequence[Message]) -> list[_Turn]:
        turns: list[_Turn] = []
        for message in messages:
            role, path = _ROLES[message.role], message.path
            results: list[dict[str, Any]] = []
            blocks: list[dict[str, Any]] = []
            match message.role:
                case "system":
                    if not self._model.capabilities.system_mid_conversation:
                        raise unsupported(self._model, path, "takes system messages only before all others")
                    blocks = self._system(message)
                case "tool":
                    results = [self._result(part, path) for part in message.parts]
                case "user":
                    blocks = self._user_blocks(message.parts, path)
                case "assistant":
                    blocks = [block for part in message.parts if (block := self._assistant(part, path))]
            if not (results or blocks):
                leave_out(message, self._model, self._dropped, is_last=message is messages[-1])
                continue
            if not turns or turns[-1].role != role:
                turns.append(_Turn(role, path))
            turns[-1].results += results
            turns[-1].blocks += blocks
        return turns

    def _system(self, message: Message) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in message.parts:
            if not isinstance(part, TextPart):
                raise unsupported(self._model, message.path, "takes only text in a system message")
            blocks += self._text(part.text)
        return blocks

    def _text(self, text: str) -> list[dict[str, Any]]:
        """No block for a text of white space alone, which the vendor refuses."""
        if not text:
            return []
        if text.isspace():
            self._dropped["messages.blank_text"] = None
            return []
        return [{"type": "text", "text": text}]

    def _user_blocks(self, parts: Sequence[Part], path: str) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for part in parts:
            match part:
                case TextPart(text):
                    blocks += self._text(text)
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
                return next(iter(self._text(text)), None)
            case ToolCallPart():
                return self._call(part, path)
            case ReasoningPart(redacted=str() as data):
                return {"type": "redacted_thinking", "data": data}
            case ReasoningPart(text, str() as signature) if anthropic_signature(signature) is not None:
                return {"type": "thinking", "thinking": text, "signature": signature}
            case ReasoningPart():  # the vendor takes back only the thinking it has signed
                self._dropped["messages.reasoning"] = None
                return None
            case _:
                raise unsupported(self._model, path, f"takes no {_kind(part)} in an assistant turn")

    def _call(self, part: ToolCallPart, path: str) -> dict[str, Any]:
        if part.signature is not None:
            self._dropped["messages.thought_signature"] = None
        if not TOOL_NAME.fullmatch(part.name):
            raise unsupported(self._model, path, f"knows no tool called {part.name!r}")
        arguments = arguments_object(part.arguments)
        if arguments is None:
            raise not_an_object(part, path)
        self._uses[part.id] = self._uses.get(part.id, 0) + 1
        if part.signature is not None:
            self._dropped["messages.thought_signature"] = None
        return {"type": "tool_use", "id": self._id(part.id), "name": part.name, "input": arguments}

    def _id(self, call_id: str) -> str:
        """Some clients number the calls of each turn anew; here an id is unique in the conversation."""
        use = self._uses.get(call_id, 1)
        return escape(call_id if use == 1 else f"{call_id}\0{use}")

    def _result(self, part: Part, path: str) -> dict[str, Any]:
        if not isinstance(part, ToolResultPart):
            raise unsupported(self._model, path, f"takes no {_kind(part)} in place of a tool result")
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": self._id(part.call_id)}
        match part.parts:
            case (TextPart(text),):
                content: Any = text
            case several:
                content = self._user_blocks(several, path)
        if content:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return block

    def _image(self, part: ImagePart, path: str) -> dict[str, Any]:
        if part.detail not in (None, "auto"):
            self._dropped["messages.image_detail"] = None
        if part.url is not None:
            if not self._model.capabilities.image_urls:
                raise unsupported(self._model, path, "takes images by their bytes, not by URL")
            return {"type": "image", "source": self._url(part.url, path)}
        media_type = media_type_of(part.media_type)
        if media_type not in _IMAGES or part.data is None:
            raise unsupported(self._model, path, f"takes JPEG, PNG, GIF and WebP images, not {part.media_type}")
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": part.data}}

    def _url(self, url: str, path: str) -> dict[str, Any]:
        if not url.startswith("https://"):
            raise unsupported(self._model, path, "fetches only from https URLs")
        return {"type": "url", "url": url}

    def _document(self, part: DocumentPart, path: str) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "document", "source": self._document_source(part, path)}
        if part.title is not None:
            block["title"] = part.title
        return block

    def _document_source(self, part: DocumentPart, path: str) -> dict[str, Any]:
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


def _plain(text: str) -> dict[str, Any]:
    return {"type": "text", "media_type": "text/plain", "data": text}


def _kind(part: Part) -> str:
    return str(type(part).__struct_config__.tag).replace("_", " ")
