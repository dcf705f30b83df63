"""The turns of a Messages request → neutral messages.

Source: anthropic 2.12.0, types `MessageParam`, `ContentBlockParam` and what they hold (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Raw

from pulse_gateway.types.chat import (
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.anthropic_messages.envelope import ROLES
from pulse_gateway.wire.anthropic_messages.tool_ids import unescape
from pulse_gateway.wire.foreign_json import from_client
from pulse_gateway.wire.media import media_type_of, standard_base64
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.signatures import call_signature

__all__ = ["MessageReader"]


class _RawBlock(msgspec.Struct):
    type: str
    input: Raw = Raw()


class _RawMessage(msgspec.Struct):
    role: str
    content: str | list[_RawBlock]


class _RawRequest(msgspec.Struct):
    messages: list[_RawMessage]


_raw_request = msgspec.json.Decoder(_RawRequest).decode


class MessageReader:
    """Reads the turns of one request. What has no neutral form is left over in its members.

    `hints` gets, by their path, the citations of what was said: they are about it, and change nothing for another model.
    Raises: InvalidRequest, `param` naming the path of the bad field.
    """

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.hints: dict[str, Any] = {}
        self._calls: set[str] = set()
        self._signature: str | None = None  # of the call that comes next

    def system(self, request: Members) -> list[Message]:
        if request.peek("system") is None:
            return []
        parts = self._parts(request, "system", _SYSTEM_BLOCKS)
        return [Message("system", parts, path="system")] if parts else []

    def messages(self, request: Members) -> list[Message]:
        """A user turn that mixes tool results and other blocks becomes a `tool` message and then a `user` message."""
        turns = request.children("messages")
        if not turns:
            raise request.wrong("messages", "expected at least one message")
        messages: list[Message] = []
        for turn in turns:
            role = turn.need_text("role")
            if role not in _TURNS:
                raise turn.unknown("role", ROLES)
            neutral, readers = _TURNS[role]
            self._signature = None
            parts = self._parts(turn, "content", readers)
            results = tuple(part for part in parts if isinstance(part, ToolResultPart))
            others = tuple(part for part in parts if not isinstance(part, ToolResultPart))
            if results:
                messages.append(Message("tool", results, path=turn.path))
            if others or not results:
                messages.append(Message(neutral, others, path=turn.path))
        return messages

    def _parts(self, owner: Members, name: str, readers: Mapping[str, _BlockReader]) -> tuple[Part, ...]:
        """The parts of a string or of a list of blocks. A block of a type without a reader is left over whole."""
        content = owner.peek(name)
        if isinstance(content, str):
            return (TextPart(owner.need_text(name)),)
        if not isinstance(content, list):
            raise owner.wrong(name, "expected a string or a list of content blocks")
        parts: list[Part] = []
        for block in owner.children(name):
            reader = readers.get(block.need_text("type"))
            if reader is None:
                block.leave()
            elif (part := reader(self, block)) is not None:
                parts.append(part)
        return tuple(parts)

    def _text(self, block: Members) -> TextPart:
        if citations := block.take("citations"):
            self.hints[block.at("citations")] = citations
        return TextPart(block.need_text("text"))

    def _image(self, block: Members) -> Part | None:
        block.skip("transformations", {})
        source = block.need_child("source")
        match source.need_text("type"):
            case "base64":
                return ImagePart(media_type_of(source.need_text("media_type")), _data(source))
            case "url":
                return ImagePart(url=_url(source))
            case kind:
                _leave_unknown(source, kind)
                return None

    def _document(self, block: Members) -> Part | None:
        block.skip("citations", {"enabled": False})
        title = block.text("title")
        source = block.need_child("source")
        match source.need_text("type"):
            case "base64":
                media_type = media_type_of(source.need_text("media_type"))
                return DocumentPart(media_type=media_type, data=_data(source), title=title)
            case "text":
                media_type = media_type_of(source.need_text("media_type"))
                return DocumentPart(media_type=media_type, text=source.need_text("data"), title=title)
            case "url":
                return DocumentPart(url=_url(source), title=title)
            case "content" if (text := self._text_content(source)) is not None:
                return DocumentPart(media_type="text/plain", text=text, title=title)
            case kind:
                _leave_unknown(source, kind)
                return None

    def _text_content(self, source: Members) -> str | None:
        """The text of a document that is made of blocks; None where they are not all texts. Their bounds are for citing alone."""
        content = source.peek("content")
        if isinstance(content, str):
            return source.need_text("content")
        if not isinstance(content, list) or not all(
            isinstance(each, dict) and each.get("type") == "text" for each in content
        ):
            return None
        texts: list[str] = []
        for block in source.children("content"):
            block.take("type")
            texts.append(self._text(block).text)
        return "\n\n".join(texts)

    def _thinking(self, block: Members) -> Part | None:
        text, signature = block.need_text("thinking"), block.text("signature") or None
        if (of_call := call_signature(signature)) is None:
            return ReasoningPart(text, signature=signature)
        self._signature = of_call
        return ReasoningPart(text) if text else None

    def _redacted_thinking(self, block: Members) -> Part:
        return ReasoningPart(redacted=block.need_text("data"))

    def _tool_use(self, block: Members) -> Part:
        call_id, name = block.need_text("id"), block.need_text("name")
        block.need_object("input")
        block.skip("caller", {"type": "direct"})
        self._calls.add(call_id)
        signature, self._signature = self._signature, None
        return ToolCallPart(unescape(call_id), name, next(self._inputs), signature)

    @cached_property
    def _inputs(self) -> Iterator[str]:
        """The inputs of all tool calls, in order, as they stand in the body: how the model spells a number is its own."""
        for message in from_client(_raw_request, self._body).messages:
            if message.role == "assistant" and isinstance(message.content, list):
                yield from (bytes(block.input).decode() for block in message.content if block.type == "tool_use")

    def _tool_result(self, block: Members) -> Part:
        call_id = block.need_text("tool_use_id")
        if call_id not in self._calls:
            raise block.wrong("tool_use_id", "no earlier tool_use block has this id")
        parts = () if block.peek("content") is None else self._parts(block, "content", _RESULT_BLOCKS)
        return ToolResultPart(unescape(call_id), parts, is_error=bool(block.flag("is_error")))  # type: ignore[arg-type]  # what _RESULT_BLOCKS reads


def _data(source: Members) -> str:
    return standard_base64(source.need_text("data"), source.at("data"))


def _url(source: Members) -> str:
    url = source.need_text("url")
    if not url.lower().startswith(("https://", "http://")):
        raise source.wrong("url", "expected an http(s) URL")
    return url


def _leave_unknown(source: Members, kind: str) -> None:
    """A file id of this vendor's, which is left over by itself, or a kind nobody here has heard of."""
    if kind != "file" or source.peek("file_id") is None:
        source.leave()


_BlockReader = Callable[[MessageReader, Members], Part | None]

_SYSTEM_BLOCKS: dict[str, _BlockReader] = {"text": MessageReader._text}
_RESULT_BLOCKS: dict[str, _BlockReader] = {
    "text": MessageReader._text,
    "image": MessageReader._image,
    "document": MessageReader._document,
}
_USER_BLOCKS: dict[str, _BlockReader] = _RESULT_BLOCKS | {"tool_result": MessageReader._tool_result}
_ASSISTANT_BLOCKS: dict[str, _BlockReader] = {
    "text": MessageReader._text,
    "thinking": MessageReader._thinking,
    "redacted_thinking": MessageReader._redacted_thinking,
    "tool_use": MessageReader._tool_use,
}
_TURNS: dict[str, tuple[Role, dict[str, _BlockReader]]] = {
    "user": ("user", _USER_BLOCKS),
    "assistant": ("assistant", _ASSISTANT_BLOCKS),
    "system": ("system", _SYSTEM_BLOCKS),
}
