"""The turns of a Messages request → neutral messages.

Source: anthropic 2.12.0, types `MessageParam`, `ContentBlockParam` and what they hold (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import msgspec
from msgspec import Raw

from pulse_gateway.errors import InvalidRequest
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
from pulse_gateway.wire.anthropic_messages.members import Leftovers, Members, decode
from pulse_gateway.wire.anthropic_messages.tool_ids import unescape

__all__ = ["MessageReader"]


class _RawBlock(msgspec.Struct):
    type: str
    input: Raw = Raw()


class _RawMessage(msgspec.Struct):
    role: str
    content: str | list[_RawBlock]


class _RawRequest(msgspec.Struct):
    messages: list[_RawMessage]


_RAW_REQUEST = msgspec.json.Decoder(_RawRequest)


class MessageReader:
    """Reads the turns of one request. `leftovers` gets what has no neutral form.

    Raises: InvalidRequest, `param` naming the path of the bad field.
    """

    def __init__(self, body: bytes, leftovers: Leftovers) -> None:
        self._body = body
        self._leftovers = leftovers
        self._calls: set[str] = set()

    def system(self, value: object) -> list[Message]:
        if value is None:
            return []
        parts = self._parts(value, "system", _SYSTEM_BLOCKS)
        return [Message("system", parts, path="system")] if parts else []

    def messages(self, values: list[object]) -> list[Message]:
        """A user turn that mixes tool results and other blocks becomes a `tool` message and then a `user` message."""
        if not values:
            raise InvalidRequest("at least one message is required", param="messages")
        messages: list[Message] = []
        for number, value in enumerate(values):
            turn = Members(value, f"messages[{number}]")
            role, content = turn.need("role", str), turn.take_any("content")
            self._leftovers.close(turn)
            if role not in _TURNS:
                raise InvalidRequest("the role is one of 'user', 'assistant' and 'system'", param=turn.at("role"))
            neutral, readers = _TURNS[role]
            parts = self._parts(content, turn.at("content"), readers)
            results = tuple(part for part in parts if isinstance(part, ToolResultPart))
            others = tuple(part for part in parts if not isinstance(part, ToolResultPart))
            if results:
                messages.append(Message("tool", results, path=turn.path))
            if others or not results:
                messages.append(Message(neutral, others, path=turn.path))
        return messages

    def _parts(self, content: object, path: str, readers: Mapping[str, _BlockReader]) -> tuple[Part, ...]:
        """The parts of a string or of a list of blocks. A block of a type without a reader is left over whole."""
        if isinstance(content, str):
            return (TextPart(content),)
        if not isinstance(content, list):
            raise InvalidRequest("expected a string or an array of content blocks", param=path)
        parts: list[Part] = []
        for number, value in enumerate(content):
            block = Members(value, f"{path}[{number}]")
            reader = readers.get(block.need("type", str))
            if reader is None:
                self._leftovers.extra[block.path] = value
                continue
            part = reader(self, block)
            if part is not None:
                parts.append(part)
            self._leftovers.close(block)
        return tuple(parts)

    def _text(self, block: Members) -> Part:
        block.skip("citations", [])
        return TextPart(block.need("text", str))

    def _image(self, block: Members) -> Part | None:
        block.skip("transformations", {})
        value = block.need("source", dict)
        source = Members(value, block.at("source"))
        match source.need("type", str):
            case "base64":
                image = ImagePart(source.need("media_type", str), source.need("data", str))
            case "url":
                image = ImagePart(url=source.need("url", str))
            case _:
                self._unknown_source(source, value)
                return None
        self._leftovers.close(source)
        return image

    def _document(self, block: Members) -> Part | None:
        block.skip("citations", {"enabled": False})
        title = block.take("title", str)
        value = block.need("source", dict)
        source = Members(value, block.at("source"))
        match source.need("type", str):
            case "base64":
                media_type, data = source.need("media_type", str), source.need("data", str)
                document = DocumentPart(media_type=media_type, data=data, title=title)
            case "text":
                media_type, text = source.need("media_type", str), source.need("data", str)
                document = DocumentPart(media_type=media_type, text=text, title=title)
            case "url":
                document = DocumentPart(url=source.need("url", str), title=title)
            case _:
                self._unknown_source(source, value)
                return None
        self._leftovers.close(source)
        return document

    def _unknown_source(self, source: Members, value: object) -> None:
        """A file id of this vendor, or a kind nobody here has heard of."""
        file_id = source.take("file_id", str)
        if file_id is None:
            self._leftovers.extra[source.path] = value
        else:
            self._leftovers.extra[source.at("file_id")] = file_id

    def _thinking(self, block: Members) -> Part:
        return ReasoningPart(block.need("thinking", str), signature=block.take("signature", str) or None)

    def _redacted_thinking(self, block: Members) -> Part:
        return ReasoningPart(redacted=block.need("data", str))

    def _tool_use(self, block: Members) -> Part:
        call_id, name = block.need("id", str), block.need("name", str)
        block.need("input", dict)
        block.skip("caller", {"type": "direct"})
        self._calls.add(call_id)
        return ToolCallPart(unescape(call_id), name, next(self._inputs))

    @cached_property
    def _inputs(self) -> Iterator[str]:
        """The inputs of all tool calls, in order, as they stand in the body: how the model spells a number is its own."""
        for message in decode(_RAW_REQUEST, self._body).messages:
            if message.role == "assistant" and isinstance(message.content, list):
                yield from (bytes(block.input).decode() for block in message.content if block.type == "tool_use")

    def _tool_result(self, block: Members) -> Part:
        call_id = block.need("tool_use_id", str)
        if call_id not in self._calls:
            raise InvalidRequest("no tool_use block before this one has that id", param=block.at("tool_use_id"))
        content = block.take_any("content")
        parts = () if content is None else self._parts(content, block.at("content"), _RESULT_BLOCKS)
        return ToolResultPart(unescape(call_id), parts, is_error=bool(block.take("is_error", bool)))  # type: ignore[arg-type]  # what _RESULT_BLOCKS reads


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
