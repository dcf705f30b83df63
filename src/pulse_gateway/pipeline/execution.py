"""Requests with an idempotency key, each run once: by a task of its own, whoever stays to read the answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine
from typing import Any

from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    ContentBlocked,
    IdempotencyConflict,
    InternalError,
    PulseError,
    StoreUnavailable,
    UpstreamRejected,
)
from pulse_gateway.idempotency.recording import Recording
from pulse_gateway.idempotency.store import Answer, AnswerStore, Place
from pulse_gateway.ids import new_entry_id
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.types.http import Headers
from pulse_gateway.types.usage import Outcome

__all__ = ["Execution", "Executions"]

_log = logging.getLogger("pulse_gateway")

_FIRST_LOOK_S, _LONGEST_PAUSE_S = 0.05, 0.5  # between looks at what another replica runs
_RENEW_AGAIN_S = 1.0  # after the store did not answer: well within the grace that it gives once it does
_OF_ONE_REQUEST = frozenset({"x-request-id", "request-id", "server-timing", "x-pulse-cost-usd", "x-pulse-attempts"})
_OF_ONE_MOMENT = ("ratelimit", "x-ratelimit-", "anthropic-ratelimit-", "pulse-quota", "retry-after", "x-pulse-limits")


class Execution:
    """One request with a key, from its claim to its kept answer.

    It runs the request here, or waits while another replica does, or has the answer from before; all of that reaches whoever
    asks through `recording`. Its task is nobody's but the gateway's: a client that leaves takes nothing with it.
    """

    def __init__(
        self,
        exchange: Exchange,
        place: Place,
        fingerprint: bytes,
        *,
        store: AnswerStore,
        clock: Clock,
        handler: Handler,
    ) -> None:
        self.recording = Recording()
        self.first = exchange  # of the client it was begun for
        self.ran: Exchange | None = None  # what was run here, if anything was
        self._place, self._fingerprint = place, fingerprint
        self._store, self._clock, self._handler = store, clock, handler
        self._owner = new_entry_id()
        self._decided = asyncio.Event()
        self._waiting = 0

    async def runs_here(self) -> bool:
        """Whether the first client's request is run by this process, known once the store has said who may."""
        await self._decided.wait()
        return self.ran is self.first

    async def head(self) -> Recording:
        """The recording, once it has begun. A failure that is not kept is everybody's who waited for it.

        Raises: PulseError.
        """
        self._waiting += 1
        try:
            await self.recording.head()
        finally:
            self._waiting -= 1
        return self.recording

    @property
    def open(self) -> bool:
        """Whether who asks from now on gets this one's answer: not once it has failed, for the key is then free."""
        return self.recording.failure is None and not self._failed

    @property
    def failure(self) -> PulseError | None:
        """Of what was run here: why there is no answer that a repeat could have."""
        return self.ran.error if self.ran is not None and self._failed else None

    @property
    def _failed(self) -> bool:
        return self.ran is not None and self.recording.ended and not _is_final(self.ran)

    async def run(self, supervisor: Supervisor) -> None:
        recording = self.recording
        try:
            answer = await self._claimed()
            if answer is not None:
                recording.replay(answer)
        except asyncio.CancelledError:
            await self._refused(_shutting_down(), supervisor)
            raise
        except PulseError as error:
            await self._refused(error, supervisor)
            return
        except Exception:  # noqa: BLE001 -- whatever it is, somebody waits to hear that there will be no answer
            _log.exception("a claim failed for a reason of ours", extra={"request_id": self.first.request_id})
            await self._refused(_defect(), supervisor)
            return
        self._decided.set()
        if answer is None:
            await self._run_and_keep(supervisor)

    async def _refused(self, error: PulseError, supervisor: Supervisor) -> None:
        self.recording.fail(error)
        self._decided.set()
        if not isinstance(error, IdempotencyConflict):
            # It may have been claimed all the same, and only the answer was lost.
            await asyncio.shield(supervisor.spawn(self._release()))

    async def _claimed(self) -> Answer | None:
        """The answer from before, or None once it is this process's to run.

        Raises: IdempotencyConflict, StoreUnavailable.
        """
        while True:
            found = await self._store.claim(self._place, self._fingerprint, self._owner)
            if found is None:
                self.ran = self.first if not self._decided.is_set() else self._again()
                return None
            if isinstance(found, Answer):
                return found
            self._decided.set()
            await self._end_of(found.owner)

    def _again(self) -> Exchange:
        """The first request once more: its own exchange is that of a client who waited."""
        return Exchange(self.first.inbound, self.first.client, self._clock.monotonic())

    async def _end_of(self, owner: str) -> None:
        """Returns when that run, on another replica, has ended or has died.

        Raises: StoreUnavailable, also when nobody here waits for it any more.
        """
        pause_s = _FIRST_LOOK_S
        while await self._store.runs(self._place, owner):
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
            if not self._waiting:
                raise StoreUnavailable("nobody waits for this any more")

    async def _run_and_keep(self, supervisor: Supervisor) -> None:
        assert self.ran is not None
        renewing = supervisor.spawn(self._renew())
        try:
            await self._run(self.ran)
            if _is_final(self.ran):
                await self._keep()
            else:
                await self._release()
        except asyncio.CancelledError:
            self.recording.fail(_shutting_down())
            # It may have been answered, and cut off before that answer was recorded.
            whole = self.recording.failure is None and _is_final(self.ran)
            last: Coroutine[Any, Any, Any] = self._keep_at_once() if whole else self._release()
            await asyncio.shield(supervisor.spawn(last))
            raise
        except BaseException:  # whatever it is, nobody who waits may be left without an answer
            self.recording.fail(_defect())
            await self._release()
            raise
        finally:
            renewing.cancel()

    async def _run(self, exchange: Exchange) -> None:
        recording = self.recording
        reply: Reply = await self._handler(exchange)
        body = reply.stream
        recording.begin(
            request_id=exchange.request_id,
            status=reply.status,
            headers=tuple(reply.headers),
            stream=body is not None,
            keep_alive=reply.keep_alive,
        )
        if body is None:
            recording.complete(reply.body)
            return
        async with reply:  # without an await since it was there: what is cancelled in between is never settled
            await asyncio.sleep(0)  # so that whoever waited reads from the first item on, however large that is
            async for item in reply:
                await recording.append(item, body.ending)
        recording.end((exchange.outcome, exchange.error), cut=body.cut)

    async def _renew(self) -> None:
        """Hold the key for as long as the request runs."""
        every_s = pause_s = self._store.lease_s / 3
        while True:
            await self._clock.sleep(pause_s)
            try:
                if not await self._store.renew(self._place, self._owner):
                    _log.warning("an idempotency key was lost: this process did not renew it in time")
                    return
            except StoreUnavailable:
                pause_s = min(_RENEW_AGAIN_S, every_s)  # the store has said so itself
            else:
                pause_s = every_s

    async def _keep(self) -> None:
        """For as long as the store does not answer, whoever repeats the request here is served from memory."""
        pause_s = _FIRST_LOOK_S
        while not await self._keep_at_once():
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 2, self._store.lease_s / 3)

    async def _keep_at_once(self) -> bool:
        """False: the store does not answer."""
        recording = self.recording
        answer = Answer(
            request_id=recording.request_id,
            status=recording.status,
            headers=handed_on(recording.headers),
            stream=recording.stream,
            body=recording.whole,
        )
        try:
            if not await self._store.keep(self._place, self._owner, answer):
                _log.warning("an answer was not kept: another process has taken over its idempotency key")
        except StoreUnavailable:
            return False
        return True

    async def _release(self) -> None:
        try:
            await self._store.release(self._place, self._owner)
        except StoreUnavailable:
            return  # the store has said so itself; the lease runs out


class Executions:
    """What runs, by key and request, in this process."""

    def __init__(self, store: AnswerStore, *, clock: Clock, supervisor: Supervisor) -> None:
        self._store, self._clock, self._supervisor = store, clock, supervisor
        self._running: dict[tuple[Place, bytes], Execution] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def find(self, exchange: Exchange, place: Place, fingerprint: bytes, handler: Handler) -> tuple[Execution, bool]:
        """The execution of this request, and whether it was begun by this call."""
        name = (place, fingerprint)
        execution = self._running.get(name)
        if execution is not None and execution.open:
            return execution, False
        execution = Execution(exchange, place, fingerprint, store=self._store, clock=self._clock, handler=handler)
        self._running[name] = execution
        task = self._supervisor.spawn(self._run(name, execution))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return execution, True

    @property
    def tasks(self) -> Collection[asyncio.Task[Any]]:
        """What is under way, whether or not a client waits for it."""
        return tuple(self._tasks)

    async def aclose(self, seconds: float) -> None:
        """Wait for every execution, at most `seconds`; those that have not ended then are broken off, and settled."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        late = tuple(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, name: tuple[Place, bytes], execution: Execution) -> None:
        try:
            await execution.run(self._supervisor)
        finally:
            if self._running.get(name) is execution:
                del self._running[name]


def handed_on(headers: Headers) -> Headers:
    """Those headers of an answer that are true for whoever asks again too."""
    return tuple(
        (name, value) for name, value in headers if name not in _OF_ONE_REQUEST and not name.startswith(_OF_ONE_MOMENT)
    )


def _is_final(exchange: Exchange) -> bool:
    """Whether asking again could only cost more: it was answered, or the request itself was refused once it had been tried."""
    if exchange.outcome is Outcome.COMPLETED:
        return True
    return exchange.attempts > 0 and isinstance(exchange.error, UpstreamRejected | ContentBlocked)


def _defect() -> InternalError:
    return InternalError("the gateway failed; the request id helps to find out why")


def _shutting_down() -> StoreUnavailable:
    return StoreUnavailable("the gateway is shutting down", retry_after_s=1.0)
