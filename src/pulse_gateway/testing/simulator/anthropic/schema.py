"""The shape of a Messages request: a field that is not here is an extra input.

`X | None` is a field that may be null, `X | UnsetType` one that may only be left out.
Source: type definitions of the official SDK, anthropic 2.12.0 (read 2026-11-24)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "Base64Image",
    "Block",
    "CacheControl",
    "CountRequest",
    "DocumentBlock",
    "FileSource",
    "ImageBlock",
    "Message",
    "MessagesRequest",
    "RedactedThinkingBlock",
    "SearchResultBlock",
    "ServerBlock",
    "TextBlock",
    "TextOnly",
    "TextSource",
    "ThinkingBlock",
    "ToolReferenceBlock",
    "ToolResultBlock",
    "ToolUseBlock",
    "UrlSource",
    "WebSearchResultBlock",
]

_Id = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]+$")]


class _Strict(Struct, kw_only=True, forbid_unknown_fields=True):
    pass


class CacheControl(_Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | UnsetType = UNSET


class Citations(_Strict):
    enabled: bool | UnsetType = UNSET


# ── content blocks ────────────────────────────────────────────────────────────────────────────────────────────────────


class TextBlock(_Strict, tag_field="type", tag="text"):
    text: str
    citations: list[dict[str, Any]] | None = None
    cache_control: CacheControl | None = None


class TextOnly(_Strict):
    """A text block where no other block is allowed."""

    type: Literal["text"]
    text: str
    citations: list[dict[str, Any]] | None = None
    cache_control: CacheControl | None = None


class Base64Image(_Strict, tag_field="type", tag="base64"):
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class UrlSource(_Strict, tag_field="type", tag="url"):
    url: str


class FileSource(_Strict, tag_field="type", tag="file"):
    file_id: str


class ImageTransformations(_Strict):
    oversized_image: Literal["downsize", "error"] | UnsetType = UNSET


class ImageBlock(_Strict, tag_field="type", tag="image"):
    source: Base64Image | UrlSource | FileSource
    transformations: ImageTransformations | None = None
    cache_control: CacheControl | None = None


class Base64Pdf(_Strict, tag_field="type", tag="base64"):
    media_type: Literal["application/pdf"]
    data: str


class TextSource(_Strict, tag_field="type", tag="text"):
    media_type: Literal["text/plain"]
    data: str


class ContentSource(_Strict, tag_field="type", tag="content"):
    content: str | list[TextBlock | ImageBlock]


class DocumentBlock(_Strict, tag_field="type", tag="document"):
    source: Base64Pdf | TextSource | ContentSource | UrlSource | FileSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None
    cache_control: CacheControl | None = None


class SearchResultBlock(_Strict, tag_field="type", tag="search_result"):
    source: str
    title: str
    content: list[TextOnly]
    citations: Citations | UnsetType = UNSET
    cache_control: CacheControl | None = None


class ToolReferenceBlock(_Strict, tag_field="type", tag="tool_reference"):
    tool_name: str
    cache_control: CacheControl | None = None


class ToolUseBlock(_Strict, tag_field="type", tag="tool_use"):
    id: _Id
    name: str
    input: dict[str, Any]
    caller: dict[str, Any] | UnsetType = UNSET
    toolset_name: str | None = None
    cache_control: CacheControl | None = None


class ToolResultBlock(_Strict, tag_field="type", tag="tool_result"):
    tool_use_id: _Id
    content: str | list[TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolReferenceBlock] | UnsetType = (
        UNSET
    )
    is_error: bool | UnsetType = UNSET
    toolset_name: str | None = None
    cache_control: CacheControl | None = None


class ThinkingBlock(_Strict, tag_field="type", tag="thinking"):
    thinking: str
    signature: str


class RedactedThinkingBlock(_Strict, tag_field="type", tag="redacted_thinking"):
    data: str


class ServerBlock(Struct, kw_only=True, tag_field="type", tag="server_tool_use"):
    """Blocks of server tools. Of most of them no more is known than that they are there."""

    id: str | UnsetType = UNSET
    cache_control: CacheControl | None = None


class WebSearchResultBlock(ServerBlock, tag_field="type", tag="web_search_tool_result"):
    tool_use_id: str
    content: list[dict[str, Any]] | dict[str, Any]  # results, or an error


class _WebFetchResult(ServerBlock, tag_field="type", tag="web_fetch_tool_result"): ...


class _CodeResult(ServerBlock, tag_field="type", tag="code_execution_tool_result"): ...


class _BashResult(ServerBlock, tag_field="type", tag="bash_code_execution_tool_result"): ...


class _EditorResult(ServerBlock, tag_field="type", tag="text_editor_code_execution_tool_result"): ...


class _ToolSearchResult(ServerBlock, tag_field="type", tag="tool_search_tool_result"): ...


class _ContainerUpload(ServerBlock, tag_field="type", tag="container_upload"): ...


Block = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ToolUseBlock
    | ToolResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ServerBlock
    | WebSearchResultBlock
    | _WebFetchResult
    | _CodeResult
    | _BashResult
    | _EditorResult
    | _ToolSearchResult
    | _ContainerUpload
)


class Message(_Strict):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


# ── options ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class ThinkingEnabled(_Strict, tag_field="type", tag="enabled"):
    budget_tokens: Annotated[int, Meta(ge=1024)]
    display: Literal["summarized", "omitted"] | None = None


class ThinkingAdaptive(_Strict, tag_field="type", tag="adaptive"):
    display: Literal["summarized", "omitted"] | None = None


class ThinkingDisabled(_Strict, tag_field="type", tag="disabled"): ...


class ThinkingBetweenTools(_Strict, tag_field="type", tag="between_tools"): ...


class JsonOutput(_Strict):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(_Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonOutput | None = None


class ChoiceAuto(_Strict, tag_field="type", tag="auto"):
    disable_parallel_tool_use: bool | UnsetType = UNSET


class ChoiceAny(_Strict, tag_field="type", tag="any"):
    disable_parallel_tool_use: bool | UnsetType = UNSET


class ChoiceTool(_Strict, tag_field="type", tag="tool"):
    name: str
    disable_parallel_tool_use: bool | UnsetType = UNSET


class ChoiceNone(_Strict, tag_field="type", tag="none"): ...


class Metadata(_Strict):
    user_id: Annotated[str, Meta(max_length=256)] | None = None


class Diagnostics(_Strict):
    previous_message_id: str | None = None


class CustomTool(_Strict):
    """A tool of the caller's own; typed server tools are looked at in the rules."""

    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: dict[str, Any]
    type: Literal["custom"] | None = None
    description: str | UnsetType = UNSET
    strict: bool | UnsetType = UNSET
    cache_control: CacheControl | None = None
    input_examples: list[dict[str, Any]] | UnsetType = UNSET
    eager_input_streaming: bool | None = None
    defer_loading: bool | UnsetType = UNSET
    allowed_callers: list[str] | UnsetType = UNSET


class _Counted(_Strict):
    """What every request for an answer, or for a count, may say."""

    model: str
    messages: list[Message]
    cache_control: CacheControl | None = None
    output_config: OutputConfig | UnsetType = UNSET
    speed: Literal["standard", "fast"] | None = None
    system: str | list[TextOnly] | UnsetType = UNSET
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | ThinkingBetweenTools | UnsetType = UNSET
    tool_choice: ChoiceAuto | ChoiceAny | ChoiceTool | ChoiceNone | UnsetType = UNSET
    tools: list[dict[str, Any]] | UnsetType = UNSET


class CountRequest(_Counted):
    """Nothing about the answer: there is none."""


class MessagesRequest(_Counted, kw_only=True):
    max_tokens: Annotated[int, Meta(ge=0)]
    container: str | dict[str, Any] | None = None
    diagnostics: Diagnostics | None = None
    inference_geo: str | None = None
    metadata: Metadata | UnsetType = UNSET
    service_tier: Literal["auto", "standard_only"] | UnsetType = UNSET
    stop_sequences: list[str] | UnsetType = UNSET
    stream: bool | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET  # the rules refuse it where it is gone
    top_k: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
