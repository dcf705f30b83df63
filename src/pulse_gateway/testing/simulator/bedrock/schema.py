"""The shapes of Converse requests. A union has exactly one of its members.

Source: the service model of bedrock-runtime 2023-09-30 in botocore 1.44.8
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

__all__ = [
    "CachePoint",
    "Content",
    "ConverseRequest",
    "ConverseTokens",
    "CountTokensRequest",
    "Document",
    "DocumentSource",
    "Image",
    "Message",
    "OutputConfig",
    "Reasoning",
    "ResultContent",
    "SearchResult",
    "Source",
    "SystemContent",
    "ToolChoice",
    "ToolConfig",
    "ToolResult",
    "ToolUse",
]

_NonEmpty = Annotated[str, Meta(min_length=1)]
_ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
_ToolUseId = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_.:-]{1,64}$")]
_Share = Annotated[float, Meta(ge=0, le=1)]
_MetadataKey = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}$")]
_MetadataValue = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}$")]
_Nothing = Annotated[dict[str, Any], Meta(max_length=0)]


class _Strict(Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class CachePoint(_Strict):
    type: Literal["default"]
    ttl: Literal["5m", "1h"] | UnsetType = UNSET


class S3Location(_Strict):
    uri: Annotated[str, Meta(pattern=r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$", max_length=1024)]
    bucket_owner: Annotated[str, Meta(pattern=r"^[0-9]{12}$")] | UnsetType = UNSET


class Source(_Strict):
    bytes: str | UnsetType = UNSET  # base64
    s3_location: S3Location | UnsetType = UNSET


class Image(_Strict):
    format: Literal["png", "jpeg", "gif", "webp"]
    source: Source


class Video(_Strict):
    format: Literal["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]
    source: Source


class Audio(_Strict):
    format: Literal[
        "mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"
    ]
    source: Source


class Text(_Strict):
    text: str


class Citations(_Strict):
    enabled: bool


class DocumentSource(_Strict):
    bytes: str | UnsetType = UNSET
    s3_location: S3Location | UnsetType = UNSET
    text: str | UnsetType = UNSET
    content: list[Text] | UnsetType = UNSET


class Document(_Strict):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    source: DocumentSource
    format: Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"] | UnsetType = UNSET
    context: str | UnsetType = UNSET
    citations: Citations | UnsetType = UNSET


class ToolUse(_Strict):
    tool_use_id: _ToolUseId
    name: _ToolName
    input: Any
    type: Literal["server_tool_use"] | UnsetType = UNSET


class SearchResult(_Strict):
    source: str
    title: str
    content: list[Text]
    citations: Citations | UnsetType = UNSET


class ResultContent(_Strict):
    json: Any = UNSET
    text: str | UnsetType = UNSET
    image: Image | UnsetType = UNSET
    document: Document | UnsetType = UNSET
    video: Video | UnsetType = UNSET
    search_result: SearchResult | UnsetType = UNSET


class ToolResult(_Strict):
    tool_use_id: _ToolUseId
    content: list[ResultContent]
    status: Literal["success", "error"] | UnsetType = UNSET
    type: str | UnsetType = UNSET


class ReasoningText(_Strict):
    text: str
    signature: str | UnsetType = UNSET


class Reasoning(_Strict):
    reasoning_text: ReasoningText | UnsetType = UNSET
    redacted_content: str | UnsetType = UNSET  # base64


class GuardText(_Strict):
    text: str
    qualifiers: list[Literal["grounding_source", "query", "guard_content"]] | UnsetType = UNSET


class GuardContent(_Strict):
    text: GuardText | UnsetType = UNSET
    image: Image | UnsetType = UNSET


class CitationsContent(_Strict):
    content: list[Text] | UnsetType = UNSET
    citations: list[dict[str, Any]] | UnsetType = UNSET


class Content(_Strict):
    text: str | UnsetType = UNSET
    image: Image | UnsetType = UNSET
    document: Document | UnsetType = UNSET
    video: Video | UnsetType = UNSET
    audio: Audio | UnsetType = UNSET
    tool_use: ToolUse | UnsetType = UNSET
    tool_result: ToolResult | UnsetType = UNSET
    guard_content: GuardContent | UnsetType = UNSET
    cache_point: CachePoint | UnsetType = UNSET
    reasoning_content: Reasoning | UnsetType = UNSET
    citations_content: CitationsContent | UnsetType = UNSET
    search_result: SearchResult | UnsetType = UNSET


class Message(_Strict):
    role: Literal["user", "assistant", "system"]
    content: list[Content]


class SystemContent(_Strict):
    text: _NonEmpty | UnsetType = UNSET
    guard_content: GuardContent | UnsetType = UNSET
    cache_point: CachePoint | UnsetType = UNSET


class InferenceConfig(_Strict):
    max_tokens: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    temperature: _Share | UnsetType = UNSET
    top_p: _Share | UnsetType = UNSET
    stop_sequences: Annotated[list[_NonEmpty], Meta(max_length=2500)] | UnsetType = UNSET


class InputSchema(_Strict):
    json: dict[str, Any]


class ToolSpec(_Strict):
    name: _ToolName
    input_schema: InputSchema
    description: _NonEmpty | UnsetType = UNSET
    strict: bool | UnsetType = UNSET


class SystemTool(_Strict):
    name: _ToolName


class Tool(_Strict):
    tool_spec: ToolSpec | UnsetType = UNSET
    system_tool: SystemTool | UnsetType = UNSET
    cache_point: CachePoint | UnsetType = UNSET


class NamedTool(_Strict):
    name: _ToolName


class ToolChoice(_Strict):
    auto: _Nothing | UnsetType = UNSET
    any: _Nothing | UnsetType = UNSET
    tool: NamedTool | UnsetType = UNSET


class ToolConfig(_Strict):
    tools: Annotated[list[Tool], Meta(min_length=1)]
    tool_choice: ToolChoice | UnsetType = UNSET


class GuardrailConfig(_Strict):
    guardrail_identifier: (
        Annotated[
            str, Meta(pattern=r"^(|[a-z0-9]+|arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+)$")
        ]
        | UnsetType
    ) = UNSET
    guardrail_version: Annotated[str, Meta(pattern=r"^(|[1-9][0-9]{0,7}|DRAFT)$")] | UnsetType = UNSET
    trace: Literal["enabled", "disabled", "enabled_full"] | UnsetType = UNSET
    stream_processing_mode: Literal["sync", "async"] | UnsetType = UNSET  # streams only


class PerformanceConfig(_Strict):
    latency: Literal["standard", "optimized"] | UnsetType = UNSET


class ServiceTier(_Strict):
    type: Literal["priority", "default", "flex", "reserved"]


class JsonSchema(_Strict):
    schema: str  # JSON
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET


class Structure(_Strict):
    json_schema: JsonSchema


class TextFormat(_Strict):
    type: Literal["json_schema"]
    structure: Structure


class OutputConfig(_Strict):
    text_format: TextFormat | UnsetType = UNSET
    effort: Annotated[str, Meta(max_length=16)] | UnsetType = UNSET


class ConverseTokens(_Strict):
    """What is counted; also the beginning of every Converse request."""

    messages: list[Message] | UnsetType = UNSET
    system: list[SystemContent] | UnsetType = UNSET
    tool_config: ToolConfig | UnsetType = UNSET
    additional_model_request_fields: dict[str, Any] | UnsetType = UNSET


class ConverseRequest(ConverseTokens):
    inference_config: InferenceConfig | UnsetType = UNSET
    guardrail_config: GuardrailConfig | UnsetType = UNSET
    project_identifier: Annotated[str, Meta(min_length=1, max_length=2048)] | UnsetType = UNSET
    prompt_variables: dict[str, Text] | UnsetType = UNSET
    additional_model_response_field_paths: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(max_length=10)] | UnsetType
    ) = UNSET
    request_metadata: Annotated[dict[_MetadataKey, _MetadataValue], Meta(min_length=1, max_length=16)] | UnsetType = (
        UNSET
    )
    performance_config: PerformanceConfig | UnsetType = UNSET
    service_tier: ServiceTier | UnsetType = UNSET
    output_config: OutputConfig | UnsetType = UNSET


class InvokeTokens(_Strict):
    body: str  # base64


class CountTokensInput(_Strict):
    invoke_model: InvokeTokens | UnsetType = UNSET
    converse: ConverseTokens | UnsetType = UNSET


class CountTokensRequest(_Strict):
    input: CountTokensInput
