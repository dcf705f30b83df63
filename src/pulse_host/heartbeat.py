"""Keep-alives on a slow stream."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol, Self

__all__ = ["Heartbeat", "Written"]


class Written(Protocol):
    """What a stream is written to. `wrote_at` is when it was last, by the loop's time; while it `is_held`, a chunk would have to wait."""

    wrote_at: float

    @property
    def is_held(self) -> bool: ...

    def write(self, chunk: bytes, /) -> Awaitable[None] | None: ...


class Heartbeat:
    """Writes `keep_alive` to `outlet` whenever nothing was written for `seconds`; with None it writes nothing of its own.

    One timer, looked at when its time has come: a stream that is not silent pays nothing for it. A keep-alive goes out only while
    nothing else waits to.
    """

    __slots__ = ("_beating", "_keep_alive", "_loop", "_outlet", "_seconds", "_timer")

    def __init__(self, outlet: Written, keep_alive: bytes | None, seconds: float) -> None:
        self._outlet, self._keep_alive, self._seconds = outlet, keep_alive, seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._beating: asyncio.Future[None] | None = None  # held, since the loop holds tasks only weakly

    def __enter__(self) -> Self:
        if self._keep_alive is not None:
            self._outlet.wrote_at = self._loop.time()
            self._timer = self._loop.call_later(self._seconds, self._look)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._beating is not None:
            self._beating.cancel()

    def _look(self) -> None:
        outlet, keep_alive = self._outlet, self._keep_alive
        assert keep_alive is not None
        left_s = outlet.wrote_at + self._seconds - self._loop.time()
        if left_s <= 0 and not outlet.is_held:
            waiting = outlet.write(keep_alive)
            if waiting is not None:
                self._beating = asyncio.ensure_future(waiting)
        self._timer = self._loop.call_later(left_s if left_s > 0 else self._seconds, self._look)
