"""The shape of a Chat Completions request: a field that is not here is an unknown parameter.

`X | None` is a field that may be null, `X | UnsetType` one that may only be left out.
Source: type definitions of the official SDK, openai 3.54.0 (read 2026-11-24)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "AssistantMessage",
    "AudioPart",
    "ChatRequest",
    "CustomCall",
    "CustomTool",
    "DeveloperMessage",
    "FilePart",
    "FunctionCall",
    "FunctionMessage",
    "FunctionTool",
    "ImagePart",
    "Message",
    "RefusalPart",
    "SystemMessage",
    "TextOnly",
    "TextPart",
    "ToolMessage",
    "UserMessage",
]

_Positive = Annotated[int, Meta(ge=1)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_ToolName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Strict(Struct, kw_only=True, forbid_unknown_fields=True):
    pass


# ── contents ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Breakpoint(_Strict):
    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | UnsetType = UNSET


class TextPart(_Strict, tag_field="type", tag="text"):
    text: str
    prompt_cache_breakpoint: Breakpoint | UnsetType = UNSET


class TextOnly(_Strict):
    """A text part where no other part is allowed."""

    type: Literal["text"]
    text: str
    prompt_cache_breakpoint: Breakpoint | UnsetType = UNSET


class ImageUrl(_Strict):
    url: str
    detail: Literal["auto", "low", "high", "original"] | UnsetType = UNSET


class ImagePart(_Strict, tag_field="type", tag="image_url"):
    image_url: ImageUrl
    prompt_cache_breakpoint: Breakpoint | UnsetType = UNSET


class InputAudio(_Strict):
    data: str
    format: Literal["wav", "mp3"]


class AudioPart(_Strict, tag_field="type", tag="input_audio"):
    input_audio: InputAudio
    prompt_cache_breakpoint: Breakpoint | UnsetType = UNSET


class FileSource(_Strict):
    file_data: str | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET


class FilePart(_Strict, tag_field="type", tag="file"):
    file: FileSource
    prompt_cache_breakpoint: Breakpoint | UnsetType = UNSET


class RefusalPart(_Strict, tag_field="type", tag="refusal"):
    refusal: str


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class SystemMessage(_Strict, tag_field="role", tag="system"):
    content: str | list[TextOnly]
    name: str | UnsetType = UNSET


class DeveloperMessage(_Strict, tag_field="role", tag="developer"):
    content: str | list[TextOnly]
    name: str | UnsetType = UNSET


class UserMessage(_Strict, tag_field="role", tag="user"):
    content: str | list[TextPart | ImagePart | AudioPart | FilePart]
    name: str | UnsetType = UNSET


class CalledFunction(_Strict):
    name: str
    arguments: str


class FunctionCall(_Strict, tag_field="type", tag="function"):
    id: str
    function: CalledFunction


class CalledCustom(_Strict):
    name: str
    input: str


class CustomCall(_Strict, tag_field="type", tag="custom"):
    id: str
    custom: CalledCustom


class AudioReference(_Strict):
    id: str


class AssistantMessage(_Strict, tag_field="role", tag="assistant"):
    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    name: str | UnsetType = UNSET
    audio: AudioReference | None = None
    tool_calls: list[FunctionCall | CustomCall] | UnsetType = UNSET
    function_call: CalledFunction | None = None
    annotations: list[dict[str, Any]] | None = None  # comes with every answer, and clients send answers back whole


class ToolMessage(_Strict, tag_field="role", tag="tool"):
    tool_call_id: str
    content: str | list[TextOnly]


class FunctionMessage(_Strict, tag_field="role", tag="function"):
    name: str
    content: str | None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


# ── tools and formats ─────────────────────────────────────────────────────────────────────────────────────────────────


class FunctionDefinition(_Strict):
    name: _ToolName
    description: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    strict: bool | None = None


class FunctionTool(_Strict, tag_field="type", tag="function"):
    function: FunctionDefinition


class Grammar(_Strict):
    definition: str
    syntax: Literal["lark", "regex"]


class TextFormat(_Strict, tag_field="type", tag="text"):
    pass


class GrammarFormat(_Strict, tag_field="type", tag="grammar"):
    grammar: Grammar


class CustomDefinition(_Strict):
    name: _ToolName
    description: str | UnsetType = UNSET
    format: TextFormat | GrammarFormat | UnsetType = UNSET


class CustomTool(_Strict, tag_field="type", tag="custom"):
    custom: CustomDefinition


class Named(_Strict):
    name: str


class ChosenFunction(_Strict, tag_field="type", tag="function"):
    function: Named


class ChosenCustom(_Strict, tag_field="type", tag="custom"):
    custom: Named


class AllowedTools(_Strict):
    mode: Literal["auto", "required"]
    tools: list[ChosenFunction | ChosenCustom]


class ChosenAllowed(_Strict, tag_field="type", tag="allowed_tools"):
    allowed_tools: AllowedTools


class JsonObject(_Strict, tag_field="type", tag="json_object"):
    pass


class JsonSchema(_Strict):
    name: _ToolName
    description: str | UnsetType = UNSET
    schema: dict[str, Any] | UnsetType = UNSET
    strict: bool | None = None


class JsonSchemaFormat(_Strict, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


# ── the request ───────────────────────────────────────────────────────────────────────────────────────────────────────


class StreamOptions(_Strict):
    include_usage: bool | UnsetType = UNSET
    include_obfuscation: bool | UnsetType = UNSET


class AudioOutput(_Strict):
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"]
    voice: str | dict[str, str]


class Prediction(_Strict):
    type: Literal["content"]
    content: str | list[TextOnly]


class CacheOptions(_Strict):
    mode: Literal["implicit", "explicit"] | UnsetType = UNSET
    ttl: Literal["30m"] | UnsetType = UNSET


class FunctionChoice(_Strict):
    name: str


class ChatRequest(_Strict):
    model: str
    messages: list[Message]
    audio: AudioOutput | None = None
    frequency_penalty: _Penalty | None = None
    function_call: Literal["none", "auto"] | FunctionChoice | UnsetType = UNSET
    functions: list[FunctionDefinition] | UnsetType = UNSET
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    max_completion_tokens: _Positive | None = None
    max_tokens: _Positive | None = None
    metadata: dict[str, Annotated[str, Meta(max_length=512)]] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: dict[str, Any] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    parallel_tool_calls: bool | UnsetType = UNSET
    prediction: Prediction | None = None
    presence_penalty: _Penalty | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | UnsetType = UNSET
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonObject | JsonSchemaFormat | UnsetType = UNSET
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenFunction | ChosenCustom | ChosenAllowed | UnsetType = UNSET
    tools: list[FunctionTool | CustomTool] | UnsetType = UNSET
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | UnsetType = UNSET
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: dict[str, Any] | UnsetType = UNSET
