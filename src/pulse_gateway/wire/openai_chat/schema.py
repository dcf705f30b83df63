"""What Chat Completions puts on the wire, as far as anybody here looks at it. Unknown members are skipped, never an error.

Source: type definitions of the `openai` SDK 3.54.0 (`openai/types/chat`), read 2026-11-24; the vendors' deviations are
noted where they are read.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from pulse_gateway.wire.codec import MAX_COUNT
from pulse_gateway.wire.foreign_json import from_client, not_of_protocol
from pulse_gateway.wire.prompt_texts import Text, is_text, read_later
from pulse_gateway.wire.told_cost import ToldCost

__all__ = [
    "ROLES",
    "Answer",
    "AnyObject",
    "ChoiceRecord",
    "Completion",
    "CompletionTokensDetails",
    "ContentPiece",
    "FunctionRecord",
    "LogprobEntry",
    "LogprobsRecord",
    "MessageHead",
    "PartHead",
    "PromptTokensDetails",
    "RequestHead",
    "ToolCallRecord",
    "UnreadMessageHead",
    "UnreadPartHead",
    "UsageRecord",
    "decode_completion",
    "decode_request_head",
    "decode_request_object",
    "decode_unread_content",
]  # fmt: skip

_Role = Literal["developer", "system", "user", "assistant", "tool", "function"]
ROLES = ", ".join(typing.get_args(_Role))

# ── requests: the head that every request is checked by ───────────────────────────────────────────────────────────────

_Positive = Annotated[int, Meta(ge=1, le=MAX_COUNT)]


class AnyObject(Struct):
    """An object whose members are somebody else's business."""


_NULL = Raw(b"null")


class _StreamOptions(Struct):
    include_usage: bool | None = None


class PartHead(Struct):
    type: str
    text: str | None = None
    refusal: str | None = None


class MessageHead(Struct):
    role: _Role
    content: str | list[PartHead] | None = None
    tool_call_id: str | None = None


class UnreadMessageHead(Struct):
    role: _Role
    content: Raw = _NULL
    tool_call_id: str | None = None


class UnreadPartHead(Struct):
    type: str
    text: Raw = _NULL
    refusal: str | None = None


_M = TypeVar("_M")


class RequestHead(Struct, Generic[_M]):
    """The members that the gateway acts on or vouches for. `logprobs` is a number at some compatible vendors."""

    messages: Annotated[list[_M], Meta(min_length=1)]
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: _Positive | None = None
    max_completion_tokens: _Positive | None = None
    n: _Positive | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    logprobs: bool | int | None = None
    top_logprobs: int | None = None
    tools: list[AnyObject] | None = None
    tool_choice: str | AnyObject | None = None
    parallel_tool_calls: bool | None = None
    response_format: AnyObject | None = None
    reasoning_effort: str | None = None
    user: str | None = None


_head = msgspec.json.Decoder(RequestHead[MessageHead]).decode
_unread_head = msgspec.json.Decoder(RequestHead[UnreadMessageHead]).decode
_unread_content = msgspec.json.Decoder(str | list[UnreadPartHead] | None).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode
_WORDS = {".role": ROLES}


def decode_request_head(body: bytes) -> RequestHead[MessageHead] | RequestHead[UnreadMessageHead]:
    """Raises: InvalidRequest, `param` naming the path of the bad member."""
    decode: Callable[[bytes | Raw], RequestHead[Any]] = _unread_head if read_later(body) else _head
    return from_client(decode, body, words=_WORDS)


def decode_unread_content(content: Raw, path: str) -> Text | list[UnreadPartHead] | None:
    """Raises: InvalidRequest, `param` naming the path of the bad member."""
    return content if is_text(content) else from_client(_unread_content, content, at=path)


def decode_request_object(body: bytes) -> dict[str, Any]:
    """Raises: InvalidRequest when the body is no JSON object."""
    return from_client(_object, body)


# ── answers: one schema for a whole reply and for a chunk of a stream ─────────────────────────────────────────────────


class PromptTokensDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class CompletionTokensDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class UsageRecord(ToldCost):
    """`prompt_cache_hit_tokens` is DeepSeek's word for cached tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None
    prompt_cache_hit_tokens: int | None = None


class _GroqExtras(Struct):
    usage: UsageRecord | None = None


class ContentPiece(Struct):
    """Mistral's content may be a list of these; `thinking` is a list of text pieces, or a string."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    thinking: Any = None


class FunctionRecord(Struct):
    """`arguments` is JSON text; a few servers send the object itself."""

    name: str | None = None
    arguments: Any = None


class ToolCallRecord(Struct):
    """A call, or in a stream a fragment of one. `extra_content` carries Gemini's thought signature."""

    index: int | None = None
    id: str | None = None
    function: FunctionRecord | None = None
    extra_content: Any = None


class Answer(Struct):
    """A `message` or a `delta`. The text of reasoning is `reasoning_content` at some vendors and `reasoning` at others."""

    content: str | list[ContentPiece] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    reasoning_details: Any = None
    tool_calls: list[ToolCallRecord] | None = None
    function_call: FunctionRecord | None = None

    @property
    def plain_text(self) -> str | None:
        """What it says, where that is text and nothing else but perhaps calls; None where more is to be looked at."""
        content = self.content
        if (
            type(content) is not str
            or self.reasoning_content
            or self.reasoning
            or self.reasoning_details
            or self.refusal
        ):
            return None
        return content


class _TopLogprob(Struct):
    token: str
    logprob: float


class LogprobEntry(Struct):
    token: str
    logprob: float
    top_logprobs: list[_TopLogprob] | None = None


class LogprobsRecord(Struct):
    """Together's form of it are the two lists at the end, one entry for each token."""

    content: list[LogprobEntry] | None = None
    refusal: list[LogprobEntry] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None


class ChoiceRecord(Struct):
    index: int | None = None
    message: Answer | None = None
    delta: Answer | None = None
    finish_reason: str | None = None
    logprobs: LogprobsRecord | None = None


class Completion(Struct):
    """`error` and `object: "error"` appear with status 200 at routers, and inside streams; so does an error without an envelope."""

    id: str | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    choices: list[ChoiceRecord] | None = None
    usage: UsageRecord | None = None
    x_groq: _GroqExtras | None = None
    error: Any = None
    message: Any = None

    @property
    def is_error(self) -> bool:
        return bool(self.error) or self.object == "error" or (self.choices is None and isinstance(self.message, str))


_completion = msgspec.json.Decoder(Completion).decode


def decode_completion(body: bytes) -> Completion:
    """Most frames of a stream come through here, so it does by itself what `from_provider` does.

    Raises: UpstreamProtocolError when `body` is no JSON object of this shape.
    """
    try:
        return _completion(body)
    except (ValueError, RecursionError) as error:
        raise not_of_protocol(error) from error
