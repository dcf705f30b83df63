"""Whether and when to ask again. Pure.

Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015) for full jitter; Google SRE book, ch. 21, and Finagle's
RetryBudget for budgets in proportion to first attempts (read 2026-11-24).
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable

from pulse_gateway.clock import Clock

__all__ = ["RetryBudget", "retry_wait_s"]

_LEAST_ATTEMPT_S = 0.05  # with less time than this left, an attempt can only fail
_PER_FIRST_ATTEMPT = 0.1
_PER_S = 1.0
_MOST = 10.0
_DEPLOYMENTS_KEPT = 1_000  # names can come from clients


def retry_wait_s(
    retries: int,
    retry_after_s: float | None,
    left_s: float,
    *,
    base_s: float = 0.5,
    max_wait_s: float = 8.0,
    random: Callable[[], float] = _random.random,
) -> float | None:
    """How long to wait before the next try, after `retries` of them; None when it would begin too late.

    Full jitter: evenly anything up to base_s · 2ⁿ, at most `max_wait_s`; never less than the `retry_after_s` that the provider
    asked for. `left_s` is what remains of the whole exchange's time.
    """
    wait_s = random() * min(max_wait_s, base_s * 2 ** min(retries, 60))
    if retry_after_s is not None:
        wait_s = max(wait_s, retry_after_s)
    return wait_s if wait_s + _LEAST_ATTEMPT_S <= left_s else None


class RetryBudget:
    """Keeps retries from becoming the outage: at most one for ten first attempts, and one a second, for each deployment."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._balances: dict[str, tuple[float, float]] = {}  # deployment → what is left, and when; absent: all

    def first_attempt(self, deployment: str) -> None:
        """Called for each request that is sent to `deployment` for the first time."""
        if deployment in self._balances:
            balance, now_s = self._balance(deployment)
            self._keep(deployment, balance + _PER_FIRST_ATTEMPT, now_s)

    def retry(self, deployment: str) -> bool:
        """Whether one retry may be made now; if so, it is paid for."""
        balance, now_s = self._balance(deployment)
        allowed = balance >= 1
        self._keep(deployment, balance - 1 if allowed else balance, now_s)
        return allowed

    def _balance(self, deployment: str) -> tuple[float, float]:
        now_s = self._clock.monotonic()
        balance, since_s = self._balances.pop(deployment, (_MOST, now_s))
        return min(_MOST, balance + (now_s - since_s) * _PER_S), now_s

    def _keep(self, deployment: str, balance: float, now_s: float) -> None:
        if balance < _MOST:
            self._balances[deployment] = (balance, now_s)
        if len(self._balances) > _DEPLOYMENTS_KEPT:
            del self._balances[next(iter(self._balances))]  # the one not used for longest
