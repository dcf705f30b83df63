"""What an error of an OpenAI-shaped API means, and how ours look to its clients."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

import msgspec

from pulse_gateway.errors import (
    ContextTooLong,
    PulseError,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRefusedContent,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamTooLarge,
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers, header

__all__ = ["OPENAI_ERRORS", "ErrorTable", "encode_error", "retry_after_s", "upstream_error"]

ErrorTable = Mapping[tuple[int | None, str | None], type[UpstreamError]]
"""(HTTP status, `error.code` or `error.type`) → what it means. None matches anything; the more specific row wins."""

OPENAI_ERRORS: ErrorTable = MappingProxyType(
    {
        # Codes decide before the status does: a billing 429 is not a rate limit.
        (None, "context_length_exceeded"): ContextTooLong,
        (None, "content_filter"): UpstreamRefusedContent,
        (None, "content_policy_violation"): UpstreamRefusedContent,
        (None, "moderation_blocked"): UpstreamRefusedContent,
        (None, "invalid_api_key"): UpstreamUnauthorized,
        (None, "authentication_error"): UpstreamUnauthorized,
        (None, "unsupported_country_region_territory"): UpstreamUnauthorized,
        (None, "model_not_found"): UpstreamModelNotFound,
        (None, "DeploymentNotFound"): UpstreamModelNotFound,
        (None, "rate_limit_exceeded"): UpstreamRateLimited,
        (None, "rate_limit_error"): UpstreamRateLimited,
        (None, "insufficient_quota"): UpstreamQuotaExhausted,
        (None, "credit_balance_exhausted"): UpstreamQuotaExhausted,
        (None, "organization_spend_limit_exceeded"): UpstreamQuotaExhausted,
        (None, "project_spend_limit_exceeded"): UpstreamQuotaExhausted,
        (None, "organization_usage_limit_exceeded"): UpstreamQuotaExhausted,
        (None, "server_is_overloaded"): UpstreamOverloaded,
        (None, "service_unavailable_error"): UpstreamOverloaded,
        (429, "slow_down"): UpstreamRateLimited,
        (None, "slow_down"): UpstreamOverloaded,
        (401, None): UpstreamUnauthorized,
        (402, None): UpstreamQuotaExhausted,
        (403, None): UpstreamUnauthorized,
        (404, None): UpstreamModelNotFound,
        (408, None): UpstreamTimedOut,
        (409, None): UpstreamFailed,  # a conflict that passes: the SDK repeats it too
        (413, None): UpstreamTooLarge,
        (429, None): UpstreamRateLimited,
        (503, None): UpstreamOverloaded,
        (504, None): UpstreamTimedOut,
        (524, None): UpstreamTimedOut,  # Cloudflare in front of the vendor gave up waiting
        (529, None): UpstreamOverloaded,
    }
)
"""Source: https://developers.openai.com/api/docs/guides/error-codes (read 2026-11-24); DeploymentNotFound and
content_filter are Azure's, https://learn.microsoft.com/azure/ai-services/openai/ (read 2026-11-24)."""

# What callers are told where the vendor's own words would speak of our account rather than of their request.
_OWN_WORDS: Mapping[type[UpstreamError], str] = {
    UpstreamUnauthorized: "the provider refused the gateway's credentials",
    UpstreamQuotaExhausted: "the gateway's account with the provider has no quota left",
    UpstreamRateLimited: "the provider's rate limit is reached",
    UpstreamOverloaded: "the provider is overloaded",
    UpstreamTimedOut: "the provider did not answer in time",
    UpstreamFailed: "the provider failed to answer",
    UpstreamProtocolError: "the provider's endpoint does not answer as its protocol says",
}
_TOO_LONG = re.compile(
    r"maximum context length|context (?:window|length|size)|prompt is too long|too many tokens", re.IGNORECASE
)
_MAX_MESSAGE_CHARS = 1000


class _Told(msgspec.Struct, frozen=True):
    """An error object in any of the shapes that vendors give it."""

    message: str = ""
    kind: str | None = None
    code: str | None = None
    param: str | None = None
    status: int | None = None  # the status that was meant, where the answer's own says 200


def upstream_error(status: int, headers: Headers, body: bytes, *, table: ErrorTable = OPENAI_ERRORS) -> UpstreamError:
    """The error that an answer stands for: of a non-2xx status, or an error object sent with 200 or inside a stream."""
    told = _read(body)
    meant = told.status if told is not None and told.status is not None and status < 400 else status
    kind = _kind(meant, told, table)
    message = _OWN_WORDS.get(kind) or (told.message if told else "") or "the provider refused the request"
    return kind(
        message[:_MAX_MESSAGE_CHARS],
        param=told.param if told and issubclass(kind, UpstreamRejected) else None,
        retry_after_s=retry_after_s(headers),
        upstream_status=status,
        upstream_code=(told.code or told.kind) if told else None,
    )


def _kind(status: int, told: _Told | None, table: ErrorTable) -> type[UpstreamError]:
    if told is None and status in (404, 405):
        return UpstreamProtocolError  # no vendor speaking: the base URL leads elsewhere
    words = (told.code, told.kind) if told else ()
    keys = [(level, word) for word in words if word is not None for level in (status, None)]
    for key in (*keys, (status, None)):
        if kind := table.get(key):
            return kind
    if 400 <= status < 500 or (status < 300 and told is not None and told.kind == "invalid_request_error"):
        return ContextTooLong if told and _TOO_LONG.search(told.message) else UpstreamRejected
    return UpstreamProtocolError if 300 <= status < 400 else UpstreamFailed


def _read(body: bytes) -> _Told | None:
    """None for HTML, nothing, or JSON that holds no error."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, list) and len(value) == 1:  # Gemini's OpenAI-compatible endpoint
        value = value[0]
    if not isinstance(value, dict):
        return None
    inner = value.get("error")
    if isinstance(inner, str):  # {"error": "text"}, xAI: beside a `code`
        inner = {**value, "message": inner}
    elif not isinstance(inner, dict):
        inner = value
    message = _sentence(inner.get("message") or inner.get("detail"))
    code, kind, param = _word(inner.get("code")), _word(inner.get("type")), _word(inner.get("param"))
    return _Told(message, kind, code, param, _status(inner)) if message or code or kind else None


def _status(error: dict[str, Any]) -> int | None:
    """Routers, vLLM and Azure put the status into `code`, Groq into `status_code`."""
    for told in (error.get("code"), error.get("status_code")):
        if (word := _word(told)) and re.fullmatch(r"[45]\d\d", word):
            return int(word)
    return None


def _word(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _sentence(value: Any) -> str:
    """The text of a `message` or of FastAPI's `detail`: [{"loc": […], "msg": "…", "input": …}]. The input is not repeated."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _sentence(value.get("detail") or value.get("message"))
    if not isinstance(value, list):
        return ""
    complaints: list[str] = []
    for entry in value:
        if isinstance(entry, dict) and isinstance(entry.get("msg"), str):
            place = entry.get("loc")
            path = ".".join(str(step) for step in place if step != "body") if isinstance(place, list) else ""
            complaints.append(f"{path}: {entry['msg']}" if path else entry["msg"])
    return "; ".join(complaints)


def retry_after_s(headers: Headers) -> float | None:
    """Seconds to wait: `retry-after-ms`, else `retry-after` in seconds or as a date, measured by the answer's own clock."""
    if (milliseconds := _number(header(headers, "retry-after-ms"))) is not None:
        return milliseconds / 1000
    told = header(headers, "retry-after")
    if (seconds := _number(told)) is not None:
        return seconds
    if told is None or (until := _date(told)) is None:
        return None
    now = _date(header(headers, "date") or "") or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def encode_error(error: PulseError, request_id: str) -> bytes:
    """The body of an error answer, and the data of an error event."""
    told: dict[str, Any] = {
        "message": error.message,
        "type": error.kind,
        "code": error.code,
        "param": error.param,
        "request_id": request_id,
    }
    if isinstance(error, UpstreamError) and error.upstream_code is not None:
        told["upstream_code"] = error.upstream_code
    return msgspec.json.encode({"error": told})
