"""The shape of a request to create an interaction. Only snake_case is read.

Source: https://ai.google.dev/api/interactions-api (read 2026-11-24) and type definitions of google-genai 3.4.0
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

__all__ = [
    "AudioFormat", "Content", "CreateInteraction", "FunctionCallStep", "FunctionResultStep", "FunctionTool", "ImageFormat",
    "Media", "ModelOutputStep", "Step", "TextContent", "TextFormat", "ThoughtStep", "UserInputStep", "VideoFormat",
]  # fmt: skip


class _Exact(Struct, kw_only=True, forbid_unknown_fields=True):
    pass


class _Tagged(_Exact, tag_field="type"):
    pass


class TextContent(_Tagged, tag="text"):
    text: str
    annotations: list[dict[str, Any]] = []


class Media(_Tagged):
    data: str | None = None
    uri: str | None = None
    mime_type: str | None = None
    resolution: Literal["low", "medium", "high", "ultra_high"] | None = None


class ImageContent(Media, tag="image"):
    pass


class AudioContent(Media, tag="audio"):
    channels: int | None = None
    sample_rate: int | None = None
    processing: Any = None


class VideoContent(Media, tag="video"):
    name: str | None = None
    processing: Any = None


class DocumentContent(Media, tag="document"):
    processing: Any = None


Content = TextContent | ImageContent | AudioContent | VideoContent | DocumentContent


class UserInputStep(_Tagged, tag="user_input"):
    content: list[Content] = []


class ModelOutputStep(_Tagged, tag="model_output"):
    content: list[Content] = []
    error: dict[str, Any] | None = None


class ThoughtStep(_Tagged, tag="thought"):
    signature: str | None = None
    summary: list[TextContent | ImageContent] = []


class FunctionCallStep(_Tagged, tag="function_call"):
    id: str
    name: str
    arguments: dict[str, Any]


class FunctionResultStep(_Tagged, tag="function_result"):
    call_id: str
    result: str | dict[str, Any] | list[Any]
    name: str | None = None
    is_error: bool | None = None


Step = UserInputStep | ModelOutputStep | ThoughtStep | FunctionCallStep | FunctionResultStep


class FunctionTool(_Tagged, tag="function"):
    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    short_description: str | None = None
    defer_loading: bool | None = None


class _GoogleSearch(_Tagged, tag="google_search"):
    search_types: list[str] = []


class _CodeExecution(_Tagged, tag="code_execution"):
    pass


class _UrlContext(_Tagged, tag="url_context"):
    pass


Tool = FunctionTool | _GoogleSearch | _CodeExecution | _UrlContext


class _AllowedTools(_Exact):
    mode: Literal["auto", "any", "none", "validated"] = "auto"
    tools: list[str] = []


class _ToolChoice(_Exact):
    allowed_tools: _AllowedTools = field(default_factory=_AllowedTools)


class SpeechConfig(_Exact):
    language: str | None = None
    speaker: str | None = None
    voice: str | None = None


class _SpeakerConfig(_Exact):
    speakers: list[SpeechConfig] = []


class _VideoConfig(_Exact):
    task: Literal["text_to_video", "image_to_video", "reference_to_video", "edit", "extend", "upscale"] | None = None


class _ImageConfig(_Exact):
    aspect_ratio: str | None = None
    image_size: str | None = None


class GenerationConfig(_Exact):
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=5)] = []
    seed: int | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    thinking_level: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None
    thinking_summaries: Literal["auto", "none"] | None = None
    tool_choice: Literal["auto", "any", "none", "validated"] | _ToolChoice | None = None
    image_config: _ImageConfig | None = None
    speech_config: _SpeakerConfig | list[SpeechConfig] | None = None
    transcription_config: dict[str, Any] | None = None
    video_config: _VideoConfig = field(default_factory=_VideoConfig)


class TextFormat(_Tagged, tag="text"):
    mime_type: Literal["text/plain", "application/json"] = "text/plain"
    schema: dict[str, Any] | None = None


class ImageFormat(_Tagged, tag="image"):
    aspect_ratio: str | None = None
    image_size: str | None = None
    mime_type: Literal["image/jpeg"] | None = None
    delivery: Literal["inline"] | None = None


class AudioFormat(_Tagged, tag="audio"):
    mime_type: Literal["audio/l16"] | None = None
    delivery: Literal["inline"] | None = None
    sample_rate: Literal[24000] | None = None
    bit_rate: int | None = None


class VideoFormat(_Tagged, tag="video"):
    aspect_ratio: Literal["16:9", "9:16"] | None = None
    delivery: Literal["inline", "uri"] = "inline"
    duration: Annotated[str, Meta(pattern=r"^\d+(\.\d+)?s$")] = "8s"
    resolution: Literal["360p", "720p", "1080p", "4k"] = "720p"


ResponseFormat = TextFormat | ImageFormat | AudioFormat | VideoFormat


class _SafetySetting(_Exact):
    type: str
    threshold: Literal["block_low_and_above", "block_medium_and_above", "block_only_high", "block_none", "off"]


class _WebhookConfig(_Exact):
    uris: list[str] = []
    user_metadata: dict[str, Any] | None = None


class CreateInteraction(_Exact):
    input: str | Content | list[Content | Step]
    model: str | None = None
    agent: str | None = None
    system_instruction: str | None = None
    tools: list[Tool] = []
    generation_config: GenerationConfig = field(default_factory=GenerationConfig)
    response_format: ResponseFormat | list[ResponseFormat] | None = None
    response_modalities: list[Literal["text", "image", "audio", "video"]] = []
    response_mime_type: str | None = None
    previous_interaction_id: str | None = None
    store: bool = True
    background: bool = False
    stream: bool = False
    service_tier: Literal["flex", "standard", "priority", "deferred"] = "standard"
    safety_settings: list[_SafetySetting] = []
    labels: dict[str, str] = {}
    webhook_config: _WebhookConfig | None = None
    cached_content: str | None = None
