"""A prediction → `ChatReply`, or the error that it ended with.

| Replicate | Usage |
| --- | --- |
| `metrics.input_token_count` | `input_tokens` |
| `metrics.output_token_count` less thinking | `output_tokens` |
| `Reasoning tokens: N` in `logs`, where OpenAI's models say so | `reasoning_tokens` |

There is no finish reason: an answer of as many tokens as the limit in `input` was cut by it.

Source: https://replicate.com/docs/reference/http, /docs/reference/error-codes, and https://cog.run/python "Metrics"; the line in the logs is
that of an example of openai/gpt-5.1 (read 2026-11-24) and unconfirmed elsewhere, as the words of errors are
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec

from pulse_gateway.errors import (
    ContextTooLong,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRefusedContent,
)
from pulse_gateway.types.chat import ChatReply, Choice, FinishReason, Part, ReasoningPart, TextPart
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.thinking_aloud import ThinkingSplitter
from pulse_gateway.wire.upstream_errors import told

__all__ = [
    "RUNNING", "Prediction", "decode_reply", "failure", "finish_reason", "made_reply_id", "output_text", "read_prediction", "usage_of",
]  # fmt: skip

RUNNING = frozenset({"starting", "processing"})
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_REASONING = re.compile(r"Reasoning tokens: (\d{1,9})\b")
_BY_TEXT: tuple[tuple[re.Pattern[str], type[UpstreamError]], ...] = (
    (re.compile(r"nsfw|sensitive|flagged|safety|content policy|\bE005\b", re.IGNORECASE), UpstreamRefusedContent),
    (
        re.compile(r"context (length|window)|(prompt|input) is too long|too many (input )?tokens", re.IGNORECASE),
        ContextTooLong,
    ),
    (re.compile(r"high demand|overloaded|rate limit|try again later|\bE003\b", re.IGNORECASE), UpstreamOverloaded),
    (re.compile(r"interrupted|internal (server )?error|\bE1000\b", re.IGNORECASE), UpstreamFailed),
)


class _Urls(msgspec.Struct):
    stream: str | None = None


class Prediction(msgspec.Struct):
    """As much of it as matters. `status`: one of `RUNNING`, or how it ended."""

    id: str
    status: str
    model: str | None = None
    input: dict[str, Any] | None = None
    output: Any = None
    error: Any = None
    logs: str | None = None
    metrics: dict[str, Any] | None = None
    created_at: str | None = None
    urls: _Urls = msgspec.field(default_factory=_Urls)


_decode = msgspec.json.Decoder(Prediction).decode
_encode = msgspec.json.Encoder().encode


def read_prediction(body: bytes) -> Prediction:
    """Raises: UpstreamProtocolError."""
    return from_provider(_decode, body)


def made_reply_id() -> str:
    return f"replicate-{uuid4().hex}"


def decode_reply(body: bytes) -> ChatReply:
    """Raises: UpstreamProtocolError; UpstreamError for a prediction that did not succeed."""
    prediction = read_prediction(body)
    if prediction.status != "succeeded":
        raise failure(prediction.status, prediction.error)
    splitter = ThinkingSplitter()
    parts: list[Part] = []
    for thinks, text in splitter.feed(output_text(prediction)) + splitter.finish():
        parts.append(ReasoningPart(text) if thinks else TextPart(text))
    return ChatReply(
        id=prediction.id,
        model=prediction.model or "",
        created=_seconds(prediction.created_at),
        choices=(Choice(parts=tuple(parts), finish_reason=finish_reason(prediction)),),
        usage=usage_of(prediction),
    )


def output_text(prediction: Prediction) -> str:
    """Pieces of text, a text, or an object of the structured kind. Raises: UpstreamProtocolError for anything else."""
    match prediction.output:
        case None:
            return ""
        case str(text):
            return text
        case [*pieces] if all(isinstance(piece, str) for piece in pieces):
            return "".join(pieces)
        case {"json_output": dict() | list() as value}:
            return _encode(value).decode()
        case {"text": str(text)}:
            return text
    raise not_of_protocol("a prediction whose output is no text")


def usage_of(prediction: Prediction) -> Usage | None:
    """None where the model does not count."""
    metrics = prediction.metrics or {}
    read, written = _count(metrics.get("input_token_count")), _count(metrics.get("output_token_count"))
    if read is None and written is None:
        return None
    said = _REASONING.findall(prediction.logs or "")
    reasoning = None if not said or written is None else min(int(said[-1]), written)
    return Usage(
        input_tokens=read,
        output_tokens=written if written is None or reasoning is None else written - reasoning,
        reasoning_tokens=reasoning,
    )


def finish_reason(prediction: Prediction) -> FinishReason:
    written = _count((prediction.metrics or {}).get("output_token_count"))
    given = prediction.input or {}
    limit = next((count for name in _LIMITS if (count := _count(given.get(name))) is not None), None)
    return FinishReason.LENGTH if limit is not None and written is not None and written >= limit else FinishReason.STOP


def failure(status: str, said: Any) -> UpstreamError:
    """What a prediction that ended without success means; what nobody knows is not asked of the same model again, which would cost again."""
    words = said if isinstance(said, str) else ""
    kind = next((kind for pattern, kind in _BY_TEXT if pattern.search(words)), None)
    if kind is None:
        return UpstreamError(f"the provider's prediction is {status}", upstream_code=status)
    return kind(told(kind, words), upstream_status=200, upstream_code=status)


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**31:
        return None
    return int(value)


def _seconds(written: str | None) -> int | None:
    try:
        return None if written is None else int(datetime.fromisoformat(written).timestamp())
    except (ValueError, OverflowError):
        return None
