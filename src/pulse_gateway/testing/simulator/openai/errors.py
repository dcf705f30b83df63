"""OpenAI's error objects.

Source: https://developers.openai.com/api/docs/guides/error-codes (read 2026-11-24) and openai 3.54.0
"""

from __future__ import annotations

import msgspec

from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.vendor import Refusal
from pulse_gateway.testing.simulator.violations import explain

__all__ = ["Injected", "injected", "malformed", "refuse"]

_BILLING = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)
_OVERLOADED = frozenset({"overloaded", "server_is_overloaded"})

# status → type, code, message
_USUAL: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is invalid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported.",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    408: ("server_error", None, "The request timed out."),
    409: ("invalid_request_error", None, "The request conflicts with another one."),
    413: ("invalid_request_error", None, "The request body is too large."),
    422: ("invalid_request_error", None, "The request could not be processed."),
    429: (
        "rate_limit_error",
        "rate_limit_exceeded",
        "Rate limit reached for requests per minute. Please try again later.",
    ),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    502: ("server_error", None, "Bad gateway."),
    503: (
        "service_unavailable_error",
        "server_is_overloaded",
        "The server is currently overloaded. Please retry later.",
    ),
    504: ("server_error", None, "The request timed out."),
}
_MESSAGES = {
    "context_length_exceeded": "Your input exceeds the context window of this model.",
    "content_policy_violation": "Your request was rejected by our safety system.",
    "moderation_blocked": "Your request was rejected by the safety system. If you believe this is an error, contact us.",
}


class Injected(Refusal):
    """An error that a fault spec asked for; inside a stream it comes after `after_frames` others."""

    after_frames: int = 0


def refuse(
    message: str, *, code: str | None = None, param: str | None = None, status: int = 400, kind: str | None = None
) -> Refusal:
    """An error object; `kind` is its `type`."""
    kind = kind or "invalid_request_error"
    return Refusal(status, {"message": message, "type": kind, "param": param, "code": code})


def malformed(error: msgspec.ValidationError, at: str = "") -> Refusal:
    """A body that does not fit the schema, or the member `at` of it."""
    found = explain(error)
    path = f"{at}.{found.path}" if at and found.path and not found.path.startswith("[") else at + found.path
    match found.kind:
        case "unknown":
            return refuse(f"Unknown parameter: '{path}'.", code="unknown_parameter", param=path)
        case "missing" if path == "model":
            return refuse("you must provide a model parameter")
        case "missing":
            return refuse(f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path)
        case "type":
            sentence = f"Invalid type for '{path}': expected {found.wanted}, but got {found.got} instead."
            return refuse(sentence, code="invalid_type", param=path or None)
        case _ if found.wanted:
            sentence = f"Invalid value for '{path}': expected {found.wanted}."
            return refuse(sentence, code="invalid_value", param=path or None)
        case _:
            return refuse(f"Invalid value: '{found.got}'.", code="invalid_value", param=path or None)


def injected(faults: Faults) -> Refusal:
    """The error a fault spec asks for; a code alone implies its status."""
    code = "server_is_overloaded" if faults.code in _OVERLOADED else faults.code
    status = faults.status
    if status is None:
        status = 429 if code in _BILLING else 503 if code in _OVERLOADED else 500 if code is None else 400
    kind, usual_code, message = _USUAL.get(status) or _USUAL[400 if status < 500 else 500]
    if code in _BILLING:
        kind, message = (
            "insufficient_quota",
            "You exceeded your current quota, please check your plan and billing details.",
        )
    elif code is not None:
        message = _MESSAGES.get(code, message)
        kind = "image_generation_user_error" if code == "moderation_blocked" else kind
    headers: list[tuple[str, str]] = []
    if faults.retry_after is not None:
        headers.append(("retry-after", faults.retry_after))
    if faults.retry_after_ms is not None:
        headers.append(("retry-after-ms", str(faults.retry_after_ms)))
    error: dict[str, object] = {"message": message, "type": kind, "param": None, "code": code or usual_code}
    refusal = Injected(status, error, tuple(headers))
    refusal.after_frames = faults.error or 0
    return refusal
