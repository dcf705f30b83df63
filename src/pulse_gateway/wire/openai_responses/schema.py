"""What Responses puts on the wire, as far as anybody here looks at it. Unknown members are skipped, never an error.

An item, a content part or an event of a type that nobody here knows may look like anything, so its type is read before the
rest of it.

Source: type definitions of the `openai` SDK 3.54.0 (`openai/types/responses`), read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from pulse_gateway.wire.codec import MAX_COUNT
from pulse_gateway.wire.foreign_json import from_client, from_provider, not_of_protocol
from pulse_gateway.wire.prompt_texts import read_later
from pulse_gateway.wire.told_cost import ToldCost

__all__ = [
    "ROLES", "AnyObject", "CallRecord", "ContentRecord", "DeltaRecord", "DoneRecord", "ErrorRecord", "ItemEvent", "ItemHead",
    "LogprobRecord", "MessageRecord", "PartHead", "ReasoningRecord", "RequestHead", "ResponseEvent", "ResponseRecord",
    "UnreadPartHead", "UsageRecord", "decode_request_head", "decode_request_object", "parse_call", "parse_delta", "parse_done", "parse_error",
    "parse_item_event", "parse_message", "parse_reasoning", "parse_response", "parse_response_event", "parse_type",
]  # fmt: skip

ROLES = ("user", "assistant", "system", "developer")

# ── requests: the head that every request is checked by ───────────────────────────────────────────────────────────────

_Positive = Annotated[int, Meta(ge=1, le=MAX_COUNT)]


class AnyObject(Struct):
    """An object whose members are somebody else's business."""


class PartHead(Struct):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class UnreadPartHead(Struct):
    type: str | None = None
    text: Raw = Raw(b"null")
    refusal: str | None = None


_P = TypeVar("_P", PartHead, UnreadPartHead)


class ItemHead(Struct, Generic[_P]):
    """Of items of some types `content` and `output` are objects."""

    type: str | None = None
    role: str | None = None
    content: str | list[_P] | AnyObject | None = None
    output: str | list[_P] | AnyObject | None = None


class _Prompt(Struct):
    variables: dict[str, str | PartHead] | None = None


class RequestHead(Struct, Generic[_P]):
    """The members that the gateway acts on or vouches for."""

    model: str | None = None
    input: str | list[ItemHead[_P]] | None = None
    instructions: str | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: str | AnyObject | None = None
    prompt: _Prompt | None = None
    max_output_tokens: _Positive | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    tools: list[AnyObject] | None = None
    tool_choice: str | AnyObject | None = None
    parallel_tool_calls: bool | None = None
    text: AnyObject | None = None
    reasoning: AnyObject | None = None
    include: list[str] | None = None
    user: str | None = None


_head = msgspec.json.Decoder(RequestHead[PartHead]).decode
_unread_head = msgspec.json.Decoder(RequestHead[UnreadPartHead]).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


def decode_request_head(body: bytes) -> RequestHead[Any]:
    """Raises: InvalidRequest, `param` naming the path of the bad member."""
    decode: Callable[[bytes | Raw], RequestHead[Any]] = _unread_head if read_later(body) else _head
    return from_client(decode, body)


def decode_request_object(body: bytes) -> dict[str, Any]:
    """Raises: InvalidRequest when the body is no JSON object."""
    return from_client(_object, body)


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class _CacheWrites(Struct):
    ttl_30m_tokens: int | None = None
    ttl_12h_tokens: int | None = None


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_tokens_details: _CacheWrites | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None


class UsageRecord(ToldCost):
    input_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None
    total_tokens: int | None = None


class _Incomplete(Struct):
    reason: str | None = None


class ResponseRecord(Struct):
    """`output` is read item by item: of some types only the vendor knows the shape."""

    id: str | None = None
    object: str | None = None
    created_at: int | float | None = None
    model: str | None = None
    status: str | None = None
    error: Any = None
    incomplete_details: _Incomplete | None = None
    output: list[Raw] | None = None
    usage: UsageRecord | None = None


class _TopLogprob(Struct):
    token: str | None = None
    logprob: float | None = None


class LogprobRecord(Struct):
    token: str
    logprob: float
    top_logprobs: list[_TopLogprob] | None = None


class ContentRecord(Struct):
    """A part of a message, or of reasoning. In parts of other types `text` may be anything."""

    type: str | None = None
    text: Any = None
    refusal: Any = None
    logprobs: list[LogprobRecord] | None = None


class MessageRecord(Struct):
    content: list[ContentRecord] | None = None


class ReasoningRecord(Struct):
    """`summary` is what OpenAI shows of it, `content` what vendors with open models do."""

    id: str | None = None
    summary: list[ContentRecord] | None = None
    content: list[ContentRecord] | None = None
    encrypted_content: str | None = None


class CallRecord(Struct):
    """`arguments` is JSON text; a few servers send the object itself. `extra_content` carries Gemini's thought signature."""

    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    extra_content: Any = None


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Typed(Struct):
    type: str | None = None


class ResponseEvent(Struct):
    response: ResponseRecord


class ItemEvent(Struct):
    item: Raw = Raw(b"null")
    output_index: int = 0


class DeltaRecord(Struct):
    """A fragment, at its coordinates: of text or a refusal by `content_index`, of a summary by `summary_index`."""

    delta: str
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    logprobs: list[LogprobRecord] | None = None


class DoneRecord(Struct):
    """The end of what its deltas have told, told once more."""

    text: str | None = None
    refusal: str | None = None
    arguments: Any = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    logprobs: list[LogprobRecord] | None = None


class ErrorRecord(Struct):
    code: Any = None
    message: Any = None
    param: Any = None
    error: Any = None


_typed = msgspec.json.Decoder(_Typed).decode
_response = msgspec.json.Decoder(ResponseRecord).decode
_message = msgspec.json.Decoder(MessageRecord).decode
_reasoning = msgspec.json.Decoder(ReasoningRecord).decode
_call = msgspec.json.Decoder(CallRecord).decode
_response_event = msgspec.json.Decoder(ResponseEvent).decode
_item_event = msgspec.json.Decoder(ItemEvent).decode
_delta = msgspec.json.Decoder(DeltaRecord).decode
_done = msgspec.json.Decoder(DoneRecord).decode
_error = msgspec.json.Decoder(ErrorRecord).decode


def parse_type(data: bytes | Raw) -> str:
    """Of an item or an event; empty when it has none. Raises: UpstreamProtocolError, as every reader below."""
    return from_provider(_typed, data).type or ""


def parse_response(body: bytes) -> ResponseRecord:
    return from_provider(_response, body)


def parse_message(item: Raw) -> MessageRecord:
    return from_provider(_message, item)


def parse_reasoning(item: Raw) -> ReasoningRecord:
    return from_provider(_reasoning, item)


def parse_call(item: Raw) -> CallRecord:
    return from_provider(_call, item)


def parse_response_event(data: bytes) -> ResponseRecord:
    return from_provider(_response_event, data).response


def parse_item_event(data: bytes) -> ItemEvent:
    return from_provider(_item_event, data)


def parse_delta(data: bytes) -> DeltaRecord:
    """Most frames of a stream come through here, so it does by itself what `from_provider` does."""
    try:
        return _delta(data)
    except (ValueError, RecursionError) as error:
        raise not_of_protocol(error) from error


def parse_done(data: bytes) -> DoneRecord:
    return from_provider(_done, data)


def parse_error(data: bytes) -> ErrorRecord:
    return from_provider(_error, data)
