"""One Redis server: the calls that wait for it, its connection, their deadlines, and the breaker before it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pulse_gateway.clock import Clock
from pulse_gateway.transport.breaker import Breaker
from pulse_gateway.transport.redis_calls import (
    REDIRECTS,
    UNAVAILABLE,
    WRONG_SERVER,
    Call,
    RedisRefused,
    RedisUnavailable,
    Script,
    error_code,
    pack,
)
from pulse_gateway.transport.redis_lane import Lane

__all__ = ["Node"]

_log = logging.getLogger(__name__)
_WRITE_NOTHING = pack(("SET", "pulse:probe", "1", "XX"))  # only where the key exists, which it never does
_TICK_S = 0.001  # the finest that loops tell apart
_HELD_UP_S = 0.005  # a timer later than this tells of a loop that did something else meanwhile


class Node:
    """Sends what is called in one turn of the loop as one batch, over one connection, so that calls arrive in the order they were made.

    `open_lane` connects a new lane. `redirect` takes over a call that a cluster sends elsewhere, with its reply (`MOVED …`, `ASK …`);
    None where there should be no cluster. `changed` is called when the breaker has opened or closed.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        deadline_s: float,
        max_in_flight: int,
        open_lane: Callable[[Lane], Awaitable[None]],
        changed: Callable[[], None],
        redirect: Callable[[Call, str], None] | None = None,
    ) -> None:
        self.name = name
        self.breaker = Breaker(clock)
        self._clock, self._deadline_s, self._max_in_flight = clock, deadline_s, max_in_flight
        self._connect_s = max(1.0, 10 * deadline_s)
        self._open_lane, self._redirect, self._changed = open_lane, redirect, changed
        self._loop = asyncio.get_running_loop()
        self._pending: deque[Call] = deque()
        self._again: list[Call] = []  # to be sent before those, in this order
        self._lane: Lane | None = None
        self._retired: set[Lane] = set()  # answered by the wrong server; kept until the rest of their answers has come
        self._is_flushing = self._is_closed = False
        self._due = self._forgiven = 0.0  # when the timer is due; who has been waited for longer, by when it was made
        self._timer: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    # ── calls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, packed: bytes, script: Script | None = None) -> asyncio.Future[Any]:
        """Raises: RedisUnavailable when the breaker is open or the node closed."""
        if self.breaker.is_open or self._is_closed:
            raise RedisUnavailable("Redis is away", maybe_done=False)
        call = Call(packed, self._loop.create_future(), self._clock.monotonic(), script)
        self._add(call)
        return call.future

    def take(self, call: Call) -> None:
        """Send `call`, which another node has turned away, with the next batch."""
        if self.breaker.is_open or self._is_closed:
            call.fail(RedisUnavailable("Redis is away", maybe_done=False))
            return
        self._add(call)
        if self._timer is not None:  # it may be set for a younger call
            self._timer.cancel()
        self._expire()

    def _add(self, call: Call) -> None:
        self._pending.append(call)
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)
        if self._timer is None:
            self._look_in(self._deadline_s)

    def _look_in(self, seconds: float) -> None:
        self._due = self._clock.monotonic() + seconds
        self._timer = self._loop.call_later(seconds, self._expire)

    def _flush(self) -> None:
        self._is_flushing = False
        if self._again:
            self._pending.extendleft(reversed(self._again))
            self._again.clear()
        if not self._pending or self.breaker.is_open:
            return
        if self._lane is None or not self._lane.is_usable:
            self._connect_soon()
        elif self._lane.has_room(self._max_in_flight):
            calls = [call for call in self._pending if not call.future.done()]  # without those whose callers have left
            self._pending.clear()
            if calls:
                self._lane.send(calls)

    def _expire(self) -> None:
        self._timer = None
        lanes = [lane for lane in self._lanes() if lane.calls]
        waiting = [calls for calls in (self._pending, *[lane.calls for lane in lanes]) if calls]
        oldest = [min(call.made_at for call in calls) for calls in waiting]
        if not oldest:
            return
        now = self._clock.monotonic()
        late_before = now - self._deadline_s
        if min(oldest) > late_before:
            self._look_in(max(min(oldest) - late_before, _TICK_S))
            return
        if now - self._due > _HELD_UP_S and min(oldest) > self._forgiven:
            self._forgiven = min(oldest)  # this loop was late, not Redis: what it has just sent may yet be answered
            self._look_in(self._deadline_s / 4)
            return
        why = f"Redis did not answer within {self._deadline_s * 1000:g} ms"
        for lane in lanes:
            if any(call.made_at <= late_before for call in lane.calls):
                self._drop(lane, why)
        expired = [call for call in self._pending if call.made_at <= late_before]
        self._pending = deque(call for call in self._pending if call.made_at > late_before)
        self._fail(expired, why, maybe_done=False)
        if self._timer is None:
            self._expire()

    # ── what a lane says ──────────────────────────────────────────────────────────────────────────────────────────────

    def refused(self, lane: Lane, call: Call, reply: str) -> None:
        code = error_code(reply)
        is_unavailable = code in UNAVAILABLE or (code in REDIRECTS and self._redirect is None)
        if code == "NOSCRIPT" and call.script is not None:
            call.say_the_source()
            self._again.append(call)
        elif call.is_check:
            if is_unavailable and code != "NOPERM":
                call.fail(RedisUnavailable(f"Redis answers {code}", maybe_done=False))
            elif not call.future.done():
                call.future.set_result(None)  # who may not write that key may yet write ours
        elif code in REDIRECTS and self._redirect is not None:
            self._redirect(call, reply)
        elif is_unavailable:
            call.fail(RedisUnavailable(f"Redis answers {code}", maybe_done=False))
            if code in WRONG_SERVER:
                self._retire(lane)
            if code != "NOPERM":  # which is about what was asked, not about the server
                self._count_failure(f"it answers {code}", waited_s=self._clock.monotonic() - call.made_at)
        else:
            call.fail(RedisRefused(reply))

    def answered(self, lane: Lane, *, well: bool) -> None:
        if well:
            self.breaker.succeed()
        if lane in self._retired and not lane.calls:
            self._retired.discard(lane)
            lane.abort()
        if self._pending or self._again:
            self._flush()

    def lost(self, lane: Lane, cause: Exception | None) -> None:
        self._drop(lane, "the connection to Redis broke", cause)

    def _lanes(self) -> list[Lane]:
        return [*self._retired] if self._lane is None else [self._lane, *self._retired]

    def _retire(self, lane: Lane) -> None:
        if self._lane is lane:
            self._lane = None
            self._retired.add(lane)

    def _drop(self, lane: Lane, why: str, cause: Exception | None = None) -> None:
        """Never use `lane` again; its calls may have been executed, and nobody will know."""
        lane.abort()
        self._retired.discard(lane)
        if self._lane is lane:
            self._lane = None
        calls = list(lane.calls)
        lane.calls.clear()
        self._fail(calls, why, maybe_done=True, cause=cause)
        if self._pending or self._again:
            self._flush()

    # ── failures ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _fail(self, calls: Iterable[Call], why: str, *, maybe_done: bool, cause: BaseException | None = None) -> None:
        """Fail `calls`, oldest first, and count them as one failure."""
        oldest: Call | None = None
        for call in calls:
            if not call.is_check:  # whoever connects counts that
                oldest = oldest or call
            error = RedisUnavailable(why, maybe_done=maybe_done)
            error.__cause__ = cause
            call.fail(error)
        if oldest is not None:
            self._count_failure(why, waited_s=self._clock.monotonic() - oldest.made_at)

    def _count_failure(self, why: str, *, waited_s: float) -> None:
        if not self._is_closed and self.breaker.fail(waited_s=waited_s):
            self._opened(why)

    def _opened(self, why: str) -> None:
        _log.warning("redis at %s: %s; not asked again until it is back", self.name, why)
        self._probing = self._loop.create_task(self._probe())
        calls = [*self._again, *self._pending]
        self._again.clear()
        self._pending.clear()
        for call in calls:
            call.fail(RedisUnavailable("Redis is away", maybe_done=False))
        self._changed()

    async def _probe(self) -> None:
        """Look again and again whether the server takes writes, until it does."""
        while True:
            await self._clock.sleep(self.breaker.next_probe_s())
            if self._connecting is not None:
                await asyncio.wait({self._connecting})
            lane = self._lane
            try:
                if lane is None or not lane.is_usable:
                    self._lane = await self._connect()
                else:
                    await self._check(lane)
                break
            except (RedisUnavailable, TimeoutError):
                if lane is not None:
                    self._drop(lane, "Redis is away")
        _log.info("redis at %s is back after %.1f s", self.name, self.breaker.open_s)
        self.breaker.close()
        self._probing = None
        self._changed()

    # ── connecting ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Connect ahead of the first call; the breaker is open afterwards when that failed."""
        try:
            self._lane = await self._connect()
        except (RedisUnavailable, TimeoutError) as error:
            self.breaker.trip()
            self._opened(str(error) or "no connection in time")

    def _connect_soon(self) -> None:
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        """Have a lane for those who wait; tell them when there is none. Tries twice, for what was cut once."""
        began = self._clock.monotonic()
        try:
            try:
                self._lane = await self._connect()
            except RedisUnavailable:
                self._lane = await self._connect()
        except (RedisUnavailable, TimeoutError) as error:
            why = str(error) or "no connection in time"
            calls = list(self._pending)
            self._pending.clear()
            for call in calls:
                unavailable = RedisUnavailable("Redis cannot be reached", maybe_done=False)
                unavailable.__cause__ = error
                call.fail(unavailable)
            self._count_failure(why, waited_s=self._clock.monotonic() - began)
        finally:
            self._connecting = None
        self._flush()

    async def _connect(self) -> Lane:
        """A lane to a server that takes writes.

        Raises: RedisUnavailable, TimeoutError.
        """
        lane = Lane(self)
        try:
            async with asyncio.timeout(self._connect_s):
                await self._open_lane(lane)
                await self._check(lane)
        except BaseException:  # out of time or cancelled: a connection in an unknown state is never used
            lane.abort()
            raise
        return lane

    async def _check(self, lane: Lane) -> None:
        """Whether `lane` leads to a server that takes writes, and answers in the time that calls have.

        Raises: RedisUnavailable, TimeoutError.
        """
        if not lane.is_usable:
            raise RedisUnavailable("the connection to Redis broke", maybe_done=False)
        check = Call(_WRITE_NOTHING, self._loop.create_future(), self._clock.monotonic())
        check.is_check = True
        lane.send([check])
        async with asyncio.timeout(self._deadline_s):
            await check.future

    async def aclose(self) -> None:
        """Wait for the answers under way, for a deadline at most, and end everything."""
        self._flush()
        self._is_closed = True
        waiting = [call.future for lane in self._lanes() for call in lane.calls if not call.future.done()]
        if waiting:
            await asyncio.wait(waiting, timeout=self._deadline_s + 2 * _TICK_S)
        tasks = [task for task in (self._connecting, self._probing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        lanes = self._lanes()
        for lane in lanes:
            self._drop(lane, "Redis is no longer asked: the client was closed")
        for call in (*self._again, *self._pending):
            call.fail(RedisUnavailable("Redis is no longer asked: the client was closed", maybe_done=False))
        self._pending.clear()
        if lanes:
            await asyncio.wait([lane.gone for lane in lanes], timeout=1.0)
