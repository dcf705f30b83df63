"""The shape of a Responses request: a field that is not here is an unknown parameter.

Input items, their contents and tools are taken apart by `reading`, one by one, because their tags may be left out.
`X | None` is a field that may be null, `X | UnsetType` one that may only be left out.
Source: type definitions of the official SDK, openai 3.54.0 (read 2026-11-24)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from pulse_gateway.testing.simulator.openai.body import Strict
from pulse_gateway.testing.simulator.openai.schema import Breakpoint

__all__ = [
    "CONTENTS",
    "HOSTED_ITEMS",
    "HOSTED_TOOLS",
    "INCLUDABLE",
    "ITEMS",
    "CountRequest",
    "CustomCall",
    "CustomCallOutput",
    "CustomTool",
    "FunctionCall",
    "FunctionCallOutput",
    "FunctionTool",
    "InputAudio",
    "InputFile",
    "InputImage",
    "InputText",
    "ItemReference",
    "JsonObject",
    "JsonSchemaFormat",
    "Message",
    "OutputText",
    "ReasoningItem",
    "RefusalPart",
    "ResponseRequest",
    "TextSettings",
]

_Status = Literal["in_progress", "completed", "incomplete"]
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_MaxOutput = Annotated[int, Meta(ge=16)]  # the API's own minimum

# ── contents ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class InputText(Strict):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: Breakpoint | UnsetType = UNSET


class InputImage(Strict):
    type: Literal["input_image"]
    detail: Literal["auto", "low", "high", "original"] | UnsetType = UNSET
    file_id: str | None = None
    image_url: str | None = None
    prompt_cache_breakpoint: Breakpoint | UnsetType = UNSET


class InputFile(Strict):
    type: Literal["input_file"]
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET
    file_data: str | UnsetType = UNSET
    file_id: str | None = None
    file_url: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    prompt_cache_breakpoint: Breakpoint | UnsetType = UNSET


class AudioData(Strict):
    data: str
    format: Literal["mp3", "wav"]


class InputAudio(Strict):
    type: Literal["input_audio"]
    input_audio: AudioData


class OutputText(Strict):
    type: Literal["output_text"]
    text: str
    annotations: list[dict[str, Any]] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)


class RefusalPart(Strict):
    type: Literal["refusal"]
    refusal: str


CONTENTS: dict[str, type[Strict]] = {
    "input_text": InputText,
    "input_image": InputImage,
    "input_file": InputFile,
    "input_audio": InputAudio,
    "output_text": OutputText,
    "refusal": RefusalPart,
}

# ── items ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Message(Strict):
    """Easy messages, input messages and output messages: the contents tell them apart."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[dict[str, Any]]
    type: Literal["message"] | UnsetType = UNSET
    id: str | UnsetType = UNSET
    status: _Status | UnsetType = UNSET
    phase: Literal["commentary", "final_answer"] | None = None


class FunctionCall(Strict):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | UnsetType = UNSET
    status: _Status | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    caller: dict[str, Any] | None = None
    is_async: bool | UnsetType = field(name="async", default=UNSET)


class FunctionCallOutput(Strict):
    type: Literal["function_call_output"]
    output: str | list[dict[str, Any]]
    call_id: str
    id: str | None = None
    name: str | None = None
    namespace: str | None = None
    status: _Status | None = None
    caller: dict[str, Any] | None = None


class CustomCall(Strict):
    type: Literal["custom_tool_call"]
    call_id: str
    name: str
    input: str
    id: str | UnsetType = UNSET
    status: _Status | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    caller: dict[str, Any] | None = None
    is_async: bool | UnsetType = field(name="async", default=UNSET)


class CustomCallOutput(Strict):
    type: Literal["custom_tool_call_output"]
    output: str | list[dict[str, Any]]
    call_id: str
    id: str | UnsetType = UNSET
    status: _Status | UnsetType = UNSET
    caller: dict[str, Any] | None = None


class SummaryText(Strict):
    type: Literal["summary_text"]
    text: str


class ReasoningText(Strict):
    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(Strict):
    type: Literal["reasoning"]
    id: str
    summary: list[SummaryText]
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    status: _Status | None = None


class ItemReference(Strict):
    id: str
    type: Literal["item_reference"] | None = None


ITEMS: dict[str, type[Strict]] = {
    "message": Message,
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
    "custom_tool_call": CustomCall,
    "custom_tool_call_output": CustomCallOutput,
    "reasoning": ReasoningItem,
    "item_reference": ItemReference,
}
HOSTED_ITEMS = frozenset(
    {
        "additional_tools", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call", "compaction",
        "compaction_trigger", "computer_call", "computer_call_output", "configuration_update", "file_search_call",
        "image_generation_call", "local_shell_call", "local_shell_call_output", "mcp_approval_request",
        "mcp_approval_response", "mcp_call", "mcp_list_tools", "program", "program_output", "shell_call",
        "shell_call_output", "tool_search_call", "tool_search_output", "web_search_call",
    }
)  # fmt: skip
"""Taken as they are: what hosted tools leave behind is not looked into."""

# ── tools and formats ─────────────────────────────────────────────────────────────────────────────────────────────────


class FunctionTool(Strict):
    type: Literal["function"]
    name: _Name
    parameters: dict[str, Any] | None = None
    strict: bool | UnsetType | None = UNSET  # left out: strict as far as the schema goes
    description: str | None = None
    allowed_callers: list[Literal["direct", "programmatic"]] | None = None
    defer_loading: bool | UnsetType = UNSET
    output_schema: dict[str, Any] | None = None
    is_async: bool | UnsetType = field(name="async", default=UNSET)


class PlainFormat(Strict, tag_field="type", tag="text"):
    pass


class GrammarFormat(Strict, tag_field="type", tag="grammar"):
    definition: str
    syntax: Literal["lark", "regex"]


class CustomTool(Strict):
    type: Literal["custom"]
    name: _Name
    description: str | UnsetType = UNSET
    format: PlainFormat | GrammarFormat | UnsetType = UNSET
    allowed_callers: list[Literal["direct", "programmatic"]] | None = None
    defer_loading: bool | UnsetType = UNSET
    is_async: bool | UnsetType = field(name="async", default=UNSET)


HOSTED_TOOLS = frozenset(
    {
        "apply_patch", "code_interpreter", "computer", "computer_use_preview", "file_search", "image_generation",
        "local_shell", "mcp", "namespace", "programmatic_tool_calling", "shell", "tool_search", "web_search",
        "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11",
    }
)  # fmt: skip
"""Accepted and never called."""


class JsonObject(Strict, tag_field="type", tag="json_object"):
    pass


class JsonSchemaFormat(Strict, tag_field="type", tag="json_schema"):
    name: _Name
    schema: dict[str, Any]
    description: str | UnsetType = UNSET
    strict: bool | None = None


class TextSettings(Strict):
    format: PlainFormat | JsonObject | JsonSchemaFormat | UnsetType = UNSET
    verbosity: Literal["low", "medium", "high"] | None = None


# ── the request ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Reasoning(Strict):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: Literal["standard", "pro"] | None = None


class StreamOptions(Strict):
    include_obfuscation: bool | UnsetType = UNSET


class CacheOptions(Strict):
    mode: Literal["implicit", "explicit"] | UnsetType = UNSET
    ttl: Literal["30m", "12h"] | UnsetType = UNSET
    prewarm: bool | UnsetType = UNSET
    comparison_response_id: str | None = None


class BackgroundOptions(Strict):
    completion_window: Literal["soonest", "2h", "8h"] | UnsetType = UNSET
    continuation_id: str | UnsetType = UNSET


class PromptTemplate(Strict):
    id: str
    variables: dict[str, Any] | None = None
    version: str | None = None


class ContextManagement(Strict):
    type: str
    compact_threshold: int | None = None


class ImageSettings(Strict):
    context_compression: Literal["auto", "enabled", "disabled"] | UnsetType = UNSET


INCLUDABLE = Literal[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]


class _Read(Strict, kw_only=True):
    """What the model reads."""

    input: str | list[Any] | None = None
    instructions: str | None = None
    conversation: str | dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    reasoning: Reasoning | None = None
    text: TextSettings | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    truncation: Literal["auto", "disabled"] | None = None


class CountRequest(_Read, kw_only=True):
    model: str | None = None
    personality: str | UnsetType = UNSET


class ResponseRequest(_Read, kw_only=True):
    model: str
    access_programs: dict[str, str] | UnsetType = UNSET
    background: bool | None = None
    background_options: BackgroundOptions | UnsetType = UNSET
    context_management: list[ContextManagement] | None = None
    image: ImageSettings | UnsetType = UNSET
    include: list[INCLUDABLE] | None = None
    max_output_tokens: _MaxOutput | None = None
    max_tool_calls: Annotated[int, Meta(ge=1)] | None = None
    metadata: dict[str, Annotated[str, Meta(max_length=512)]] | None = None
    moderation: dict[str, Any] | None = None
    prompt: PromptTemplate | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | UnsetType = UNSET
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    safety_identifier: str | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | UnsetType = UNSET
