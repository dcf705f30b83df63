"""Replicate's problem details.

Source: RFC 7807, https://replicate.com/docs/reference/http (read 2026-11-24) and replicate 1.0.7
"""

from __future__ import annotations

from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.vendor import Refusal

__all__ = ["injected", "invalid_input", "refuse"]

_KINDS: dict[int, tuple[str, str]] = {
    400: ("Bad request", "The request is invalid."),
    401: ("Unauthenticated", "You did not pass a valid authentication token"),
    402: (
        "Insufficient credit",
        "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to purchase "
        "credit.",
    ),
    403: ("Forbidden", "You do not have permission to perform this action."),
    404: ("Not found", "The requested resource could not be found."),
    405: ("Method not allowed", "The method is not allowed for this resource."),
    413: ("Payload too large", "The request body is too large."),
    422: ("Invalid version or not permitted", "The specified version does not exist (or perhaps you don't have "
          "permission to use it?)"),
    429: ("Too many requests", "Request was throttled. Expected available in {} seconds."),
    500: ("Internal server error", "Internal server error"),
    502: ("Bad gateway", "Bad gateway"),
    503: ("Service unavailable", "The service is temporarily unavailable."),
}  # fmt: skip


def refuse(detail: str = "", *, status: int = 422, title: str | None = None) -> Refusal:
    name, sentence = _KINDS.get(status) or _KINDS[400 if status < 500 else 500]
    return Refusal(status, {"title": title or name, "detail": detail or sentence, "status": status})


def invalid_input(problems: list[tuple[str, str, str]]) -> Refusal:
    """Inputs that the model does not take: (kind, field, sentence)."""
    refusal = refuse("".join(f"- {field}: {why}\n" for _, field, why in problems), title="Input validation failed")
    refusal.error["invalid_fields"] = [
        {"type": kind, "field": field, "description": why} for kind, field, why in problems
    ]
    return refusal


def injected(faults: Faults) -> Refusal:
    """The error a fault spec asks for; `code` becomes the title."""
    status = faults.status if faults.status is not None else 429 if faults.code is None else 400
    refusal = refuse(status=status, title=faults.code)
    if status == 429:
        wait = faults.retry_after or "1"
        refusal.error["detail"] = str(refusal.error["detail"]).format(wait)
        refusal.headers = (("retry-after", wait),)
    elif faults.retry_after is not None:
        refusal.headers = (("retry-after", faults.retry_after),)
    return refusal
