"""The connections to one origin: how many requests may be under way, who waits for a place, and which connection is used next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from pulse_gateway.errors import UpstreamUnreachable
from pulse_gateway.transport.http1.connection import Connection
from pulse_gateway.types.http import Timeouts

__all__ = ["Dial", "Pool"]

Dial = Callable[["Pool", Timeouts], Awaitable[Connection]]
"""Connects anew. Raises: UpstreamUnreachable."""

_CLOSED_WITHIN_S = 1.0


class Pool:
    """At most `limit` requests at once. The connection used last is used next, so that the rest grow old and are closed.

    A request holds a *place* from before it has a connection until its answer is whole or given up; a place that comes free goes to
    whoever has waited longest.
    """

    def __init__(self, dial: Dial, *, limit: int) -> None:
        self._dial, self._limit = dial, limit
        self._loop = asyncio.get_running_loop()
        self._busy = 0  # places taken
        self._idle: dict[Connection, None] = {}  # the one used last at the end
        self._open: set[Connection] = set()
        self._queue: deque[asyncio.Future[None]] = deque()
        self.kept = 0  # so many connections are not closed for being idle
        self._is_closed = False
        self._all_lost: asyncio.Future[None] | None = None

    @property
    def is_unused(self) -> bool:
        return not self._open and not self._busy

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def take(self) -> Connection | None:
        """A place and an idle connection, when both are there; waits for neither."""
        if self._busy >= self._limit:  # as it is while anybody waits
            return None
        idle = self._idle
        while idle:
            connection, _ = idle.popitem()
            if connection.is_usable():
                self._busy += 1
                return connection
            connection.close()
        return None

    async def get(self, timeouts: Timeouts, *, anew: bool = False) -> Connection:
        """A place, waited for, and a connection, opened when no idle one is left, or in any case if `anew`.

        Raises: UpstreamUnreachable.
        """
        if self._busy >= self._limit:  # as it is while anybody waits
            await self._place(timeouts.connect_s)
        else:
            self._busy += 1
        try:
            found = None if anew else self._pop_idle()
            return await self._dial(self, timeouts) if found is None else found
        except BaseException:  # cancellation too: the place is free again
            self._leave_place()
            raise

    def opened(self, connection: Connection) -> None:
        self._open.add(connection)

    def free(self, connection: Connection, *, reusable: bool) -> None:
        """End the use of a connection that `take` or `get` gave."""
        if reusable and not self._is_closed:
            self._idle[connection] = None
        elif reusable:
            connection.close()
        if self._queue:
            self._leave_place()
        else:
            self._busy -= 1

    def put_back(self, connection: Connection) -> None:
        """It was not used after all."""
        connection.rest()
        self.free(connection, reusable=True)

    def keeps(self) -> bool:
        """Whether one that is idle for long stays open."""
        return len(self._open) <= self.kept

    def lost(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._open.discard(connection)
        if self._all_lost is not None and not self._open and not self._all_lost.done():
            self._all_lost.set_result(None)

    async def warm(self, connections: int, timeouts: Timeouts) -> None:
        """Have at least so many connections open, within the limit, and keep as many.

        Raises: UpstreamUnreachable.
        """
        self.kept = connections
        missing = min(connections, self._limit) - len(self._open)
        made = await asyncio.gather(*(self.get(timeouts, anew=True) for _ in range(missing)), return_exceptions=True)
        for each in made:
            if isinstance(each, Connection):
                self.put_back(each)
        for each in made:
            if isinstance(each, BaseException):
                raise each

    async def aclose(self) -> None:
        """Close every connection; those in use break off, and nobody waits for one any longer."""
        self._is_closed = True
        for waiter in self._queue:
            if not waiter.done():
                waiter.set_exception(UpstreamUnreachable("the gateway's connections are being closed"))
        if not self._open:
            return
        self._all_lost = self._loop.create_future()
        for connection in tuple(self._open):
            if connection in self._idle:
                connection.close()
            else:
                connection.abort()
        self._idle.clear()
        done, _ = await asyncio.wait([self._all_lost], timeout=_CLOSED_WITHIN_S)
        if not done:  # a peer that does not say goodbye
            for connection in tuple(self._open):
                connection.abort()

    def _pop_idle(self) -> Connection | None:
        idle = self._idle
        while idle:
            connection, _ = idle.popitem()
            if connection.is_usable():
                return connection
            connection.close()
        return None

    async def _place(self, wait_s: float) -> None:
        waiter = self._loop.create_future()
        timer = self._loop.call_later(wait_s, _give_up, waiter, wait_s)
        self._queue.append(waiter)
        try:
            await waiter
        except BaseException:  # whatever ends the wait, cancellation too: a place that came with it goes on to the next
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave_place()  # it came just as the wait was given up
            elif waiter in self._queue:
                self._queue.remove(waiter)
            raise
        finally:
            timer.cancel()

    def _leave_place(self) -> None:
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.done():
                waiter.set_result(None)  # the place goes on to them
                return
        self._busy -= 1


def _give_up(waiter: asyncio.Future[None], wait_s: float) -> None:
    if not waiter.done():
        waiter.set_exception(UpstreamUnreachable(f"every connection was busy for {wait_s:g} s"))
