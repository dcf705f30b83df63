"""Anthropic's error objects.

Source: https://platform.claude.com/docs/en/api/errors (read 2026-11-24) and anthropic 2.12.0
"""

from __future__ import annotations

import re

import msgspec

from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.vendor import Refusal
from pulse_gateway.testing.simulator.violations import explain

__all__ = ["injected", "malformed", "refuse"]

_KINDS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request is invalid."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    409: ("conflict_error", "The request conflicts with another one."),
    413: ("request_too_large", "Request exceeds the maximum size."),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out. Consider streaming for long requests."),
    529: ("overloaded_error", "Overloaded"),
}
_STATUSES = {kind: status for status, (kind, _) in _KINDS.items()} | {"overloaded": 529, "billing": 402}
_SPEND_LIMITS = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached", "ramp_limit_exceeded"})
_TYPES = {
    "int": "a valid integer",
    "str": "a valid string",
    "bool": "a valid boolean",
    "float": "a valid number",
    "array": "a valid array",
    "object": "a valid dictionary",
}


def refuse(message: str, *, status: int = 400, error_code: str | None = None) -> Refusal:
    kind = _KINDS.get(status, _KINDS[400 if status < 500 else 500])[0]
    error: dict[str, object] = {"type": kind, "message": message}
    if error_code is not None:
        error["details"] = {"error_code": error_code}
    return Refusal(status, error)


def malformed(error: msgspec.ValidationError, prefix: str = "") -> Refusal:
    """A body that does not fit the schema; `prefix` is where in the body the value was."""
    found = explain(error)
    path = re.sub(r"\[([^\]]*)\]", r".\1", prefix + ("." if prefix and found.path else "") + found.path)
    match found.kind:
        case "unknown":
            return refuse(f"{path}: Extra inputs are not permitted")
        case "missing":
            return refuse(f"{path}: Field required")
        case "type":
            wanted = found.wanted.removesuffix(" | null")
            return refuse(f"{path}: Input should be {_TYPES.get(wanted, wanted)}")
        case _ if found.wanted.startswith("str matching regex "):
            return refuse(f"{path}: String should match pattern {found.wanted.removeprefix('str matching regex ')}")
        case _ if found.wanted:
            return refuse(f"{path}: Input should be {found.wanted}")
        case _ if path.endswith(".type"):
            place = path.removesuffix(".type")
            return refuse(
                f"{place}: Input tag '{found.got}' found using 'type' does not match any of the expected tags"
            )
        case _:
            return refuse(f"{path}: Unexpected value '{found.got}'")


def injected(faults: Faults) -> Refusal:
    """The error a fault spec asks for. `code` is an error type, or an `error_code` to put into the details."""
    code = faults.code
    status = faults.status
    if status is None:
        status = 529 if code is None else _STATUSES.get(code, 429 if code in _SPEND_LIMITS else 400)
    kind, message = _KINDS.get(status) or _KINDS[400 if status < 500 else 500]
    error: dict[str, object] = {"type": kind, "message": message}
    if code is not None and code not in _STATUSES:
        error["details"] = {"error_code": code}
    headers: list[tuple[str, str]] = []
    if faults.retry_after is not None:
        headers.append(("retry-after", faults.retry_after))
    if faults.retry_after_ms is not None:
        headers.append(("retry-after-ms", str(faults.retry_after_ms)))
    return Refusal(status, error, tuple(headers))
