"""What a response says about limits, on grants and refusals alike. Pure.

Source: draft-ietf-httpapi-ratelimit-headers-10 (2025-09) and RFC 9651 for `RateLimit-Policy`, `RateLimit`, and the form of
`Pulse-Quota`; OpenAI's rate-limit headers (developers.openai.com, read 2026-11-24) for `x-ratelimit-*`, whose resets are
durations; openai 3.54 and anthropic 2.12 for what their clients do with `retry-after-ms`, `retry-after`, `x-should-retry`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

from pulse_gateway.errors import (
    AdmissionError,
    PulseError,
    QuotaExceeded,
    RateLimited,
    UpstreamError,
    UpstreamQuotaExhausted,
)
from pulse_gateway.limits.limiter import CONCURRENCY, COST, REQUESTS, Standing
from pulse_gateway.types.http import Headers
from pulse_gateway.units import usd

__all__ = ["limit_headers", "refusal_headers"]

_EDGE_S = 2e-6  # a place frees a microsecond after its window: that is for those who wait for it, not for those who read about it
_TOLD_AS_OPENAI_DOES = {
    kind: (f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}")
    for kind in (REQUESTS, "tokens")
}
_UNITS = {REQUESTS: "", CONCURRENCY: ';qu="concurrent-requests"'}  # the draft's; requests is what it takes for granted
_TELLS_WHEN = frozenset({429, 503})
_UNKNOWN_WAIT_S = 1.0
_LONGEST_RETRY_S = 120.0  # openai's clients give up beyond it; anthropic's would sleep for hours, unless told not to


def limit_headers(standings: Sequence[Standing], refusal: AdmissionError | None = None) -> Headers:
    """Where the caller stands, for any answer. Names in lower case.

    - `ratelimit-policy: "requests";q=60;w=60` and `ratelimit: "requests";r=12;t=31`: windows with a cap. q places in w
      seconds, r of them left, the window empty again in t seconds if nothing more is asked. Kinds other than requests name their
      unit: `"tokens";q=90000;qu="tokens";w=60`. Calls at once have neither w nor t: `"concurrency";q=5;qu="concurrent-requests"`.
    - `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`: the windows for OpenAI's clients; of tokens the monthly quota where
      they have no window.
    - `pulse-quota: "tokens";q=150000;u=149000;h=2500;r=0;t=604800`: monthly quotas, a list with one member a kind: q the cap,
      u used, h held for running requests, r what is left, t seconds until the month (UTC) ends. Without a cap no q and r. Money
      is `"cost_usd"`, in dollars as exact decimals in strings: `u="12.3456789"`.

    Of several counters of one kind the tightest is shown. With `refusal`, t of the window that refused is when its next place
    is free, so that it is never later than `retry-after`.
    """
    policies, places, quotas = [], [], []
    classic: dict[str, Headers] = {}
    for standing in _tightest(standings):
        kind, limit, window_s, reset_s = standing.kind, standing.limit, standing.window_s, standing.reset_s
        remaining = standing.remaining
        if window_s is not None or kind == CONCURRENCY:
            if limit is None:
                continue
            policies.append(_policy(kind, limit, window_s))
            if window_s is None:
                places.append(f'"{kind}";r={remaining}')
                continue
            if refusal is not None:
                reset_s = _until_free_s(standing, refusal)
            places.append(f'"{kind}";r={remaining};t={_whole(reset_s)}')
        else:
            quotas.append(_quota(standing, remaining))
        if limit is not None and kind in _TOLD_AS_OPENAI_DOES and (window_s is not None or kind not in classic):
            limit_, remaining_, reset = _TOLD_AS_OPENAI_DOES[kind]
            classic[kind] = ((limit_, f"{limit}"), (remaining_, f"{remaining}"), (reset, _duration(reset_s)))
    found: list[tuple[str, str]] = []
    if policies:
        found += (("ratelimit-policy", ", ".join(policies)), ("ratelimit", ", ".join(places)))
    if quotas:
        found.append(("pulse-quota", ", ".join(quotas)))
    for lines in classic.values():
        found += lines
    return tuple(found)


def refusal_headers(error: PulseError) -> Headers:
    """What goes with an error: when to come back, and, from a limiter, where the caller stands.

    `retry-after` in whole seconds and `retry-after-ms`, both rounded up, where the error knows a time; one second on a 429 or 503
    that does not.
    `x-should-retry: false` where the wait is too long to sit out in a client, for quotas, and beyond two minutes; and where what was
    asked for may be made all the same, and would be made twice.
    """
    found = limit_headers(error.standings, error) if isinstance(error, AdmissionError) else ()
    wait_s = error.retry_after_s
    if wait_s is None and error.status in _TELLS_WHEN and not isinstance(error, QuotaExceeded | UpstreamQuotaExhausted):
        wait_s = _UNKNOWN_WAIT_S
    if wait_s is not None:
        found += (("retry-after", str(math.ceil(wait_s))), ("retry-after-ms", str(math.ceil(wait_s * 1000))))
    too_long = wait_s is not None and wait_s > _LONGEST_RETRY_S
    may_be_made = isinstance(error, UpstreamError) and error.may_be_made
    if too_long or may_be_made or isinstance(error, QuotaExceeded | UpstreamQuotaExhausted):
        found += (("x-should-retry", "false"),)
    return found


def _tightest(standings: Sequence[Standing]) -> Iterable[Standing]:
    """One window and one quota a kind: the one with the least left, of equals the one that lasts longest."""
    chosen: dict[tuple[str, bool], Standing] = {}
    for standing in standings:
        place = (standing.kind, standing.window_s is not None)
        other = chosen.setdefault(place, standing)
        if other is not standing and _room(standing) < _room(other):
            chosen[place] = standing
    return chosen.values()


def _room(standing: Standing) -> tuple[float, float]:
    return (math.inf if standing.remaining is None else standing.remaining, -standing.reset_s)


@lru_cache(maxsize=1_024)
def _policy(kind: str, limit: int, window_s: float | None) -> str:
    unit = _UNITS.get(kind, f';qu="{kind}"')
    window = "" if window_s is None else f";w={_whole(window_s)}"
    return f'"{kind}";q={limit}{unit}{window}'


def _quota(standing: Standing, remaining: int | None) -> str:
    kind, limit, used, held = standing.kind, standing.limit, standing.used, standing.reserved
    until = _whole(standing.reset_s)
    if kind == COST:
        cap, left = ("", "") if limit is None or remaining is None else (f';q="{usd(limit)}"', f';r="{usd(remaining)}"')
        return f'"cost_usd"{cap};u="{usd(used)}";h="{usd(held)}"{left};t={until}'
    if limit is None:
        return f'"{kind}";u={used};h={held};t={until}'
    return f'"{kind}";q={limit};u={used};h={held};r={remaining};t={until}'


def _until_free_s(window: Standing, refusal: AdmissionError) -> float:
    if refusal.retry_after_s is None or not isinstance(refusal, RateLimited) or window.kind != refusal.kind_of_limit:
        return window.reset_s
    return min(window.reset_s, refusal.retry_after_s)


def _whole(seconds: float) -> int:
    """Rounded up, but for the microsecond of a window's edge."""
    return math.ceil(seconds - _EDGE_S) if seconds > _EDGE_S else 0


def _duration(seconds: float) -> str:
    """As OpenAI writes it: `12ms`, `1s`, `6m0s`, `164h3m20s`; rounded up."""
    seconds -= _EDGE_S
    if seconds <= 0.999:
        return f"{max(0, math.ceil(seconds * 1000))}ms"
    minutes, rest = divmod(math.ceil(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest}s" if minutes else f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s"
