"""What a decision of the counters means for a caller: what a settlement passed, and the error of a refusal. Pure."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from pulse_gateway.errors import AdmissionError, ConcurrencyLimited, QuotaExceeded, RateLimited
from pulse_gateway.limits.asks import QUOTA, Ask
from pulse_gateway.limits.counters import Row
from pulse_gateway.limits.limiter import ALERT_AT_PERCENT, COST
from pulse_gateway.limits.periods import Month
from pulse_gateway.limits.standings import Standings
from pulse_gateway.limits.tally import Counted
from pulse_gateway.units import usd

__all__ = ["amounts_used", "refusal", "settled_standings"]


_FIRST_ALERT = ALERT_AT_PERCENT[0]


def settled_standings(
    asks: Sequence[Ask],
    rows: Sequence[Row],
    granted: Sequence[Row],
    actual: Sequence[int],
    month: Month,
    now_s: float,
    counted: Counted | None = None,
) -> Standings:
    """Where each counter stands after a settlement that added `actual`; windows stand as they did when it was `granted`."""
    stand: list[Row] = []
    crossed: list[tuple[int, ...]] | None = None
    for at, ask in enumerate(asks):
        if ask.window_us:
            stand.append(granted[at])
            continue
        row = rows[at]
        stand.append(row)
        if (
            (added := actual[at])
            and row.used * 100 >= _FIRST_ALERT * ask.cap
            and (passed := _crossed(ask, row.used, added))
        ):
            crossed = crossed or [()] * len(asks)
            crossed[at] = passed
    return Standings(asks, stand, month, now_s, counted, crossed)


def amounts_used(asks: Sequence[Ask], used: Mapping[str, int]) -> list[int]:
    """What was really used, one amount an ask; never negative."""
    actual = []
    for ask in asks:
        amount = used.get(ask.kind, 0)
        actual.append(amount if amount > 0 else 0)  # noqa: FURB136 -- several times as fast as `max`
    return actual


def refusal(asks: Sequence[Ask], rows: Sequence[Row], month: Month, now_s: float) -> AdmissionError:
    """The error of a refused request: of all limits in the way the one that lasts longest, so that waiting for `retry_after_s`
    is enough. It is None where no wait helps: the request alone is larger than the limit.
    """
    in_the_way = [(ask, row) for ask, row in zip(asks, rows, strict=True) if row.wait_us]
    ask, row = max(in_the_way, key=lambda pair: _wait_s(pair[0], pair[1], month, now_s))
    longest_s = _wait_s(ask, row, month, now_s)
    wait_s = None if longest_s == math.inf else longest_s
    error = _error(ask, row, month, wait_s)
    error.account = ask.account
    error.standings = Standings(asks, rows, month, now_s)[:]
    return error


def _crossed(ask: Ask, used: int, added: int) -> tuple[int, ...]:
    if ask.cap <= 0 or ask.form != QUOTA:
        return ()
    return tuple(percent for percent in ALERT_AT_PERCENT if (used - added) * 100 < percent * ask.cap <= used * 100)


def _wait_s(ask: Ask, row: Row, month: Month, now_s: float) -> float:
    if row.wait_us < 0:
        return math.inf
    return max(0.0, month.resets_at - now_s) if ask.form == QUOTA else row.wait_us / 1e6


def _error(ask: Ask, row: Row, month: Month, wait_s: float | None) -> AdmissionError:
    whose = _whose(ask.account)
    if ask.form == QUOTA:
        resets = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(month.resets_at))
        message = (
            f"{_quota(ask)}{whose}: {_amount(ask, row.used)} used, "
            f"{_amount(ask, row.held)} held, this request needs {_amount(ask, ask.amount)}"
        )
        ending = ", more than the whole quota" if wait_s is None else f"; resets {resets}"
        return QuotaExceeded(message + ending, retry_after_s=wait_s, kind_of_limit=ask.kind)
    if ask.window_us:
        limit = f"rate limit of {ask.cap:,} {ask.kind} per {ask.window_us / 1e6:g} s{whose}"
        if wait_s is None:
            return RateLimited(f"{limit}: this request alone asks for {ask.amount:,}", kind_of_limit=ask.kind)
        shown_s = math.ceil(wait_s * 10) / 10
        used = f"{row.used:,} used, this request needs {ask.amount:,}"
        return RateLimited(
            f"{limit} reached: {used}; try again in {shown_s:g} s", retry_after_s=wait_s, kind_of_limit=ask.kind
        )
    return ConcurrencyLimited(
        f"limit of {ask.cap:,} {_calls(ask.cap)} at once{whose} reached: {row.used:,} under way",
        retry_after_s=wait_s,
        kind_of_limit=ask.kind,
    )


def _calls(count: int) -> str:
    return "call" if count == 1 else "calls"


def _whose(account: str) -> str:
    for what in ("key", "tenant"):
        if account.startswith(f"{what}/"):
            return f" for this {what}"
    _, separator, model = account.rpartition("model/")
    return f" for {unquote(model)}" if separator else ""


def _quota(ask: Ask) -> str:
    if ask.kind == COST:
        return f"monthly budget of {_amount(ask, ask.cap)}"
    return f"monthly quota of {_amount(ask, ask.cap)} {ask.kind}"


def _amount(ask: Ask, amount: int) -> str:
    return f"${usd(amount)}" if ask.kind == COST else f"{amount:,}"
