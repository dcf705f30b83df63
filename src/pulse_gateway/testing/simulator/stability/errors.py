"""Stability's error objects: an id, a name, and sentences.

Source: https://platform.stability.ai/docs/api-reference (read 2026-11-24)
"""

from __future__ import annotations

from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.vendor import Refusal

__all__ = ["injected", "refuse"]

_KINDS: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The request is invalid."),
    401: ("unauthorized", "missing authorization header or invalid api key"),
    402: ("payment_required", "You lack sufficient credits to make this request. Please purchase more credits."),
    403: (
        "content_moderation",
        "Your request was flagged by our content moderation system, as a result your request was denied and you were "
        "not charged.",
    ),
    404: ("not_found", "The requested resource could not be found."),
    413: ("payload_too_large", "body: payloads cannot be larger than 10MiB in size"),
    422: ("unprocessable_entity", "Your request was well-formed, but rejected."),
    429: ("rate_limit_exceeded", "You have exceeded the rate limit of 150 requests within a 10 second period."),
    500: ("internal_error", "An unexpected server error has occurred, please try again later."),
    503: ("service_unavailable", "The service is temporarily unavailable, please try again later."),
}
_STATUSES = {name: status for status, (name, _) in _KINDS.items()}


def refuse(*errors: str, status: int = 400, name: str | None = None) -> Refusal:
    kind, sentence = _KINDS.get(status) or _KINDS[400 if status < 500 else 500]
    return Refusal(status, {"name": name or kind, "errors": list(errors) or [sentence]})


def injected(faults: Faults) -> Refusal:
    """The error a fault spec asks for; `code` is a name."""
    status = faults.status
    if status is None:
        status = 429 if faults.code is None else _STATUSES.get(faults.code, 400)
    refusal = refuse(status=status, name=faults.code)
    if faults.retry_after is not None:
        refusal.headers = (("retry-after", faults.retry_after),)
    return refusal
