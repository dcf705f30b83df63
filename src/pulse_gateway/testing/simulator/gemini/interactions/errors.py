"""Errors of the Interactions API: a code in words and a message.

Source: https://ai.google.dev/api/interactions-api (read 2026-11-24). Codes that are not documented are Google's status
names in lower case.
"""

from __future__ import annotations

import re

import msgspec

from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.vendor import Refusal
from pulse_gateway.testing.simulator.violations import explain

__all__ = ["injected_error", "malformed_interaction", "refuse_interaction", "worded"]

_CODES = {
    400: "invalid_request", 401: "unauthenticated", 402: "payment_required", 403: "permission_denied", 404: "not_found",
    409: "aborted", 429: "resource_exhausted", 499: "cancelled", 500: "internal", 503: "unavailable",
    504: "deadline_exceeded",
}  # fmt: skip
_STATUSES = {
    "failed_precondition": 400,
    "payment_required": 402,
    "not_found": 404,
    "quota_exceeded": 429,
    "overloaded": 503,
}
_MESSAGES = {
    400: "Request contains an invalid argument.",
    401: "Request had invalid authentication credentials.",
    402: "Your prepayment credits are depleted.",
    403: "The caller does not have permission.",
    404: "The model is not found, or is no longer available.",
    429: "You exceeded your current quota, please check your plan and billing details.",
    503: "The model is overloaded. Please try again later.",
}
_WORD = re.compile(r"[a-z_]+")


def refuse_interaction(message: str, *, http: int = 400, code: str | None = None) -> Refusal:
    return Refusal(http, {"code": code or _CODES.get(http, "internal"), "message": message})


def worded(refusal: Refusal) -> Refusal:
    """An error of the generateContent kind, in this shape."""
    code = refusal.error.get("code")
    if isinstance(code, str):
        return refusal
    return refuse_interaction(str(refusal.error["message"]), http=refusal.status)


def malformed_interaction(error: msgspec.ValidationError) -> Refusal:
    found = explain(error)
    match found.kind:
        case "unknown":
            return refuse_interaction(f"Unknown parameter '{found.path}'.")
        case "missing":
            return refuse_interaction(f"Missing required parameter '{found.path}'.")
        case "type":
            return refuse_interaction(f"Invalid value at '{found.path}': expected {found.wanted}, got {found.got}.")
    return refuse_interaction(f"Invalid value at '{found.path}': {found.wanted or found.got}.")


def injected_error(faults: Faults) -> Refusal:
    """`code` is one in words; what Google says elsewhere in details is a header here."""
    code = faults.code
    if code is not None and not _WORD.fullmatch(code):
        code = "quota_exceeded" if "PerDay" in code else code.lower()
    http = faults.status
    if http is None:
        http = 503 if code is None else _STATUSES.get(code, 400)
    refusal = refuse_interaction(_MESSAGES.get(http, "An internal error has occurred."), http=http, code=code)
    if faults.retry_after is not None:
        refusal.headers = (("retry-after", faults.retry_after),)
    elif faults.retry_after_ms is not None:
        refusal.headers = (("retry-after-ms", str(faults.retry_after_ms)),)
    return refusal
