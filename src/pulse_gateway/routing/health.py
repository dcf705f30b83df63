"""Which deployments are worth asking: a circuit breaker for each. Pure, on the clock that is handed in.

Closed while all is well. Open once at least half of 20 or more outcomes within 10 s were bad, or five connections in a row were
refused: nothing is sent for 5 s, twice as long each time, 60 s at most. Then one call is let through, and when it succeeds a tenth
of the traffic, a quarter, a half, all, two seconds each. A provider that said when to come back is left alone until then.

Source: Nygard, "Release It!" (2007), for the breaker; Google SRE book, ch. 21–22, for letting traffic back by parts (read 2026-11-24).
"""

from __future__ import annotations

import random as _random
from collections import deque
from collections.abc import Callable

from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    UpstreamCooling,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamSuspended,
    UpstreamUnreachable,
)

__all__ = ["Health"]

_WINDOW_S = 10.0
_LEAST_OUTCOMES = 20
_UNREACHABLE_IN_A_ROW = 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _SPREAD = 5.0, 60.0, 0.2
_STAGES = (0.1, 0.25, 0.5)
_STAGE_S = 2.0
_LAST_RESORT_S = 1.0
_DEPLOYMENTS_KEPT = 1_000  # names can come from clients


class _State:
    __slots__ = (
        "bad",
        "cool_until",
        "last_resort",
        "open_until",
        "opened",
        "outcomes",
        "probing",
        "returning",
        "unreachable",
    )

    def __init__(self) -> None:
        self.outcomes: deque[tuple[float, bool]] = deque()  # (when, whether it was bad)
        self.bad = 0
        self.unreachable = 0  # connections refused in a row
        self.opened = 0  # how often in a row, without recovering in between
        self.open_until: float | None = None  # None: closed
        self.probing = False
        self.returning: float | None = None  # since when traffic comes back by parts
        self.cool_until = 0.0
        self.last_resort = float("-inf")


class Health:
    """`enter` before each attempt, then `succeeded`, `failed`, or, when nobody knows, `left`."""

    def __init__(self, clock: Clock, *, random: Callable[[], float] = _random.random) -> None:
        self._clock, self._random = clock, random
        self._states: dict[str, _State] = {}

    def enter(self, deployment: str, *, last_resort: bool = False) -> None:
        """`last_resort`: every other deployment was refused as well; then one call a second is let through all the same.

        Raises: UpstreamSuspended, or UpstreamCooling while the provider has asked to be left alone, with `retry_after_s`.
        """
        state = self._states.get(deployment)
        if state is None:
            return
        now = self._clock.monotonic()
        if now < state.cool_until:
            raise UpstreamCooling(f"{deployment} limits this gateway's calls", retry_after_s=state.cool_until - now)
        if state.open_until is not None:
            if now >= state.open_until and not state.probing:
                state.probing = True
                return
            if last_resort and now - state.last_resort >= _LAST_RESORT_S:
                state.last_resort = now
                return
            raise _suspended(deployment, max(_LAST_RESORT_S, state.open_until - now))
        if state.returning is not None:
            stage = int((now - state.returning) / _STAGE_S)
            if stage >= len(_STAGES):
                state.returning, state.opened = None, 0
            elif self._random() >= _STAGES[stage]:
                raise _suspended(deployment, _STAGE_S)

    def succeeded(self, deployment: str) -> None:
        state = self._states.get(deployment)
        if state is None:
            self._remember(deployment, bad=False)
            return
        state.unreachable = 0
        if state.open_until is not None:
            state.open_until, state.probing, state.returning = None, False, self._clock.monotonic()
            state.outcomes.clear()
            state.bad = 0
            return
        self._count(state, bad=False)

    def failed(self, deployment: str, error: UpstreamError) -> None:
        if isinstance(error, UpstreamRateLimited) and error.retry_after_s is not None:
            state = self._state(deployment)
            state.cool_until = max(state.cool_until, self._clock.monotonic() + error.retry_after_s)
        if not error.unhealthy:
            self.left(deployment)
            return
        state = self._state(deployment)
        state.unreachable = state.unreachable + 1 if isinstance(error, UpstreamUnreachable) else 0
        self._count(state, bad=True)
        half = len(state.outcomes) >= _LEAST_OUTCOMES and 2 * state.bad >= len(state.outcomes)
        if (
            state.open_until is not None
            or state.returning is not None
            or half
            or state.unreachable >= _UNREACHABLE_IN_A_ROW
        ):
            self._open(state)

    def left(self, deployment: str) -> None:
        """The attempt ended in a way that says nothing of the deployment's health."""
        state = self._states.get(deployment)
        if state is not None:
            state.probing = False

    def suspended(self, deployment: str) -> bool:
        """Whether it is being left alone, for metrics."""
        state = self._states.get(deployment)
        return state is not None and state.open_until is not None

    def _open(self, state: _State) -> None:
        now = self._clock.monotonic()
        if state.open_until is not None and now < state.open_until:
            return  # calls that were under way when it opened
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2**state.opened)
        state.open_until = now + pause_s * (1 + _SPREAD * (2 * self._random() - 1))
        state.opened = min(state.opened + 1, 10)
        state.probing, state.returning = False, None

    def _count(self, state: _State, *, bad: bool) -> None:
        now = self._clock.monotonic()
        state.outcomes.append((now, bad))
        state.bad += bad
        while state.outcomes and now - state.outcomes[0][0] > _WINDOW_S:
            state.bad -= state.outcomes.popleft()[1]

    def _remember(self, deployment: str, *, bad: bool) -> None:
        self._count(self._state(deployment), bad=bad)

    def _state(self, deployment: str) -> _State:
        state = self._states.pop(deployment, None) or _State()
        self._states[deployment] = state
        if len(self._states) > _DEPLOYMENTS_KEPT:
            del self._states[next(iter(self._states))]  # the one not used for longest
        return state


def _suspended(deployment: str, retry_after_s: float) -> UpstreamSuspended:
    return UpstreamSuspended(
        f"{deployment} has failed too often of late and is not asked for a while", retry_after_s=retry_after_s
    )
