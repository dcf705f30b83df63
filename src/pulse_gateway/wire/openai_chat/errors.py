"""What an error of an OpenAI-shaped API means, and how ours look to its clients."""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers
from pulse_gateway.wire.told_cost import ToldCost, told_nano_usd
from pulse_gateway.wire.upstream_errors import BY_STATUS, named_path, retry_after_s, told

__all__ = ["OPENAI_ERRORS", "ErrorTable", "encode_error", "upstream_error"]

ErrorTable = Mapping[tuple[int | None, str | None], type[UpstreamError]]
"""(HTTP status, `error.code` or `error.type`) → what it means. None matches anything; the more specific row wins."""

OPENAI_ERRORS: ErrorTable = MappingProxyType(
    {
        # Codes decide before the status does: a billing 429 is not a rate limit.
        (None, "context_length_exceeded"): ContextTooLong,
        (None, "content_filter"): UpstreamRefusedContent,
        (None, "content_policy_violation"): UpstreamRefusedContent,
        (None, "moderation_blocked"): UpstreamRefusedContent,
        (None, "ResponsibleAIPolicyViolation"): UpstreamRefusedContent,
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
        **{(status, None): kind for status, kind in BY_STATUS.items()},
        (409, None): UpstreamFailed,  # a conflict that passes: the SDK repeats it too
        (524, None): UpstreamTimedOut,  # Cloudflare in front of the vendor gave up waiting
        (529, None): UpstreamOverloaded,
    }
)
"""Source: https://developers.openai.com/api/docs/guides/error-codes (read 2026-11-24); DeploymentNotFound,
content_filter and ResponsibleAIPolicyViolation are Azure's, https://learn.microsoft.com/azure/ai-services/openai/ (read 2026-11-24)."""

_TOO_LONG = re.compile(
    r"maximum (?:context|prompt) length|context (?:window|length|size)|prompt is too long|too many tokens|"
    r"inputs`? tokens \+ `?max_new_tokens`? must be",
    re.IGNORECASE,
)
# A router, or a vendor's own filter in front of the model, answers with 403, as it does to a key that may not call; xAI also with 400.
_FLAGGED = re.compile(
    r"input was flagged|requires moderation|violates usage guidelines|rejected by content moderation", re.IGNORECASE
)
# xAI's answer to a wrong key is 400 as well.
_OUR_KEY = re.compile(r"incorrect(?: |%20)api(?: |%20)key", re.IGNORECASE)
_OUR_NAMES = re.compile(
    r"\b(?:Team|API key ID): [^\s,]+,? ?"
)  # whose key it is xAI says beside what it was flagged for
_BY_WORDS: tuple[tuple[re.Pattern[str], type[UpstreamError]], ...] = (
    (_TOO_LONG, ContextTooLong),
    (_OUR_KEY, UpstreamUnauthorized),
    (_FLAGGED, UpstreamRefusedContent),
)
"""What a status that only says that the request is wrong means by its words. xAI's are those that its users report (2025 and 2026)."""


class _Billed(msgspec.Struct):
    usage: ToldCost | None = None


_decode_billed = msgspec.json.Decoder(_Billed).decode


class _Error(msgspec.Struct, frozen=True):
    """An error object in any of the shapes that vendors give it."""

    message: str = ""
    kind: str | None = None
    code: str | None = None
    param: str | None = None
    inner: str | None = None  # Azure: the code of `innererror`, or of `inner_error` for pictures
    status: int | None = None  # the status that was meant, where the answer's own says 200


def upstream_error(status: int, headers: Headers, body: bytes, *, table: ErrorTable = OPENAI_ERRORS) -> UpstreamError:
    """The error that an answer stands for: of a non-2xx status, or an error object sent with 200 or inside a stream."""
    error = _read(body)
    meant = error.status if error is not None and error.status is not None and status < 400 else status
    kind = _kind(meant, error, table)
    failed = kind(
        told(kind, _OUR_NAMES.sub("", error.message) if error else ""),
        param=error.param if error and issubclass(kind, UpstreamRejected) else None,
        retry_after_s=retry_after_s(headers),
        upstream_status=status,
        upstream_code=(error.code or error.kind) if error else None,
    )
    if b'"usage"' in body:  # xAI bills an image that its filter holds back
        failed.told_nano_usd = told_nano_usd(_billed(body))
    return failed


def _billed(body: bytes) -> ToldCost | None:
    try:
        return _decode_billed(body).usage
    except (ValueError, RecursionError):  # msgspec's errors and invalid UTF-8 are ValueErrors
        return None


def _kind(status: int, error: _Error | None, table: ErrorTable) -> type[UpstreamError]:
    if error is None and status in (404, 405):
        return UpstreamProtocolError  # no vendor speaking: the base URL leads elsewhere
    words = (error.code, error.kind, error.inner) if error else ()
    keys = [(level, word) for word in words if word is not None for level in (status, None)]
    for key in (*keys, (status, None)):
        if kind := table.get(key):
            flagged = kind is UpstreamUnauthorized and error is not None and _FLAGGED.search(error.message)
            return UpstreamRefusedContent if flagged else kind
    if 400 <= status < 500 or (status < 300 and error is not None and error.kind == "invalid_request_error"):
        message = error.message if error else ""
        return next((kind for words, kind in _BY_WORDS if words.search(message)), UpstreamRejected)
    return UpstreamProtocolError if 300 <= status < 400 else UpstreamFailed


def _read(body: bytes) -> _Error | None:
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
    code, kind = _word(inner.get("code")), _word(inner.get("type"))
    param = _word(inner.get("param")) or _located(inner.get("detail")) or _located(inner.get("message"))
    cause = inner.get("innererror") or inner.get("inner_error")
    reason = _word(cause.get("code")) if isinstance(cause, dict) else None
    return _Error(message, kind, code, param, reason, _status(inner)) if message or code or kind else None


def _status(error: dict[str, Any]) -> int | None:
    """Routers, vLLM and Azure put the status into `code`, Groq into `status_code`."""
    for written in (error.get("code"), error.get("status_code")):
        if (word := _word(written)) and re.fullmatch(r"[45]\d\d", word):
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


def _located(detail: Any) -> str | None:
    """What the first entry of FastAPI's `detail` is about, which some wrap into a `message`."""
    if isinstance(detail, dict):
        detail = detail.get("detail")
    entry = detail[0] if isinstance(detail, list) and detail else None
    place = entry.get("loc") if isinstance(entry, dict) else None
    return named_path(place[1:]) if isinstance(place, list) and place[:1] == ["body"] else None


def encode_error(error: PulseError, request_id: str) -> bytes:
    """The body of an error answer, and the data of an error event."""
    body: dict[str, Any] = {
        "message": error.message,
        "type": error.kind,
        "code": error.code,
        "param": error.param,
        "request_id": request_id,
    }
    if isinstance(error, UpstreamError) and error.upstream_code is not None:
        body["upstream_code"] = error.upstream_code
    return msgspec.json.encode({"error": body})
