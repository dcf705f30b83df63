"""Errors both ways: what a vendor's error object means, and how ours are written for its clients.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting and …/rate-limits; `google/rpc/error_details.proto` (read
2026-11-24).
"""

from __future__ import annotations

import re
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
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers
from pulse_gateway.wire.gemini.fields import camel
from pulse_gateway.wire.upstream_errors import BY_STATUS, retry_after_s, told

__all__ = ["embedded_error", "error_body", "upstream_error"]

_decode = msgspec.json.Decoder().decode

_BY_NAME: dict[str, type[UpstreamError]] = {
    "INVALID_ARGUMENT": UpstreamRejected,
    "FAILED_PRECONDITION": UpstreamRejected,
    "OUT_OF_RANGE": UpstreamRejected,
    "UNIMPLEMENTED": UpstreamRejected,
    "UNAUTHENTICATED": UpstreamUnauthorized,
    "PERMISSION_DENIED": UpstreamUnauthorized,
    "NOT_FOUND": UpstreamModelNotFound,
    "RESOURCE_EXHAUSTED": UpstreamRateLimited,
    "ABORTED": UpstreamFailed,
    "CANCELLED": UpstreamFailed,
    "INTERNAL": UpstreamFailed,
    "UNKNOWN": UpstreamFailed,
    "DATA_LOSS": UpstreamFailed,
    "UNAVAILABLE": UpstreamOverloaded,
    "DEADLINE_EXCEEDED": UpstreamTimedOut,
}
_BY_STATUS = {**BY_STATUS, 400: UpstreamRejected, 422: UpstreamRejected}
_MEANINGFUL_WITHOUT_BODY = frozenset({401, 402, 403, 408, 413, 429})

_TOO_LONG = re.compile(r"input token count .* exceeds|exceeds the maximum number of (?:input )?tokens", re.IGNORECASE)
_OUT_OF_MONEY = re.compile(
    r"enable billing|billing (?:account|is not|has not)|prepa(?:y|id)|credits|spend(?:ing)? (?:cap|limit)",
    re.IGNORECASE,
)
_NO_QUOTA = re.compile(r"\blimit: 0\b")
_NOT_HERE = re.compile(r"location is not supported|not available in your (?:country|region)", re.IGNORECASE)
# A file or cache of the caller's that is not there is reported as a lack of permission; our key is fine.
_NOT_THE_KEY = re.compile(r"may not exist|not found", re.IGNORECASE)
_UNKNOWN = re.compile(r"Unknown name \"([^\"\n]+)\"(?: at '([^'\n]*)')?: Cannot find field")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)s")

_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc."


def upstream_error(status: int, headers: Headers, body: bytes) -> UpstreamError:
    """What a non-2xx answer means. `body` may be anything."""
    try:
        decoded = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded = None
    return _meaning(status, _error_object(decoded), retry_after_s(headers))


def embedded_error(error: Any) -> UpstreamError:
    """What the decoded `error` of an answer means that came with status 200, whole or inside a stream."""
    written = error if isinstance(error, dict) else {}
    code = written.get("code")
    return _meaning(code if isinstance(code, int) else 500, written, None)


def _meaning(status: int, error: dict[str, Any], wait_s: float | None) -> UpstreamError:
    name = error.get("status")
    name = name if isinstance(name, str) else None
    written = error.get("message")
    message = written if isinstance(written, str) else ""
    details = error.get("details")
    details = [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    reason = next((detail["reason"] for detail in details if isinstance(detail.get("reason"), str)), None)
    kind = _kind(status, name, message, reason, details, has_body=bool(error))
    if wait_s is None:
        wait_s = next((wait for detail in details if (wait := _duration_s(detail.get("retryDelay"))) is not None), None)
    return kind(
        told(kind, message),
        param=_located(message) if issubclass(kind, UpstreamRejected) else None,
        retry_after_s=wait_s,
        upstream_status=status,
        upstream_code=reason or name,
    )


def _located(message: str) -> str | None:
    """The member that Google does not know, whose name it repeats as it was written; where that stands, it may spell otherwise."""
    found = _UNKNOWN.search(message)
    if found is None:
        return None
    place = ".".join(camel(step) for step in (found[2] or "").split("."))
    return f"{place}.{found[1]}" if place else found[1]


def _kind(
    status: int, name: str | None, message: str, reason: str | None, details: list[dict[str, Any]], *, has_body: bool
) -> type[UpstreamError]:
    if reason is not None and reason.startswith("API_KEY_"):  # a bad key is a 400
        return UpstreamUnauthorized
    if status == 402:
        return UpstreamQuotaExhausted
    kind = _BY_NAME.get(name or "")
    if kind is None:
        by_status = status if has_body or status in _MEANINGFUL_WITHOUT_BODY or status >= 500 else 0
        kind = _BY_STATUS.get(by_status) or (UpstreamFailed if by_status >= 500 else UpstreamProtocolError)
    if kind is UpstreamRejected:
        if _TOO_LONG.search(message):
            return ContextTooLong
        if name == "FAILED_PRECONDITION" and _OUT_OF_MONEY.search(message):
            return UpstreamQuotaExhausted
        if name == "FAILED_PRECONDITION" and _NOT_HERE.search(message):
            return UpstreamUnauthorized
    if kind is UpstreamUnauthorized and name == "PERMISSION_DENIED" and _NOT_THE_KEY.search(message):
        return UpstreamRejected
    if kind is UpstreamRateLimited and _waiting_is_vain(message, details):
        return UpstreamQuotaExhausted
    return kind


def _waiting_is_vain(message: str, details: list[dict[str, Any]]) -> bool:
    """Whether it is a day's quota that ran out, or there is none, or no money."""
    # Every such message goes on to advise on billing: only what it begins with tells them apart.
    first = message.partition(", please check")[0].partition(". ")[0]
    if _OUT_OF_MONEY.search(first) or _NO_QUOTA.search(message):
        return True
    for detail in details:
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict) and "PerDay" in str(violation.get("quotaId", "")):
                return True
    return False


def _error_object(decoded: Any) -> dict[str, Any]:
    if isinstance(decoded, list) and len(decoded) == 1:  # how a stream without events wraps it
        decoded = decoded[0]
    error = decoded.get("error") if isinstance(decoded, dict) else None
    return error if isinstance(error, dict) else {}


def _duration_s(written: Any) -> float | None:
    """Protobuf's JSON form of a duration: "46s", "1.5s"."""
    found = _DURATION.fullmatch(written) if isinstance(written, str) else None
    return float(found[1]) if found else None


def error_body(error: PulseError, request_id: str) -> dict[str, Any]:
    """`error` as the official SDK reads it; our stable code is the `reason` of an `ErrorInfo`."""
    metadata = {"request_id": request_id} if request_id else {}
    if error.param is not None:
        metadata["param"] = error.param
    if isinstance(error, UpstreamError) and error.upstream_code is not None:
        metadata["upstream_code"] = error.upstream_code
    details: list[dict[str, Any]] = [
        {"@type": _TYPE + "ErrorInfo", "reason": error.code.upper(), "domain": "pulse", "metadata": metadata}
    ]
    if error.retry_after_s is not None:
        seconds = f"{error.retry_after_s:.3f}".rstrip("0").rstrip(".")
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{seconds}s"})
    name = _NAMES.get(error.status) or ("INVALID_ARGUMENT" if error.status < 500 else "INTERNAL")
    return {"error": {"code": error.status, "message": error.message, "status": name, "details": details}}
