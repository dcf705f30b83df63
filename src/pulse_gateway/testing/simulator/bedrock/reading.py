"""A Converse conversation: checked, counted, and understood.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html and
/tool-use-inference-call.html (read 2026-11-24); the wording follows answers of the API.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from pulse_gateway.testing.simulator.bedrock.errors import refuse
from pulse_gateway.testing.simulator.bedrock.models import BedrockModel
from pulse_gateway.testing.simulator.bedrock.schema import (
    CachePoint,
    Content,
    Document,
    Image,
    Message,
    Reasoning,
    ResultContent,
    SearchResult,
    Source,
    SystemContent,
    ToolResult,
    ToolUse,
)
from pulse_gateway.testing.simulator.dice import decode_base64, is_concealed, is_seal
from pulse_gateway.testing.simulator.media import image_type
from pulse_gateway.testing.simulator.prompt import Media
from pulse_gateway.testing.simulator.prompt import ToolResult as SeenResult
from pulse_gateway.testing.simulator.tokens import Tally

__all__ = ["Conversation", "member"]

_DOCUMENT_NAME = re.compile(r"[a-zA-Z0-9()\[\]-]+(?: [a-zA-Z0-9()\[\]-]+)*")
_MAX_CACHE_POINTS = 4
_MAX_DOCUMENTS = 5
_MAX_IMAGES = 20
_OF_USER = {
    "text",
    "image",
    "document",
    "video",
    "audio",
    "tool_result",
    "guard_content",
    "cache_point",
    "search_result",
}
_OF_ASSISTANT = {"text", "tool_use", "cache_point", "reasoning_content", "citations_content", "image"}
_OF_SYSTEM = {"text", "cache_point"}
_TOOL_BLOCKS = {"tool_use", "tool_result"}


def member(union: msgspec.Struct, path: str) -> tuple[str, Any]:
    """The one member of a union that is there.

    Raises: Refusal if there is none, or more than one.
    """
    found = [(name, value) for name in union.__struct_fields__ if (value := getattr(union, name)) is not UNSET]
    if len(found) != 1:
        raise refuse(f"{path}: exactly one member must be set, {len(found)} are")
    return found[0]


class Conversation:
    """Reads everything once, in order, counting into `tally`."""

    def __init__(self, tally: Tally, seed: int, model: BedrockModel) -> None:
        self._tally = tally
        self._seed = seed
        self._model = model
        self.system: list[str] = []
        self.last_user = ""
        self.media: list[Media] = []
        self.results: list[SeenResult] = []  # of the last turn
        self.uses_tools = False
        self.long_cache = False
        self._cache_points = 0
        self._documents = 0
        self._images = 0

    def read_system(self, blocks: Sequence[SystemContent]) -> None:
        """Raises: Refusal."""
        for at, block in enumerate(blocks):
            kind, value = member(block, f"system.{at}")
            if kind == "cache_point":
                self.mark(value)
            else:
                text = value if kind == "text" else self._guarded(value, f"system.{at}")
                self._say(text, f"the SystemContentBlock object at system.{at}")
                self.system.append(text)

    def read(self, messages: Sequence[Message]) -> None:
        """Raises: Refusal."""
        if not messages:
            raise refuse("The messages field is empty. Add a Message object to the messages field and try again.")
        calls: dict[str, str] = {}
        before = "assistant"
        for at, message in enumerate(messages):
            if not message.content:
                raise refuse(
                    f"The content field in the Message object at messages.{at} is empty. Add a ContentBlock object to the "
                    "content field and try again."
                )
            if message.role == "system":
                self._mid_system(message, at)
                continue
            if message.role == before:
                raise refuse(
                    "A conversation must start with a user message. Try again with a conversation that starts with a user "
                    "message."
                    if before == "assistant" and at == 0
                    else "A conversation must alternate between user and assistant roles. Make sure the conversation "
                    "alternates between user and assistant roles and try again."
                )
            before = message.role
            if message.role == "user":
                self._user(message, at, calls)
                calls = {}
            else:
                calls = self._assistant(message, at)
        if calls:
            raise refuse(f"Expected toolResult blocks after messages.{len(messages) - 1} for: {', '.join(calls)}")
        if before == "assistant":
            self._prefill(messages[-1])

    def mark(self, point: CachePoint) -> None:
        """Raises: Refusal for the fifth cache point, and for one with nothing before it."""
        self._cache_points += 1
        if self._cache_points > _MAX_CACHE_POINTS:
            raise refuse(f"A maximum of {_MAX_CACHE_POINTS} cache points may be used. Found {self._cache_points}.")
        if not self._tally.tokens:
            raise refuse("A cachePoint must come after the content that it caches")
        self.long_cache |= point.ttl == "1h"
        self._tally.mark()

    def _prefill(self, message: Message) -> None:
        if not self._model.traits.prefill:
            raise refuse(
                "The model returned the following errors: This model does not support assistant message prefill. The "
                "conversation must end with a user message."
            )
        text = message.content[-1].text
        if isinstance(text, str) and text != text.rstrip():
            raise refuse(
                "The model returned the following errors: messages: final assistant content cannot end with trailing whitespace"
            )

    def _mid_system(self, message: Message, at: int) -> None:
        if at == 0:
            raise refuse("messages.0: use the system field for the initial system prompt")
        if not self._model.traits.system_mid_conversation:
            raise refuse(f"messages.{at}: this model does not support system messages inside a conversation")
        for index, block in enumerate(message.content):
            kind, value = self._block_kind(block, f"messages.{at}.content.{index}", _OF_SYSTEM, "system")
            if kind == "cache_point":
                self.mark(value)
            else:
                self._say(value, f"the ContentBlock object at messages.{at}.content.{index}")
                self.system.append(value)

    def _user(self, message: Message, at: int, calls: dict[str, str]) -> None:
        texts: list[str] = []
        answered: dict[str, str] = {}
        others = False
        documents = self._documents
        self.results = []
        for index, block in enumerate(message.content):
            path = f"messages.{at}.content.{index}"
            kind, value = self._block_kind(block, path, _OF_USER, "user")
            if kind == "cache_point":
                self.mark(value)
            elif kind == "tool_result":
                if others and self._model.maker == "anthropic":
                    raise refuse(f"{path}: `tool_result` blocks must come before any other content of the turn")
                self._result(value, path, calls, answered)
            else:
                others = True
                if kind in {"text", "guard_content"}:
                    text = value if kind == "text" else self._guarded(value, path)
                    self._say(text, f"the ContentBlock object at {path}")
                    texts.append(text)
                else:
                    self._see(kind, value, path)
        if answered and others and not self._model.mixes_blocks:
            raise refuse(
                f"messages.{at}.content: Conversation blocks and tool result blocks cannot be provided in the same turn."
            )
        if missing := [call for call in calls if call not in answered]:
            raise refuse(
                f"Expected toolResult blocks at messages.{at}.content for the following Ids: {', '.join(missing)}"
            )
        if self._documents > documents and not texts:
            raise refuse(f"messages.{at}.content: a text block is required beside a document")
        self.last_user = "\n".join(texts) or self.last_user

    def _assistant(self, message: Message, at: int) -> dict[str, str]:
        """The turn's tool calls: id → name."""
        calls: dict[str, str] = {}
        others = False
        for index, block in enumerate(message.content):
            path = f"messages.{at}.content.{index}"
            kind, value = self._block_kind(block, path, _OF_ASSISTANT, "assistant")
            if kind == "tool_use":
                self._call(value, path, calls)
            elif kind == "cache_point":
                self.mark(value)
            elif kind == "reasoning_content":
                self._reasoning(value, path)
            else:
                others = True
                if kind == "text":
                    self._say(value, f"the ContentBlock object at {path}")
                elif kind == "citations_content":
                    for text in value.content or ():
                        self._tally.text(text.text)
                else:
                    self._see(kind, value, path)
        if calls and others and not self._model.mixes_blocks:
            raise refuse(
                f"messages.{at}.content: Conversation blocks and tool use blocks cannot be provided in the same turn."
            )
        return calls

    def _block_kind(self, block: Content, path: str, allowed: set[str], role: str) -> tuple[str, Any]:
        kind, value = member(block, path)
        if kind not in allowed:
            raise refuse(f"{path}: a {kind} block is not allowed in a message of the role {role}")
        self.uses_tools |= kind in _TOOL_BLOCKS
        return kind, value

    def _call(self, use: ToolUse, path: str, calls: dict[str, str]) -> None:
        if use.tool_use_id in calls:
            raise refuse(f"{path}: toolUse ids must be unique")
        if not isinstance(use.input, dict):
            raise refuse(
                f"The format of the value at {path}.toolUse.input is invalid. Provide a json object for the field and try again."
            )
        calls[use.tool_use_id] = use.name
        self._tally.text(use.name)
        self._tally.json(use.input)

    def _result(self, result: ToolResult, path: str, calls: dict[str, str], answered: dict[str, str]) -> None:
        if result.tool_use_id not in calls or result.tool_use_id in answered:
            raise refuse(
                f"The number of toolResult blocks at {path.rpartition('.')[0]} exceeds the number of toolUse blocks of previous turn."
            )
        if not result.content and result.status == "error":
            raise refuse(f"The content field at {path}.toolResult cannot be empty when status value is error.")
        answered[result.tool_use_id] = calls[result.tool_use_id]
        said = [self._said(part, f"{path}.toolResult.content.{at}") for at, part in enumerate(result.content)]
        self.results.append(SeenResult(calls[result.tool_use_id], "\n".join(text for text in said if text)))

    def _said(self, part: ResultContent, path: str) -> str:
        kind, value = member(part, path)
        if kind == "text":
            self._say(value, f"the ContentBlock object at {path}")
            return str(value)
        if kind == "json":
            if not isinstance(value, dict):
                raise refuse(
                    f"The format of the value at {path}.json is invalid. Provide a json object for the field and try again."
                )
            self._tally.json(value)
            return msgspec.json.encode(value).decode()
        self._see(kind, value, path)
        return ""

    def _reasoning(self, reasoning: Reasoning, path: str) -> None:
        kind, value = member(reasoning, f"{path}.reasoningContent")
        if kind == "redacted_content":
            if not is_concealed(self._seed, (decode_base64(value) or b"").decode(errors="replace")):
                raise refuse(
                    f"The model returned the following errors: {path}: Invalid `data` in `redacted_thinking` block"
                )
            return
        self._tally.text(value.text)
        if self._model.maker != "anthropic":
            return
        if not isinstance(value.signature, str) or not is_seal(self._seed, value.signature, "thinking", value.text):
            raise refuse(f"The model returned the following errors: {path}: Invalid `signature` in `thinking` block")

    def _say(self, text: str, place: str) -> None:
        if not text.strip():
            raise refuse(f"The text field in {place} is blank. Add text to the text field, and try again.")
        self._tally.text(text)

    def _guarded(self, value: Any, path: str) -> str:
        kind, inner = member(value, f"{path}.guardContent")
        if kind == "image":
            self._see("image", inner, f"{path}.guardContent")
            return "[guarded image]"
        return str(inner.text)

    def _see(self, kind: str, value: Any, path: str) -> None:
        match kind:
            case "image":
                self._image(value, path)
            case "document":
                self._document(value, path)
            case "search_result":
                self._search_result(value)
            case _:
                if self._model.maker == "anthropic":
                    raise refuse(
                        f"This model doesn't support the {kind} content block. Remove it from {path} and try again."
                    )
                data, label = self._bytes(value.source, f"{path}.{kind}.source")
                self._note(kind, f"{kind}/{value.format} {label}", data)

    def _image(self, image: Image, path: str) -> None:
        self._images += 1
        if self._images > _MAX_IMAGES:
            raise refuse(f"too many images: {self._images} > {_MAX_IMAGES}")
        data, label = self._bytes(image.source, f"{path}.image.source")
        if image.source.bytes is not UNSET and image_type(data) != f"image/{image.format}":
            raise refuse(
                f"The model returned the following errors: {path}.image.source.bytes: the image is not a valid {image.format}"
            )
        self._note("image", f"image/{image.format} {label}", data)

    def _document(self, document: Document, path: str) -> None:
        self._documents += 1
        if self._documents > _MAX_DOCUMENTS:
            raise refuse(f"too many documents: {self._documents} > {_MAX_DOCUMENTS}")
        if not _DOCUMENT_NAME.fullmatch(document.name):
            raise refuse(
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, "
                "parentheses, and square brackets. The name can't contain more than one consecutive whitespace character."
            )
        source = document.source
        kind, value = member(source, f"{path}.document.source")
        if document.context is not UNSET:
            self._tally.text(document.context)
        if kind in {"text", "content"}:
            texts = [value] if kind == "text" else [part.text for part in value]
            for text in texts:
                self._say(text, f"the DocumentBlock object at {path}")
            self.media.append(Media("document", f"text/plain {sum(len(text.encode()) for text in texts)} bytes"))
            return
        data, label = self._bytes(Source(bytes=source.bytes, s3_location=source.s3_location), f"{path}.document.source")
        if kind == "bytes" and document.format is UNSET:
            raise refuse(f"{path}.document.format is required")
        if kind == "bytes" and document.format == "pdf" and not data.startswith(b"%PDF-"):
            raise refuse(f"The model returned the following errors: {path}.document: The PDF specified was not valid.")
        self._note("document", f"{document.format if document.format is not UNSET else 'file'} {label}", data)

    def _search_result(self, result: SearchResult) -> None:
        self._tally.text(result.source + result.title)
        for text in result.content:
            self._tally.text(text.text)

    def _bytes(self, source: Source, path: str) -> tuple[bytes, str]:
        """What is behind a source, and a label for it."""
        kind, value = member(source, path)
        if kind == "s3_location":
            return value.uri.encode(), value.uri
        data = decode_base64(value)
        if not data:
            raise refuse(f"{path}.bytes: not base64, or empty")
        return data, f"{len(data)} bytes"

    def _note(self, kind: str, label: str, data: bytes) -> None:
        self.media.append(Media(kind, label))
        self._tally.media(data)
