from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from pulse_gateway.clock import Clock
from pulse_gateway.errors import DeadlineExceeded
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply

__all__ = ["Deadline"]


class Deadline:
    """One deadline over every attempt: the configured one, or the client's if that is shorter. A stream goes on under it."""

    def __init__(self, inner: Handler, *, total_s: float, clock: Clock) -> None:
        self._inner, self._total_s, self._clock = inner, total_s, clock
        self._alarm = _Alarm()

    def __call__(self, exchange: Exchange) -> Awaitable[Reply]:
        return self.run(self._inner, exchange)

    async def run(self, handler: Handler, exchange: Exchange) -> Reply:
        """The same for another handler.

        Raises: DeadlineExceeded.
        """
        asked = exchange.inbound.timeout_s
        allowed_s = self._total_s if asked is None else min(asked, self._total_s)
        exchange.deadline = self._clock.monotonic() + allowed_s
        waiting = self._alarm.set(allowed_s)
        try:
            return await handler(exchange)
        except asyncio.CancelledError as error:
            if type(error) is asyncio.CancelledError and self._alarm.is_why(waiting):
                raise DeadlineExceeded(f"no answer within the request's {allowed_s:g} s") from error
            raise
        finally:
            self._alarm.clear(waiting)


_TICK_S = 0.001  # uvloop's timers count whole milliseconds


class _Waiting:
    """A task that is cancelled at `due_s`, by the loop's clock. `before`: how many cancellations it had before, which are not ours."""

    __slots__ = ("before", "due_s", "rang", "task")

    def __init__(self, task: asyncio.Task[object], due_s: float) -> None:
        self.task, self.due_s, self.rang, self.before = task, due_s, False, task.cancelling()


class _Alarm:
    """What `asyncio.timeout` does, with one timer for all: nearly every request is over long before its time is, and never needs one.

    The timer is set for whoever was due first when it was set, and looks then who is due next.
    """

    def __init__(self) -> None:
        self._waiting: dict[_Waiting, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at_s = float("inf")

    def set(self, seconds: float) -> _Waiting:
        """Cancel the current task in so many seconds, unless it is `clear`ed before."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)  # else it would ask for the loop again, which is a system call on Python 3.11
        assert task is not None  # handlers are awaited
        waiting = _Waiting(task, loop.time() + seconds)
        self._waiting[waiting] = None
        if waiting.due_s < self._rings_at_s:
            self._ring_at(waiting.due_s, loop)
        return waiting

    def is_why(self, waiting: _Waiting) -> bool:
        """Whether the cancellation of the task is this one alone."""
        if not waiting.rang:
            return False
        waiting.rang = False
        return waiting.task.uncancel() <= waiting.before

    def clear(self, waiting: _Waiting) -> None:
        del self._waiting[waiting]
        if waiting.rang:
            waiting.task.uncancel()

    def _ring_at(self, due_s: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at_s, self._timer = due_s, loop.call_at(due_s, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._rings_at_s = None, float("inf")
        now_s, next_s = loop.time(), float("inf")
        for waiting in self._waiting:
            if waiting.due_s <= now_s + _TICK_S:
                if not waiting.rang:
                    waiting.rang = True
                    waiting.task.cancel()
            elif waiting.due_s < next_s:
                next_s = waiting.due_s
        if next_s < float("inf"):
            self._ring_at(next_s, loop)
