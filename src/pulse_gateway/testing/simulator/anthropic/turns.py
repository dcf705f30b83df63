"""The conversation: turns are merged, checked and counted.

Source: https://platform.claude.com/docs/en/build-with-claude/working-with-messages and
/agents-and-tools/tool-use/handle-tool-calls (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.anthropic.citing import cite_document, cite_result
from pulse_gateway.testing.simulator.anthropic.errors import refuse
from pulse_gateway.testing.simulator.anthropic.models import Traits
from pulse_gateway.testing.simulator.anthropic.schema import (
    Base64Image,
    Base64Pdf,
    CacheControl,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    Message,
    RedactedThinkingBlock,
    SearchResultBlock,
    ServerBlock,
    TextBlock,
    TextOnly,
    TextSource,
    ThinkingBlock,
    ToolReferenceBlock,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
    WebSearchResultBlock,
)
from pulse_gateway.testing.simulator.dice import decode_base64, is_concealed, is_seal
from pulse_gateway.testing.simulator.media import image_type
from pulse_gateway.testing.simulator.prompt import Media, ToolResult
from pulse_gateway.testing.simulator.tokens import Tally

__all__ = ["Conversation"]

_OF_USER = (TextBlock, ImageBlock, DocumentBlock, SearchResultBlock, ToolResultBlock, ServerBlock)
_OF_ASSISTANT = (TextBlock, DocumentBlock, ThinkingBlock, RedactedThinkingBlock, ToolUseBlock, ServerBlock)
_MAX_MESSAGES = 100_000
_MAX_BREAKPOINTS = 4


class _Turn(msgspec.Struct):
    """Consecutive messages of one role; each block knows where it was."""

    role: str
    blocks: list[tuple[str, Any]]


class Conversation:
    """Reads the messages once, in order, counting into `tally`."""

    def __init__(self, tally: Tally, seed: int, traits: Traits, *, new_version: bool) -> None:
        self._tally = tally
        self._seed = seed
        self._traits = traits
        self._new_version = new_version
        self.system: list[str] = []
        self.last_user = ""
        self.media: list[Media] = []
        self.results: list[ToolResult] = []  # of the last turn
        self.citations: list[dict[str, Any]] = []  # of what is to be cited, in order
        self._documents = 0
        self._search_results = 0
        self.breakpoints = 0
        self.long_cache = False  # some breakpoint asks for one hour

    def read_system(self, system: str | Sequence[TextOnly]) -> None:
        """Raises: Refusal."""
        if isinstance(system, str):
            self._tally.text(system)
            self.system.append(system)
            return
        for at, block in enumerate(system):
            self._say(block.text, f"system.{at}")
            self.system.append(block.text)
            self.mark(getattr(block, "cache_control", None))

    def read(self, messages: list[Message]) -> None:
        """Raises: Refusal."""
        if not messages:
            raise refuse("messages: at least one message is required")
        if len(messages) > _MAX_MESSAGES:
            raise refuse(f"messages: more than {_MAX_MESSAGES} messages")
        turns = self._turns(messages)
        if not turns or turns[0].role != "user":
            raise refuse('messages: first message must use the "user" role')
        if turns[-1].role == "assistant" and not self._traits.prefill and not _is_paused(turns[-1]):
            raise refuse(
                "This model does not support assistant message prefill. The conversation must end with a user message."
            )
        calls: dict[str, str] = {}
        seen: set[str] = set()
        for turn in turns:
            if turn.role == "assistant":
                self._check_answered(calls, {})
                calls = self._assistant(turn, is_last=turn is turns[-1])
                if repeated := seen & calls.keys():
                    raise refuse(f"messages: `tool_use` ids must be unique: {', '.join(sorted(repeated))}")
                seen |= calls.keys()
            else:
                self._user(turn, calls)
                calls = {}
        self._check_answered(calls, {})

    def _turns(self, messages: list[Message]) -> list[_Turn]:
        turns: list[_Turn] = []
        for at, message in enumerate(messages):
            path = f"messages.{at}"
            if message.role == "system":
                self._mid_system(message, path, is_first=not turns)
                continue
            if isinstance(message.content, str):
                is_last_prefill = at == len(messages) - 1 and message.role == "assistant"
                if not message.content and not is_last_prefill:
                    raise refuse(
                        f"{path}: all messages must have non-empty content except for the optional final assistant message"
                    )
                blocks: list[tuple[str, Any]] = [(f"{path}.content", TextBlock(text=message.content))]
                if not message.content:
                    blocks = []
            else:
                blocks = [(f"{path}.content.{index}", block) for index, block in enumerate(message.content)]
                if not blocks and not (at == len(messages) - 1 and message.role == "assistant"):
                    raise refuse(
                        f"{path}: all messages must have non-empty content except for the optional final assistant message"
                    )
            if turns and turns[-1].role == message.role:
                turns[-1].blocks += blocks
            else:
                turns.append(_Turn(message.role, blocks))
        return turns

    def _mid_system(self, message: Message, path: str, *, is_first: bool) -> None:
        if not self._new_version:
            raise refuse(f"{path}.role: Input should be 'user' or 'assistant'")
        if not self._traits.system_mid_conversation:
            raise refuse(f"{path}.role: system messages inside a conversation are not supported by this model")
        if is_first:
            raise refuse(f"{path}: use the top-level `system` parameter for the initial system prompt")
        if isinstance(message.content, str):
            self._say(message.content, f"{path}.content")
            self.system.append(message.content)
            return
        for index, block in enumerate(message.content):
            if not isinstance(block, TextBlock):
                raise refuse(f"{path}.content.{index}: only text blocks are allowed in system messages")
            self._say(block.text, f"{path}.content.{index}")
            self.system.append(block.text)
            self.mark(getattr(block, "cache_control", None))

    def _assistant(self, turn: _Turn, *, is_last: bool) -> dict[str, str]:
        """The turn's tool calls: id → name."""
        calls: dict[str, str] = {}
        server_calls: set[str] = set()
        for path, block in turn.blocks:
            if not isinstance(block, _OF_ASSISTANT):
                raise refuse(f"{path}: blocks of this type may only be in user messages")
            if isinstance(block, DocumentBlock) and self._new_version:
                raise refuse(f"{path}: document blocks are not permitted in assistant messages")
            if isinstance(block, TextBlock):
                self._say(block.text, path)
            elif isinstance(block, ToolUseBlock):
                if block.id in calls:
                    raise refuse(f"{path}: `tool_use` ids must be unique")
                calls[block.id] = block.name
                self._tally.text(block.name)
                self._tally.json(block.input)
            elif isinstance(block, ThinkingBlock):
                if not is_seal(self._seed, block.signature, "thinking", block.thinking):
                    raise refuse(f"{path}: Invalid `signature` in `thinking` block")
                self._tally.text(block.thinking)
            elif isinstance(block, RedactedThinkingBlock):
                if not is_concealed(self._seed, block.data):
                    raise refuse(f"{path}: Invalid `data` in `redacted_thinking` block")
            elif isinstance(block, WebSearchResultBlock):
                self._searched(block, path, server_calls)
            elif isinstance(block, ServerBlock):
                server_calls.add(block.id or "")
            elif isinstance(block, DocumentBlock):
                self._document(block, path)
            self.mark(getattr(block, "cache_control", None))
        last = turn.blocks[-1][1] if turn.blocks else None
        if is_last and isinstance(last, TextBlock) and last.text != last.text.rstrip():
            raise refuse("messages: final assistant content cannot end with trailing whitespace")
        return calls

    def _searched(self, block: WebSearchResultBlock, path: str, server_calls: set[str]) -> None:
        if block.tool_use_id not in server_calls:
            raise refuse(
                f"{path}: unexpected `tool_use_id` found in `web_search_tool_result` blocks: {block.tool_use_id}. Each "
                "`web_search_tool_result` block must have a corresponding `server_tool_use` block before it."
            )
        for at, result in enumerate(block.content if isinstance(block.content, list) else ()):
            if not is_concealed(self._seed, str(result.get("encrypted_content", ""))):
                raise refuse(f"{path}.content.{at}: Invalid `encrypted_content` in `web_search_result` block")
            self._tally.text(str(result.get("title", "")))

    def _user(self, turn: _Turn, calls: dict[str, str]) -> None:
        texts: list[str] = []
        answered: dict[str, str] = {}
        self.results = []
        others = False
        for path, block in turn.blocks:
            if not isinstance(block, _OF_USER):
                raise refuse(f"{path}: blocks of this type may only be in assistant messages")
            if isinstance(block, ToolResultBlock):
                if others:
                    raise refuse(f"{path}: `tool_result` blocks must come before any other content of the turn")
                if block.tool_use_id in answered:
                    raise refuse(
                        f"{path}: each tool_use must have a single result. Found multiple `tool_result` blocks"
                    )
                if block.tool_use_id not in calls:
                    raise refuse(
                        f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {block.tool_use_id}. Each "
                        "`tool_result` block must have a corresponding `tool_use` block in the previous message."
                    )
                name = answered[block.tool_use_id] = calls[block.tool_use_id]
                said = self._contents(block.content or "", f"{path}.content")
                self.results.append(ToolResult(name, said))
            else:
                others = True
                if isinstance(block, TextBlock):
                    if block.citations and self._new_version:
                        raise refuse(f"{path}.citations: not permitted in user messages")
                    texts.append(block.text)
                self._block(block, path)
            self.mark(getattr(block, "cache_control", None))
        self._check_answered(calls, answered)
        self.last_user = "\n".join(texts) or self.last_user

    def _check_answered(self, calls: dict[str, str], answered: dict[str, str]) -> None:
        if missing := [call for call in calls if call not in answered]:
            raise refuse(
                f"messages: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing)}. "
                "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            )

    def _contents(self, content: str | Iterable[Any], path: str) -> str:
        if isinstance(content, str):
            self._tally.text(content)
            return content
        texts: list[str] = []
        for index, block in enumerate(content):
            self._block(block, f"{path}.{index}")
            if isinstance(block, TextBlock):
                texts.append(block.text)
            self.mark(getattr(block, "cache_control", None))
        return "\n".join(texts)

    def _block(self, block: Any, path: str) -> None:
        if isinstance(block, TextBlock | TextOnly):
            self._say(block.text, path)
        elif isinstance(block, ImageBlock):
            self._image(block, path)
        elif isinstance(block, DocumentBlock):
            self._document(block, path)
        elif isinstance(block, SearchResultBlock):
            self._cite(cite_result(block, self._search_results))
            self._search_results += 1
            self._tally.text(block.source + block.title)
            self._contents(block.content, f"{path}.content")
        elif isinstance(block, ToolReferenceBlock):
            self._tally.text(block.tool_name)

    def _say(self, text: str, path: str) -> None:
        if not text:
            raise refuse(f"{path}: text content blocks must be non-empty")
        if text.isspace():
            raise refuse(f"{path}: text content blocks must contain non-whitespace text")
        self._tally.text(text)

    def _see(self, kind: str, label: str, data: bytes) -> None:
        self.media.append(Media(kind, label))
        self._tally.media(data)

    def _image(self, block: ImageBlock, path: str) -> None:
        source = block.source
        if isinstance(source, Base64Image):
            data = decode_base64(source.data)
            if not data:
                raise refuse(f"{path}.image.source.base64.data: Invalid base64 data")
            found = image_type(data)
            if found is None:
                raise refuse(f"{path}.image.source.base64.data: Could not process image")
            if found != source.media_type:
                raise refuse(
                    f"{path}.image.source.base64.data: The image was specified using the {source.media_type} media "
                    f"type, but the image appears to be a {found} image"
                )
            self._see("image", f"{found} {len(data)} bytes", data)
        else:
            self._reference("image", source, path)

    def _document(self, block: DocumentBlock, path: str) -> None:
        source = block.source
        self._cite(cite_document(block, self._documents))
        self._documents += 1
        self._tally.text((block.title or "") + (block.context or ""))
        if isinstance(source, Base64Pdf):
            data = decode_base64(source.data)
            if not data or not data.startswith(b"%PDF-"):
                raise refuse(f"{path}.document.source.base64.data: The PDF specified was not valid.")
            self._see("document", f"application/pdf {len(data)} bytes", data)
        elif isinstance(source, TextSource):
            self.media.append(Media("document", f"text/plain {len(source.data.encode())} bytes"))
            self._tally.text(source.data)
        elif isinstance(source, ContentSource):
            self._contents(source.content, f"{path}.source.content")
        else:
            self._reference("document", source, path)

    def _cite(self, citation: dict[str, Any] | None) -> None:
        if citation is not None:
            self.citations.append(citation)

    def _reference(self, kind: str, source: UrlSource | FileSource, path: str) -> None:
        if isinstance(source, UrlSource):
            if not source.url.startswith("https://"):
                raise refuse(f"{path}.{kind}.source.url.url: Only HTTPS URLs are supported.")
            self._see(kind, source.url, source.url.encode())
        else:
            self._see(kind, source.file_id, source.file_id.encode())

    def mark(self, cache_control: CacheControl | None) -> None:
        """Note a cache breakpoint, if there is one, on what was read so far.

        Raises: Refusal for the fifth.
        """
        if cache_control is None:
            return
        self.breakpoints += 1
        if self.breakpoints > _MAX_BREAKPOINTS:
            raise refuse(
                f"A maximum of {_MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {self.breakpoints}."
            )
        self.long_cache |= cache_control.ttl == "1h"
        self._tally.mark()


def _is_paused(turn: _Turn) -> bool:
    """It ends within a server tool's work, which is then continued."""
    return bool(turn.blocks) and isinstance(turn.blocks[-1][1], ServerBlock)
