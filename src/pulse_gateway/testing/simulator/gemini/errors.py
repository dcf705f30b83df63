"""Google's error objects.

Source: https://ai.google.dev/gemini-api/docs/troubleshooting and https://google.aip.dev/193 (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.vendor import Refusal
from pulse_gateway.testing.simulator.violations import explain

__all__ = ["injected", "malformed", "refuse"]

_STATUSES: dict[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    402: ("RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "The model is not found, or is no longer available."),
    409: ("ABORTED", "The operation was aborted."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "An internal error has occurred. Please retry or report it."),
    502: ("UNAVAILABLE", "Bad gateway."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "The request timed out. Please try again."),
}
_BY_CODE = {"overloaded": 503, "FAILED_PRECONDITION": 400, "API_KEY_INVALID": 400}


def refuse(
    message: str,
    *,
    http: int = 400,
    status: str | None = None,
    reason: str | None = None,
    service: str = "generativelanguage.googleapis.com",
) -> Refusal:
    """`status` is the gRPC name, `reason` and `service` the ones in an ErrorInfo detail."""
    error: dict[str, object] = {"code": http, "message": message, "status": status or _status(http)[0]}
    if reason is not None:
        error["details"] = [_info(reason, service)]
    return Refusal(http, error)


def malformed(error: msgspec.ValidationError, message: str = "GenerateContentRequest") -> Refusal:
    """A body that does not fit the schema of `message`."""
    found = explain(error)
    match found.kind:
        case "unknown":
            where = f" at '{found.parent}'" if found.parent else ""
            text = f'Invalid JSON payload received. Unknown name "{found.field}"{where}: Cannot find field.'
        case "missing":
            text = f"* {message}.{found.path}: {found.field} is required."
        case "type":
            text = f"Invalid value at '{found.path}' ({found.wanted.removesuffix(' | null')}), got {found.got}"
        case _ if found.wanted:
            text = f"* {message}.{found.path}: must be {found.wanted}."
        case _:
            text = f"Invalid value at '{found.path}', \"{found.got}\""
    refusal = refuse(text)
    violation = {"field": found.path, "description": text}
    refusal.error["details"] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]
    return refusal


def injected(faults: Faults) -> Refusal:
    """The error a fault spec asks for. `code` is an ErrorInfo reason, `FAILED_PRECONDITION`, or a quota id (`…PerDay…`).

    Google sends no `retry-after` header; the time goes into a RetryInfo detail.
    """
    code = faults.code
    http = faults.status
    if http is None:
        http = 503 if code is None else 429 if "PerDay" in code else _BY_CODE.get(code, 400)
    status, message = _status(http)
    details: list[dict[str, object]] = []
    if code == "FAILED_PRECONDITION":
        status, message = code, "User location is not supported for the API use."
    elif http == 429:
        quota = code or "GenerateRequestsPerMinutePerProjectPerModel"
        details.append(
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [
                    {
                        "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                        "quotaId": quota,
                        "quotaValue": "10",
                    }
                ],
            }
        )
    elif code is not None and code != "overloaded":
        details.append(_info(code))
    if (delay := _retry_delay(faults)) is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
    error: dict[str, object] = {"code": http, "message": message, "status": status}
    if details:
        error["details"] = details
    return Refusal(http, error)


def _retry_delay(faults: Faults) -> str | None:
    if faults.retry_after_ms is not None:
        return f"{faults.retry_after_ms / 1000:g}s"
    return None if faults.retry_after is None else f"{faults.retry_after}s"


def _status(http: int) -> tuple[str, str]:
    return _STATUSES.get(http) or _STATUSES[400 if http < 500 else 500]


def _info(reason: str, service: str = "generativelanguage.googleapis.com") -> dict[str, object]:
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": service},
    }
