"""What a response says about limits, on grants and refusals alike. Pure.

Source: draft-ietf-httpapi-ratelimit-headers-10 (2025-09) and RFC 9651 for `RateLimit-Policy`, `RateLimit`, and the form of
`Pulse-Quota`; OpenAI's rate-limit headers (developers.openai.com, read 2026-11-24) for `x-ratelimit-*`, whose resets are
durations; openai 3.54 and anthropic 2.12 for what their clients do with `retry-after-ms`, `retry-after`, `x-should-retry`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from pulse_gateway.errors import (
    AdmissionError,
    PulseError,
    QuotaExceeded,
    RateLimited,
    UpstreamError,
    UpstreamQuotaExhausted,
)
from pulse_gateway.limits.asks import QUOTA, Ask
from pulse_gateway.limits.limiter import CONCURRENCY, COST, REQUESTS, Standing
from pulse_gateway.limits.standings import Standings
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
    if type(standings) is Standings and refusal is None and (told := _told(standings)) is not None:
        return told
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


class _Prepared(msgspec.Struct, frozen=True):
    """What is said of the counters of one caller, as far as it is the same whatever they count.

    `windows` have their place among the rows, cap, what their member of `ratelimit` begins with, and the names of OpenAI's headers
    for what is left and how long; the others the same, as far as they have it, and whether they are money.
    """

    fixed: Headers
    windows: list[tuple[int, int, str, tuple[str, str] | None]]
    at_once: list[tuple[int, int, str]]
    quotas: list[tuple[int, int, str, tuple[str, str] | None, bool]]


_CANNOT: Final = "which of two counters of one kind is told is known once they have counted"


def _told(standings: Standings) -> Headers | None:
    """The headers, from the numbers; None where the general way has to be gone."""
    counted = standings.counted
    if counted is None:
        return None
    prepared = counted.told
    if prepared is None:
        prepared = counted.told = _prepared(standings.asks) or _CANNOT
    if type(prepared) is not _Prepared:
        return None
    rows, found = standings.rows, list(prepared.fixed)
    places = quotas = ""
    for at, cap, begin, names in prepared.windows:
        row = rows[at]
        remaining = cap - row.used
        left = f"{remaining}" if remaining > 0 else "0"
        seconds = row.reset_us / 1e6
        until, lasts = _until(math.ceil(seconds - _EDGE_S)) if seconds > 1 else _soon(seconds)
        places = f"{places}{begin}{left};t={until}"
        if names is not None:
            found.append((names[0], left))
            found.append((names[1], lasts))
    for at, cap, begin in prepared.at_once:
        places = f"{places}{begin}{max(0, cap - rows[at].used)}"
    seconds = standings.month.resets_at - standings.now_s
    until, lasts = _until(math.ceil(seconds - _EDGE_S)) if seconds > 1 else _soon(seconds)
    for at, cap, begin, names, is_money in prepared.quotas:
        row = rows[at]
        used, held = row.used, row.held
        if is_money:
            quotas = f"{quotas}{begin}{_money(None if cap < 0 else cap, used, held, until)}"
        elif cap < 0:
            quotas = f"{quotas}{begin}{used};h={held};t={until}"
        else:
            remaining = cap - used - held
            left = f"{remaining}" if remaining > 0 else "0"
            quotas = f"{quotas}{begin}{used};h={held};r={left};t={until}"
            if names is not None:
                found.append((names[0], left))
                found.append((names[1], lasts))
    if places:
        found.append(("ratelimit", places))
    if quotas:
        found.append(("pulse-quota", quotas))
    return tuple(found)


def _prepared(asks: Sequence[Ask]) -> _Prepared | None:
    """None where two counters are of one kind, or calls at once are told before a window."""
    policies: list[str] = []
    fixed: list[tuple[str, str]] = []
    prepared = _Prepared((), [], [], [])
    seen, classic = set(), set()
    for at, ask in sorted(enumerate(asks), key=lambda each: not each[1].window_us):  # windows are told before quotas
        kind, cap, is_window = ask.kind, ask.cap, ask.window_us > 0
        if (kind, is_window) in seen:
            return None
        seen.add((kind, is_window))
        names = None
        if cap >= 0 and kind in _TOLD_AS_OPENAI_DOES and kind not in classic:
            classic.add(kind)
            limit, *rest = _TOLD_AS_OPENAI_DOES[kind]
            fixed.append((limit, f"{cap}"))
            names = (rest[0], rest[1])
        if ask.form == QUOTA:
            begin = ", " if prepared.quotas else ""
            if kind != COST:
                begin = f'{begin}"{kind}";u=' if cap < 0 else f'{begin}"{kind}";q={cap};u='
            prepared.quotas.append((at, cap, begin, names, kind == COST))
        elif cap >= 0:
            begin = f'{", " if policies else ""}"{kind}";r='
            policies.append(_policy(kind, cap, ask.window_us / 1e6 if is_window else None))
            if is_window:
                prepared.windows.append((at, cap, begin, names))
            else:
                prepared.at_once.append((at, cap, begin))
    if prepared.at_once and prepared.windows and prepared.at_once[0][0] < prepared.windows[-1][0]:
        return None
    if policies:
        fixed.insert(0, ("ratelimit-policy", ", ".join(policies)))
    return msgspec.structs.replace(prepared, fixed=tuple(fixed))


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
        return _money(limit, used, held, f"{until}")
    if limit is None:
        return f'"{kind}";u={used};h={held};t={until}'
    return f'"{kind}";q={limit};u={used};h={held};r={remaining};t={until}'


def _money(limit: int | None, used: int, held: int, until: str) -> str:
    if limit is None:
        return f'"cost_usd";u="{usd(used)}";h="{usd(held)}";t={until}'
    left = usd(max(0, limit - used - held))
    return f'"cost_usd";q="{usd(limit)}";u="{usd(used)}";h="{usd(held)}";r="{left}";t={until}'


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
    return f"{max(0, math.ceil(seconds * 1000))}ms" if seconds <= 0.999 else _spelled(math.ceil(seconds))


@lru_cache(maxsize=1_024)
def _until(seconds: int) -> tuple[str, str]:
    """In seconds, and as OpenAI writes it."""
    return f"{seconds}", _spelled(seconds)


def _soon(seconds: float) -> tuple[str, str]:
    """The same of less than a second or so."""
    return f"{_whole(seconds)}", _duration(seconds)


@lru_cache(maxsize=1_024)
def _spelled(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m{rest}s" if minutes else f"{rest}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s"
