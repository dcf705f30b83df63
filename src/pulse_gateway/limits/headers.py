"""What a response says about limits, on grants and refusals alike. Pure.

Source: draft-ietf-httpapi-ratelimit-headers-10 (2025-09) and RFC 9651 for `RateLimit-Policy`, `RateLimit`, and the form of
`Pulse-Quota`; OpenAI's rate-limit headers (developers.openai.com, read 2026-11-24) for `x-ratelimit-*`, whose resets are
durations; openai 3.54 and anthropic 2.12 for what their clients do with `retry-after-ms`, `retry-after`, `x-should-retry`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pulse_gateway.errors import AdmissionError, PulseError, QuotaExceeded, RateLimited, UpstreamQuotaExhausted
from pulse_gateway.limits.limiter import Standing
from pulse_gateway.types.http import Headers

__all__ = ["limit_headers", "refusal_headers"]

_EDGE_S = 2e-6  # a place frees a microsecond after its window: that is for those who wait for it, not for those who read about it
_TOLD_AS_OPENAI_DOES = frozenset({("requests", False), ("tokens", True)})  # kind, and whether it is a monthly quota
_TELLS_WHEN = frozenset({429, 503})
_UNKNOWN_WAIT_S = 1.0
_LONGEST_RETRY_S = 120.0  # openai's clients give up beyond it; anthropic's would sleep for hours, unless told not to


def limit_headers(standings: Sequence[Standing], refusal: AdmissionError | None = None) -> Headers:
    """Where the caller stands, for any answer. Names in lower case.

    - `ratelimit-policy: "requests";q=60;w=60` and `ratelimit: "requests";r=12;t=31`: windows with a cap. q places in w
      seconds, r of them left, the window empty again in t seconds if nothing more is asked.
    - `x-ratelimit-{limit,remaining,reset}-requests`: the same for OpenAI's clients; `-tokens` for a monthly token quota.
    - `pulse-quota: "tokens";q=150000;u=149000;h=2500;r=0;t=604800`: monthly quotas, a list with one member a kind: q the cap,
      u used, h held for running requests, r what is left, t seconds until the month (UTC) ends. Without a cap no q and r.

    Of several counters of one kind the tightest is shown. With `refusal`, t of the window that refused is when its next place
    is free, so that it is never later than `retry-after`.
    """
    policies, windows, classic, quotas = [], [], [], []
    for standing in _tightest(standings):
        kind, limit, remaining = standing.kind, standing.limit, standing.remaining
        reset_s = max(0.0, _reset_s(standing, refusal) - _EDGE_S)
        if standing.window_s is None:
            cap = "" if limit is None else f";q={limit}"
            left = "" if limit is None else f";r={remaining}"
            quotas.append(f'"{kind}"{cap};u={standing.used};h={standing.reserved}{left};t={_whole(reset_s)}')
        elif limit is not None:
            policies.append(f'"{kind}";q={limit};w={_whole(standing.window_s)}')
            windows.append(f'"{kind}";r={remaining};t={_whole(reset_s)}')
        if limit is not None and (kind, standing.window_s is None) in _TOLD_AS_OPENAI_DOES:
            classic.append((f"x-ratelimit-limit-{kind}", str(limit)))
            classic.append((f"x-ratelimit-remaining-{kind}", str(remaining)))
            classic.append((f"x-ratelimit-reset-{kind}", _duration(reset_s)))
    named = (("ratelimit-policy", policies), ("ratelimit", windows), ("pulse-quota", quotas))
    return (*((name, ", ".join(members)) for name, members in named if members), *classic)


def refusal_headers(error: PulseError) -> Headers:
    """What goes with an error: when to come back, and, from a limiter, where the caller stands.

    `retry-after` in whole seconds and `retry-after-ms`, both rounded up, where the error knows a time; one second on a 429 or 503
    that does not.
    `x-should-retry: false` where the wait is too long to sit out in a client: for quotas, and beyond two minutes.
    """
    found = limit_headers(error.standings, error) if isinstance(error, AdmissionError) else ()
    wait_s = error.retry_after_s
    if wait_s is None and error.status in _TELLS_WHEN and not isinstance(error, QuotaExceeded | UpstreamQuotaExhausted):
        wait_s = _UNKNOWN_WAIT_S
    if wait_s is not None:
        found += (("retry-after", str(_whole(wait_s))), ("retry-after-ms", str(_whole(wait_s * 1000))))
    too_long = wait_s is not None and wait_s > _LONGEST_RETRY_S
    if too_long or isinstance(error, QuotaExceeded | UpstreamQuotaExhausted):
        found += (("x-should-retry", "false"),)
    return found


def _tightest(standings: Sequence[Standing]) -> list[Standing]:
    """One window and one quota a kind: the one with the least left, of equals the one that lasts longest."""
    chosen: dict[tuple[str, bool], Standing] = {}
    for standing in standings:
        place = (standing.kind, standing.window_s is None)
        if place not in chosen or _room(standing) < _room(chosen[place]):
            chosen[place] = standing
    return list(chosen.values())


def _room(standing: Standing) -> tuple[float, float]:
    return (math.inf if standing.remaining is None else standing.remaining, -standing.reset_s)


def _reset_s(standing: Standing, refusal: AdmissionError | None) -> float:
    if refusal is None or refusal.retry_after_s is None or standing.window_s is None:
        return standing.reset_s
    refused_here = isinstance(refusal, RateLimited) and standing.kind == refusal.kind_of_limit
    return min(standing.reset_s, refusal.retry_after_s) if refused_here else standing.reset_s


def _whole(amount: float) -> int:
    return max(0, math.ceil(amount))


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `12ms`, `1s`, `6m0s`, `164h3m20s`; rounded up."""
    if (thousandths := _whole(seconds * 1000)) < 1000:
        return f"{thousandths}ms"
    minutes, rest = divmod(_whole(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
