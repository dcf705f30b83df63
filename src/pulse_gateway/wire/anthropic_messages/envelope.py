"""The few fields of a Messages request that the gateway acts on; everything else keeps its bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Raw

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.codec import MAX_COUNT, Envelope
from pulse_gateway.wire.foreign_json import from_client
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.prompt_texts import Text, is_text, read_later

__all__ = ["ROLES", "read_envelope", "rewrite_request"]

_Role = Literal["user", "assistant", "system"]
ROLES = ", ".join(get_args(_Role))


class _Tool(msgspec.Struct):
    type: Any = None
    max_uses: Any = None


class _Block(msgspec.Struct):
    """Any content block. What only some types have is looked at for those types alone, so that unknown types pass."""

    type: str
    text: Any = None
    title: Any = None
    context: Any = None
    content: Raw = Raw()
    source: Raw = Raw()


class _UnreadBlock(msgspec.Struct):
    type: str
    text: Raw = Raw()
    title: Any = None
    context: Any = None
    content: Raw = Raw()
    source: Raw = Raw()


class _Source(msgspec.Struct):
    type: Any = None
    data: Any = None
    content: Raw = Raw()


class _Message(msgspec.Struct):
    role: _Role
    content: str | list[_Block]


class _UnreadMessage(msgspec.Struct):
    role: _Role
    content: Raw


_M = TypeVar("_M", _Message, _UnreadMessage)


class _Request(msgspec.Struct, Generic[_M]):
    max_tokens: Annotated[int, Meta(ge=0, le=MAX_COUNT)]  # 0 only warms the prompt cache
    messages: Annotated[list[_M], Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1)] | None = None
    system: str | list[_Block] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    tools: list[_Tool] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None


_request = msgspec.json.Decoder(_Request[_Message]).decode
_unread_request = msgspec.json.Decoder(_Request[_UnreadMessage]).decode
_unread_content = msgspec.json.Decoder(str | list[_UnreadBlock]).decode
_content = msgspec.json.Decoder(str | list[_Block] | None).decode
_source = msgspec.json.Decoder(_Source).decode
_WORDS = {".role": ROLES}
_NOTHING = Usage()
_USUAL_SEARCHES, _MOST_SEARCHES = 5, 1_000
_DEEPEST = 2  # a document of blocks inside a tool result; the vendor refuses what nests deeper


def read_envelope(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Envelope:
    """What the gateway acts on. The text is every text the model will read as such: those of text documents, search results
    and tool results too.

    `model` and `stream` are for hosts that keep them outside the body.

    Raises: InvalidRequest, `param` naming the path of the bad field.
    """
    decode: Callable[[bytes | Raw], _Request[Any]] = _unread_request if read_later(body) else _request
    request = from_client(decode, body, words=_WORDS)
    name = model or request.model
    if not name:
        raise InvalidRequest("model: is required", param="model")
    prompt = _Prompt()
    if request.system is not None:
        prompt.add(request.system, "system")
    for number, message in enumerate(request.messages):
        content = message.content
        if isinstance(content, str):  # as in most turns
            prompt.texts.append(content)
            continue
        path = f"messages[{number}].content"
        if isinstance(content, Raw) and not is_text(content):
            content = from_client(_unread_content, content, at=path)
        prompt.add(content, path)
    return Envelope(
        model=name,
        stream=bool(request.stream) if stream is None else stream,
        texts=prompt.texts,
        attachments=prompt.attachments,
        max_output_tokens=request.max_tokens,
        expected=_NOTHING if not request.tools else _searches(request.tools),
    )


def _searches(tools: list[_Tool]) -> Usage:
    """How often the vendor may search the web for this request; where the client sets no bound, about as often as it does."""
    most = 0
    for tool in tools:
        if isinstance(tool.type, str) and tool.type.startswith("web_search_"):
            bounded = type(tool.max_uses) is int and 0 <= tool.max_uses <= _MOST_SEARCHES
            most += tool.max_uses if bounded else _USUAL_SEARCHES
    return Usage(searches=most) if most else _NOTHING


class _Prompt:
    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.attachments = 0

    def add(self, content: Text | Sequence[_Block | _UnreadBlock] | None, path: str, depth: int = 0) -> None:
        if content is None:
            return
        if isinstance(content, (str, Raw)):
            self.texts.append(content)
            return
        for number, block in enumerate(content):
            match block.type:
                case "text":
                    text = block.text
                    if not (is_text(text) if isinstance(text, Raw) else isinstance(text, str)):
                        place = f"{path}[{number}].text"
                        raise InvalidRequest(f"{place}: expected a string", param=place)
                    self.texts.append(text)
                case "image":
                    self.attachments += 1
                case "document":
                    self.attachments += 1
                    self._add_labels(block)
                    self._add_source(block.source, f"{path}[{number}].source", depth)
                case "search_result":
                    self._add_labels(block)
                    self._add_raw(block.content, f"{path}[{number}].content", depth)
                case "tool_result":
                    self._add_raw(block.content, f"{path}[{number}].content", depth)

    def _add_labels(self, block: _Block | _UnreadBlock) -> None:
        self.texts += [label for label in (block.title, block.context) if isinstance(label, str)]

    def _add_source(self, raw: Raw, path: str, depth: int) -> None:
        if not raw:
            return
        source = from_client(_source, raw, at=path)
        if source.type == "text" and isinstance(source.data, str):
            self.texts.append(source.data)
        elif source.type == "content":
            self._add_raw(source.content, f"{path}.content", depth)

    def _add_raw(self, raw: Raw, path: str, depth: int) -> None:
        if raw and depth < _DEEPEST:
            self.add(from_client(_content, raw, at=path), path, depth + 1)


def rewrite_request(body: bytes, *, model: str, show_usage: bool) -> bytes:
    """The same request for `model`; every other byte is kept. Usage is always shown in this dialect.

    Raises: InvalidRequest when a top-level key occurs twice: the vendor might read the other one.
    """
    rewritten = set_members(body, model=model)
    return body if rewritten == body else rewritten
