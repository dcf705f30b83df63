"""A chat in no vendor's dialect: request, messages, reply.

A concept stands here once two of the three dialects have it. What a client sent and this form cannot hold travels in
`ChatRequest.extra` by its wire path, so that an encoder for another dialect refuses it by name.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = [
    "AudioPart", "ChatReply", "ChatRequest", "Choice", "DocumentPart", "FinishReason", "ImagePart", "Logprob", "Message",
    "Part", "ReasoningControl", "ReasoningPart", "RefusalPart", "ResponseFormat", "Role", "TextPart", "Tool", "ToolCallPart",
    "ToolChoice", "ToolResultPart",
]  # fmt: skip

Role = Literal["system", "user", "assistant", "tool"]


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """Either `data` (standard base64, padded) with its `media_type`, or a `url`."""

    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    detail: str | None = None


class AudioPart(msgspec.Struct, frozen=True, tag="audio"):
    media_type: str
    data: str  # standard base64


class DocumentPart(msgspec.Struct, frozen=True, tag="document"):
    """A PDF or plain text: base64 `data`, plain `text`, or a `url`."""

    media_type: str | None = None
    data: str | None = None
    text: str | None = None
    url: str | None = None
    title: str | None = None


class ToolCallPart(msgspec.Struct, frozen=True, tag="tool_call"):
    """`arguments` is the JSON text as the model wrote it. `signature` is Gemini's thought signature (base64)."""

    id: str
    name: str
    arguments: str
    signature: str | None = None


class ToolResultPart(msgspec.Struct, frozen=True, tag="tool_result"):
    """The answer to the call `call_id`; `name` is the tool's, filled in by decoders of dialects that repeat it."""

    call_id: str
    parts: tuple[TextPart | ImagePart | DocumentPart, ...]
    name: str | None = None
    is_error: bool = False
    structured: bool = False  # the text is a JSON object that Gemini sent as an object


class ReasoningPart(msgspec.Struct, frozen=True, tag="reasoning"):
    """Thinking. `signature` proves it to its vendor; `redacted` is an encrypted block that has no text."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None


class RefusalPart(msgspec.Struct, frozen=True, tag="refusal"):
    text: str


Part = TextPart | ImagePart | AudioPart | DocumentPart | ToolCallPart | ToolResultPart | ReasoningPart | RefusalPart


class Message(msgspec.Struct, frozen=True):
    """One turn. Role `tool` holds only `ToolResultPart`s; a user turn of another dialect that mixes both is two messages."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    path: str = ""  # where the client wrote it: "messages[3]", "contents[0]", "system"


class Tool(msgspec.Struct, frozen=True):
    """A function the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """`required`: some tool. `names` narrows it to these; one name with `required` is a forced call."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


class ResponseFormat(msgspec.Struct, frozen=True):
    """`json_object` without a schema, `json_schema` with one."""

    kind: Literal["text", "json_object", "json_schema"]
    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ReasoningControl(msgspec.Struct, frozen=True):
    """How hard to think: an `effort` word, or a `budget_tokens` (0: off, -1: the model decides). `summary`: show the text."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    summary: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Field names are the neutral ones; `Codec.field_paths` says how each dialect spells them."""

    model: str
    messages: tuple[Message, ...]
    stream: bool = False
    include_usage: bool = False
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning: ReasoningControl | None = None
    user: str | None = None
    extra: dict[str, Any] = {}  # wire path → value: no neutral form, another dialect refuses it by this name
    hints: dict[str, Any] = {}  # wire path → value: no neutral form, but another dialect may drop it and say so


class FinishReason(Enum):
    STOP = "stop"
    STOP_SEQUENCE = "stop_sequence"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    PAUSE = "pause"  # Anthropic's pause_turn: send the answer back to go on


class Logprob(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    index: int = 0
    parts: tuple[Part, ...] = ()
    finish_reason: FinishReason | None = None
    stop_sequence: str | None = None
    logprobs: tuple[Logprob, ...] | None = None


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. `created` is seconds since the epoch. `cost_nano_usd` is the vendor's own word, if it says so, until the gateway sets it;
    None: no known price."""

    id: str
    model: str
    choices: tuple[Choice, ...]
    usage: Usage | None = None
    created: int | None = None
    cost_nano_usd: int | None = None

    @property
    def text(self) -> str:
        """The first choice's visible text."""
        return "".join(part.text for part in self._first() if isinstance(part, TextPart))

    @property
    def reasoning(self) -> str:
        return "".join(part.text for part in self._first() if isinstance(part, ReasoningPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        return tuple(part for part in self._first() if isinstance(part, ToolCallPart))

    @property
    def finish_reason(self) -> FinishReason | None:
        return self.choices[0].finish_reason if self.choices else None

    @property
    def cost(self) -> int | None:
        """Nano-dollars (1 USD = 1_000_000_000); None when the model has no known price."""
        return self.cost_nano_usd

    def _first(self) -> tuple[Part, ...]:
        return self.choices[0].parts if self.choices else ()
