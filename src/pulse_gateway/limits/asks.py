"""What is asked of the counters: charges as they are put to the store, each with the key of its counter. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from pulse_gateway.limits.accounts import escaped
from pulse_gateway.limits.limiter import CONCURRENCY, REQUESTS, Charge

__all__ = [
    "BUCKETS",
    "HELD",
    "LARGEST",
    "LOG",
    "MOST_AT_ONCE",
    "QUOTA",
    "RUNNING",
    "Ask",
    "asks_of",
    "holds_of",
    "key_prefix",
]

# What a counter is.
LOG, BUCKETS, RUNNING, QUOTA = "l", "b", "r", "q"
HELD = frozenset({RUNNING, QUOTA})  # what a permit takes, it gives back
LARGEST = 2**53 - 1  # the largest integer that Redis's scripts keep exact: nine million dollars in nano-USD
MOST_AT_ONCE = 1_000  # places that one charge takes in a log, which keeps an entry for each
_SHORTEST_US = 1_000
_MEANT_BY_THE_STORE = frozenset("|;{}")


class Ask(msgspec.Struct, frozen=True, gc=False):
    """`cap` -1: none. `window_us` 0: no window. `key` names the counter; for a quota it holds the month."""

    form: str
    key: str
    amount: int
    cap: int
    window_us: int
    account: str
    kind: str


@lru_cache(maxsize=65_536)
def key_prefix(prefix: str, tenant: str) -> str:
    """What the keys of a tenant begin with: the version, and in braces, for a cluster keeps those together, the tenant.

    Raises: ValueError for a prefix with a character that means something in a key or a hold.
    """
    if _MEANT_BY_THE_STORE.intersection(prefix):
        raise ValueError("a prefix of keys has none of | ; { }")
    return f"{prefix}:v1:{{{escaped(tenant)}}}:"


def holds_of(asks: Sequence[Ask]) -> str:
    """What a permit for `asks` holds, as it is kept: `form|key|amount;…`."""
    return ";".join([f"{ask.form}|{ask.key}|{ask.amount}" for ask in asks if ask.form in HELD and ask.amount])


def asks_of(prefix: str, charges: Sequence[Charge], period: int) -> list[Ask]:
    """One ask a counter: charges on the same one add up and obey the smaller cap. The order is that of first mention.

    `prefix` is from `key_prefix`; `period` is the month, `202611`. A cap beyond `LARGEST` is `LARGEST`.

    Raises: ValueError for a negative amount, one beyond `LARGEST` (`MOST_AT_ONCE` in a log), or a window under a millisecond.
    """
    found: dict[str, Ask] = {}
    for charge in charges:
        ask = _ask(prefix, charge, period)
        if (before := found.setdefault(ask.key, ask)) is not ask:
            cap = max(ask.cap, before.cap) if -1 in (ask.cap, before.cap) else min(ask.cap, before.cap)
            ask = found[ask.key] = msgspec.structs.replace(ask, amount=before.amount + ask.amount, cap=cap)
        if charge.amount < 0 or ask.amount > (MOST_AT_ONCE if ask.form == LOG else LARGEST):
            raise ValueError(f"a charge of {charge.amount} {charge.kind} is negative or too large")
    return list(found.values())


def _ask(prefix: str, charge: Charge, period: int) -> Ask:
    account, kind, cap = charge.account, charge.kind, charge.cap
    if cap is None:
        cap = -1
    elif not 0 <= cap <= LARGEST:
        cap = 0 if cap < 0 else LARGEST
    if (window_s := charge.window_s) is not None:
        window_us, window = _window(window_s)
        key = f"{prefix}ratelimit:{account}:{kind}:{window}"
        return Ask(LOG if kind == REQUESTS else BUCKETS, key, charge.amount, cap, window_us, account, kind)
    if kind == CONCURRENCY:
        return Ask(RUNNING, f"{prefix}ratelimit:{account}:concurrency", charge.amount, cap, 0, account, kind)
    return Ask(QUOTA, f"{prefix}usage:{kind}:{account}:{_month(period)}", charge.amount, cap, 0, account, kind)


@lru_cache(maxsize=1_024)
def _window(window_s: float) -> tuple[int, str]:
    """In µs, and as it stands in keys: exact, so that two windows never share one."""
    window_us = round(window_s * 1e6)
    if window_us < _SHORTEST_US:
        raise ValueError(f"a window of {window_s:g} s is too short to be counted")
    return window_us, f"{window_us / 1e6:.15g}s"


@lru_cache(maxsize=64)
def _month(period: int) -> str:
    return f"{period // 100}-{period % 100:02d}"
