"""What an error of Anthropic's API means, and how ours look to its clients.

Source: https://platform.claude.com/docs/en/api/errors (read 2026-11-24); anthropic 2.12.0, types `ErrorResponse`, `ErrorType`
and `shared/*_error.py` for the codes (read 2026-11-24)
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
    UpstreamRefusedContent,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamTooLarge,
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers
from pulse_gateway.wire.upstream_errors import BY_STATUS, named_path, retry_after_s, told

__all__ = ["encode_error", "upstream_error"]

# `error.details.error_code` decides first, `error.type` second, the status last: a billing 429 is not a rate limit.
_BY_CODE: dict[str, type[UpstreamError]] = {
    "enforced_spend_limit_reached": UpstreamQuotaExhausted,
    "contract_spend_limit_reached": UpstreamQuotaExhausted,
    "linked_organization_billing_unavailable": UpstreamQuotaExhausted,
    "linked_organization_spend_limit_reached": UpstreamQuotaExhausted,
    "organization_on_hold": UpstreamUnauthorized,
    "organization_type_not_supported": UpstreamUnauthorized,
    "parent_organization_required": UpstreamUnauthorized,
    "claude_code_key_creator_not_member": UpstreamUnauthorized,
    "cmek_key_disabled": UpstreamUnauthorized,
    "cmek_key_network_blocked": UpstreamUnauthorized,
    "file_expired": UpstreamRejected,
    "ramp_limit_exceeded": UpstreamRateLimited,
}
_BY_TYPE: dict[str, type[UpstreamError]] = {
    "invalid_request_error": UpstreamRejected,
    "request_too_large": UpstreamTooLarge,
    "authentication_error": UpstreamUnauthorized,
    "permission_error": UpstreamUnauthorized,
    "billing_error": UpstreamQuotaExhausted,
    "not_found_error": UpstreamModelNotFound,
    "rate_limit_error": UpstreamRateLimited,
    "overloaded_error": UpstreamOverloaded,
    "timeout_error": UpstreamTimedOut,
    "conflict_error": UpstreamFailed,  # passes by itself; the SDK repeats it too
}
_ANYTHING = "api_error"  # a type that says no more than that something failed: the status may say what
_BY_STATUS = {**BY_STATUS, 409: UpstreamFailed, 529: UpstreamOverloaded}
# Some refusals share `invalid_request_error` with malformed requests and only their text tells them apart.
_BY_TEXT: tuple[tuple[re.Pattern[str], type[UpstreamError]], ...] = (
    (
        re.compile(r"credit balance is too low|reached your specified .*usage limits", re.IGNORECASE),
        UpstreamQuotaExhausted,
    ),
    (
        re.compile(r"prompt is too long|exceed(s|ed)? (the )?(model's )?context (limit|window)", re.IGNORECASE),
        ContextTooLong,
    ),
    (re.compile(r"blocked by (our )?content filter", re.IGNORECASE), UpstreamRefusedContent),
)


# A 404 about something that the request names besides its model. All others are the model's: another deployment may have it.
_OF_THE_REQUEST = re.compile(r"\b(file|container|skill|workspace|batch)", re.IGNORECASE)


# How its validator begins: `messages.0.content: Field required`.
_LOCATED = re.compile(r"([\w.-]+): (?:Extra inputs are not permitted|Field required|Input should be )")


class _Details(msgspec.Struct, frozen=True):
    error_code: str | None = None


class _Error(msgspec.Struct, frozen=True):
    type: str = ""
    message: str = ""
    details: _Details | None = None


class _Body(msgspec.Struct, frozen=True):
    error: _Error


_BODY = msgspec.json.Decoder(_Body)


def upstream_error(status: int, headers: Headers, body: bytes) -> UpstreamError:
    """What an answer outside 2xx means, or an error object sent with 200 or inside a stream."""
    error = _read(body)
    kind = _kind(status, error)
    code = (error.details.error_code if error.details else None) or error.type if error is not None else None
    return kind(
        told(kind, error.message if error else ""),
        param=_located(error.message) if error and issubclass(kind, UpstreamRejected) else None,
        retry_after_s=retry_after_s(headers),
        upstream_status=status,
        upstream_code=code or None,
    )


def _located(message: str) -> str | None:
    found = _LOCATED.match(message)
    return named_path(int(step) if step.isdecimal() else step for step in found[1].split(".")) if found else None


def _read(body: bytes) -> _Error | None:
    """None for HTML, nothing, or JSON of another shape."""
    try:
        return _BODY.decode(body).error
    except (ValueError, RecursionError):
        return None


def _kind(status: int, error: _Error | None) -> type[UpstreamError]:
    if error is None:
        if status in _BY_STATUS and status != 404:
            return _BY_STATUS[status]
        return (
            UpstreamFailed if status >= 500 else UpstreamProtocolError
        )  # not the vendor: the base URL leads elsewhere
    if error.details and error.details.error_code in _BY_CODE:
        return _BY_CODE[error.details.error_code]
    kind = _BY_TYPE.get(error.type) or _BY_STATUS.get(status)
    if kind is None:
        return UpstreamRejected if 400 <= status < 500 and error.type != _ANYTHING else UpstreamFailed
    if kind is UpstreamModelNotFound and _OF_THE_REQUEST.search(error.message):
        return UpstreamRejected
    if kind is UpstreamRejected:
        return next((meaning for pattern, meaning in _BY_TEXT if pattern.search(error.message)), kind)
    return kind


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}


def encode_error(error: PulseError, request_id: str) -> bytes:
    """The body of an error answer, and the data of an `error` event. `details` carries this gateway's own words."""
    details: dict[str, Any] = {"error_code": error.code}
    if error.param is not None:
        details["param"] = error.param
    if isinstance(error, UpstreamError) and error.upstream_code is not None:
        details["upstream_code"] = error.upstream_code
    body = {"type": _type(error), "message": error.message, "details": details}
    return msgspec.json.encode({"type": "error", "error": body, "request_id": request_id})


def _type(error: PulseError) -> str:
    if error.status in _TYPES:
        return _TYPES[error.status]
    if error.status < 500:
        return "invalid_request_error"
    return "overloaded_error" if error.kind == "service_unavailable_error" else "api_error"
