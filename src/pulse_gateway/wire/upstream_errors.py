"""What the readers of every vendor's errors share: what a status means by itself, how long to wait, and the words that callers get instead of
the vendor's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

from pulse_gateway.errors import (
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamTooLarge,
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers, header

__all__ = ["BY_STATUS", "meant_by", "named_path", "retry_after_s", "told"]

BY_STATUS: Mapping[int, type[UpstreamError]] = MappingProxyType(
    {
        401: UpstreamUnauthorized,
        402: UpstreamQuotaExhausted,
        403: UpstreamUnauthorized,
        404: UpstreamModelNotFound,
        408: UpstreamTimedOut,
        413: UpstreamTooLarge,
        429: UpstreamRateLimited,
        503: UpstreamOverloaded,
        504: UpstreamTimedOut,
    }
)
"""What the statuses mean that all vendors use alike."""

_MAX_MESSAGE_CHARS = 1000
# Where the vendor's own words would speak of our account rather than of the caller's request.
_OWN_WORDS: Mapping[type[UpstreamError], str] = {
    UpstreamUnauthorized: "the provider refused the gateway's credentials",
    UpstreamQuotaExhausted: "the gateway's account with the provider has no quota left",
    UpstreamRateLimited: "the provider's rate limit is reached",
    UpstreamOverloaded: "the provider is overloaded",
    UpstreamTimedOut: "the provider did not answer in time",
    UpstreamFailed: "the provider failed to answer",
    UpstreamProtocolError: "the provider's endpoint does not answer as its protocol says",
}


def meant_by(
    status: int, *, is_vendors: bool, table: Mapping[int, type[UpstreamError]] = BY_STATUS
) -> type[UpstreamError]:
    """What a status means where nothing else is said. `is_vendors`: the body is an error as the vendor writes them."""
    if not is_vendors and status in (404, 405):
        return UpstreamProtocolError  # not the vendor: the base URL leads elsewhere
    usual = UpstreamFailed if status >= 500 else UpstreamRejected if status >= 400 else UpstreamProtocolError
    return table.get(status, usual)


def told(kind: type[UpstreamError], vendors_words: str) -> str:
    """The message of an error of `kind`: the vendor's words only where they are about the caller's request."""
    return _OWN_WORDS.get(kind) or vendors_words[:_MAX_MESSAGE_CHARS] or "the provider refused the request"


def named_path(steps: Iterable[Any]) -> str | None:
    """The member of the request that a validator's location begins with, and the places in it: `messages[0]`. What follows may be the name
    of a variant as well as of a member.
    """
    path = ""
    for step in steps:
        if isinstance(step, str) and not path:
            path = step
        elif isinstance(step, int) and not isinstance(step, bool) and path:
            path += f"[{step}]"
        else:
            break
    return path or None


def retry_after_s(headers: Headers) -> float | None:
    """Seconds to wait: `retry-after-ms`, else `retry-after` in seconds or as a date, measured by the answer's own clock.

    Source: RFC 9110, 10.2.3; the official SDKs of OpenAI and Anthropic for `retry-after-ms` (read 2026-11-24).
    """
    if (milliseconds := _number(header(headers, "retry-after-ms"))) is not None:
        return milliseconds / 1000
    written = header(headers, "retry-after")
    if (seconds := _number(written)) is not None:
        return seconds
    until = _moment(written)
    if until is None:
        return None
    now = _moment(header(headers, "date"))
    return max(0.0, until - (time.time() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _moment(text: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
