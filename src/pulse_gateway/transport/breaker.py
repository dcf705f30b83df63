"""When to stop asking a server that does not answer, and when to look whether it is back. Pure: it reads a clock and decides."""

from __future__ import annotations

from pulse_gateway.clock import Clock

__all__ = ["Breaker"]

_STEADY_S = 5.0


class Breaker:
    """Closed, it lets calls through; it opens after `failures` failures one after the other without a success between them.

    "One after the other" is meant: what had begun before the last counted failure failed together with it, and is not counted
    again. So a hundred calls lost with one connection are one failure. Open, it stays so until `close`, which is for whoever has
    looked: `next_probe_s` says when to look, soon at first and then every `probe_most_s`. A server that is well whenever it is
    looked at and fails in between does not get the soon ones: opening again within `_STEADY_S` goes on where it was.
    """

    def __init__(
        self, clock: Clock, *, failures: int = 3, probe_least_s: float = 0.05, probe_most_s: float = 0.5
    ) -> None:
        self._clock = clock
        self._limit = failures
        self._probe_least_s, self._probe_most_s = probe_least_s, probe_most_s
        self._failures = 0
        self._failed_at = float("-inf")
        self.is_open = False
        self._opened_at = float("-inf")
        self._closed_at = float("-inf")
        self._probe_s = probe_least_s

    @property
    def open_s(self) -> float:
        """For how many seconds it has been open; zero when closed."""
        return self._clock.monotonic() - self._opened_at if self.is_open else 0.0

    def succeed(self) -> None:
        """A call was answered. Does not close an open breaker: an answer may be late news."""
        self._failures = 0

    def fail(self, *, waited_s: float = 0.0) -> bool:
        """A call that had begun `waited_s` ago got no answer. True when this opened the breaker."""
        now = self._clock.monotonic()
        if self.is_open or now - waited_s < self._failed_at:
            return False
        self._failures += 1
        self._failed_at = now
        if self._failures < self._limit:
            return False
        self.trip()
        return True

    def trip(self) -> None:
        """Open at once, whatever was counted."""
        if not self.is_open:
            self.is_open = True
            self._opened_at = self._clock.monotonic()
            if self._opened_at - self._closed_at > _STEADY_S:
                self._probe_s = self._probe_least_s

    def next_probe_s(self) -> float:
        """Seconds to wait before the next look; twice as long each time, up to `probe_most_s`."""
        wait_s = self._probe_s
        self._probe_s = min(wait_s * 2, self._probe_most_s)
        return wait_s

    def close(self) -> None:
        """The server is back."""
        self.is_open = False
        self._closed_at = self._clock.monotonic()
        self._failures = 0
