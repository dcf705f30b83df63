"""The shape of a generateContent request, after all names were put into camelCase.

Source: https://ai.google.dev/api/generate-content (read 2026-11-24) and type definitions of google-genai 3.4.0
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

__all__ = [
    "Blob",
    "Content",
    "FileData",
    "FunctionCall",
    "FunctionCallingConfig",
    "FunctionDeclaration",
    "FunctionResponse",
    "GenerateContentRequest",
    "GenerationConfig",
    "ImageConfig",
    "Part",
    "SpeechConfig",
    "Strict",
    "ThinkingConfig",
    "Tool",
    "VoiceConfig",
]

_Penalty = Annotated[float, Meta(ge=-2, le=2)]


class Strict(Struct, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    pass


class Blob(Strict):
    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(Strict):
    mime_type: str | None = None
    file_uri: str | None = None
    display_name: str | None = None


class FunctionCall(Strict):
    name: str
    id: str | None = None
    args: dict[str, Any] = {}


class FunctionResponsePart(Strict):
    inline_data: Blob | None = None
    file_data: FileData | None = None
    media_resolution: dict[str, Any] | None = None


class FunctionResponse(Strict):
    name: str
    response: dict[str, Any]
    id: str | None = None
    parts: list[FunctionResponsePart] = []
    will_continue: bool | None = None
    scheduling: str | None = None


class Part(Strict):
    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: dict[str, Any] | None = None
    code_execution_result: dict[str, Any] | None = None
    tool_call: dict[str, Any] | None = None
    tool_response: dict[str, Any] | None = None
    thought: bool = False
    thought_signature: str | None = None
    video_metadata: dict[str, Any] | None = None
    media_resolution: dict[str, Any] | None = None
    part_metadata: dict[str, Any] | None = None
    audio_transcription: dict[str, Any] | None = None
    media_processing: dict[str, Any] | str | None = None
    speech_metadata: dict[str, Any] | None = None
    document_metadata: dict[str, Any] | None = None
    spreadsheet_metadata: dict[str, Any] | None = None
    audio_metadata: dict[str, Any] | None = None


class Content(Strict):
    parts: list[Part] = []
    role: str = ""


class FunctionDeclaration(Strict):
    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    parameters_json_schema: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    behavior: str | None = None


class Tool(Strict):
    function_declarations: list[FunctionDeclaration] = []
    google_search: dict[str, Any] | None = None
    google_search_retrieval: dict[str, Any] | None = None
    google_maps: dict[str, Any] | None = None
    url_context: dict[str, Any] | None = None
    code_execution: dict[str, Any] | None = None
    file_search: dict[str, Any] | None = None
    computer_use: dict[str, Any] | None = None
    mcp_servers: list[dict[str, Any]] | None = None


class FunctionCallingConfig(Strict):
    mode: Literal["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"] = "AUTO"
    allowed_function_names: list[str] = []


class ToolConfig(Strict):
    function_calling_config: FunctionCallingConfig = field(default_factory=FunctionCallingConfig)
    retrieval_config: dict[str, Any] | None = None
    include_server_side_tool_invocations: bool | None = None


class SafetySetting(Strict):
    category: Literal[
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
        "HARM_CATEGORY_JAILBREAK",
        "HARM_CATEGORY_IMAGE_HATE",
        "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
        "HARM_CATEGORY_IMAGE_HARASSMENT",
        "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
    ]
    threshold: Literal[
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
        "BLOCK_LOW_AND_ABOVE",
        "BLOCK_MEDIUM_AND_ABOVE",
        "BLOCK_ONLY_HIGH",
        "BLOCK_NONE",
        "OFF",
    ]
    method: Literal["HARM_BLOCK_METHOD_UNSPECIFIED", "SEVERITY", "PROBABILITY"] | None = None


class ThinkingConfig(Strict):
    include_thoughts: bool = False
    thinking_budget: Annotated[int, Meta(ge=-1)] | None = None
    thinking_level: Literal["THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"] | None = None


class ImageOutputOptions(Strict):
    mime_type: Literal["image/png", "image/jpeg"] | None = None
    compression_quality: Annotated[int, Meta(ge=0, le=100)] | None = None


class ImageConfig(Strict):
    aspect_ratio: str | None = None
    image_size: str | None = None
    person_generation: Literal["ALLOW_ALL", "ALLOW_ADULT", "ALLOW_NONE"] | None = None
    prominent_people: str | None = None
    image_output_options: ImageOutputOptions = field(default_factory=ImageOutputOptions)


class PrebuiltVoiceConfig(Strict):
    voice_name: str | None = None


class VoiceConfig(Strict):
    prebuilt_voice_config: PrebuiltVoiceConfig | None = None
    replicated_voice_config: dict[str, Any] | None = None
    voice: str | None = None


class SpeakerVoiceConfig(Strict):
    speaker: str
    voice_config: VoiceConfig


class MultiSpeakerVoiceConfig(Strict):
    speaker_voice_configs: list[SpeakerVoiceConfig]


class SpeechConfig(Strict):
    voice_config: VoiceConfig | None = None
    multi_speaker_voice_config: MultiSpeakerVoiceConfig | None = None
    language_code: str | None = None


class AudioTranscriptionConfig(Strict):
    language_codes: list[str] = []
    language_auto: dict[str, Any] | None = None
    language_hints: dict[str, Any] | None = None
    custom_vocabulary: list[str] = []
    adaptation_phrases: list[str] = []
    word_timestamp: bool | None = None
    diarization: bool | None = None
    mode: Literal["MODE_UNSPECIFIED", "VERBATIM", "SMART"] | None = None
    source_text: str | None = None


class GenerationConfig(Strict):
    max_output_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=5)] = []
    candidate_count: Annotated[int, Meta(ge=1, le=8)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[float, Meta(ge=0)] | None = None
    seed: int | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    response_logprobs: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_mime_type: str | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    response_modalities: list[Literal["MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"]] = []
    image_config: ImageConfig | None = None
    speech_config: SpeechConfig | None = None
    audio_transcription_config: AudioTranscriptionConfig | None = None
    audio_timestamp: bool | None = None
    routing_config: dict[str, Any] | None = None
    model_config: dict[str, Any] | None = None
    media_resolution: str | None = None
    thinking_config: ThinkingConfig = field(default_factory=ThinkingConfig)
    enable_enhanced_civic_answers: bool | None = None


class GenerateContentRequest(Strict):
    contents: list[Content] = []
    model: str | None = None
    system_instruction: Content | None = None
    tools: list[Tool] = []
    tool_config: ToolConfig = field(default_factory=ToolConfig)
    safety_settings: list[SafetySetting] = []
    generation_config: GenerationConfig = field(default_factory=GenerationConfig)
    cached_content: str | None = None
    service_tier: Literal["unspecified", "flex", "standard", "priority"] | None = None
    labels: dict[str, str] | None = None
    model_armor_config: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    store: bool | None = None
    continuation_token: str | None = None
