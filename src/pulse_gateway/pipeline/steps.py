"""Runs what a vendor does in several steps: sends, waits, fetches, and tells the generator what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from msgspec.structs import replace

from pulse_gateway.clock import Clock
from pulse_gateway.errors import AnswerInterrupted, DeadlineExceeded, PulseError, RequestTooLarge, StreamInterrupted
from pulse_gateway.pipeline.answer import send_whole
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.providers.offer import Billed, Download, OnAbandon, Pause
from pulse_gateway.providers.provider import Provider
from pulse_gateway.transport.transport import Transport
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpAnswer, HttpRequest

__all__ = ["Begun", "ClientLeft", "Downloader", "StepRunner"]

A = TypeVar("A")

Downloader = Callable[[Download], Awaitable[HttpAnswer]]
"""Fetches an address that somebody outside named. Raises: InvalidRequest for one that must not or cannot be fetched."""


class Begun:
    """Steps whose first one is known. What a vendor cannot express it has refused by then, before anything was sent."""

    __slots__ = ("first", "steps", "value")

    def __init__(self, steps: Generator[Any, Any, Any]) -> None:
        """Raises: UnsupportedParameter, InvalidRequest."""
        self.steps, self.first, self.value = steps, None, None
        try:
            self.first = next(steps)
        except StopIteration as end:  # it needed nobody
            self.value = end.value


class ClientLeft(asyncio.CancelledError):
    """Nobody waits for this any more."""


class StepRunner:
    """Runs the steps of one vendor at a time, as often as wanted."""

    def __init__(
        self,
        *,
        transport: Transport,
        download: Downloader,
        clock: Clock,
        supervisor: Supervisor,
        files_bytes: int = 20_000_000,
    ) -> None:
        """`files_bytes` bounds all files together that one request names by their URLs."""
        self._transport, self._download, self._clock, self._supervisor = transport, download, clock, supervisor
        self._files_bytes = files_bytes

    async def run(
        self,
        begun: Begun,
        provider: Provider,
        deployment: Deployment,
        *,
        deadline: float = float("inf"),
        left: Callable[[], bool] | None = None,
        on_send: Callable[[], None] | None = None,
        on_accepted: Callable[[], None] | None = None,
        on_billed: Callable[[Billed], None] | None = None,
    ) -> Any:
        """What the steps return. `deadline` is on the monotonic clock. `on_accepted` is called for each 2xx answer. `left` is asked after
        each pause whether the client is gone.

        Raises: ClientLeft; PulseError, mostly UpstreamError: that of a step, unless the generator makes something else of it.
        """
        steps, step, abandoned, named_bytes = begun.steps, begun.first, None, 0
        value, over = begun.value, begun.first is None
        try:
            while not over:
                answer: HttpAnswer | None = None
                failure: PulseError | None = None
                try:
                    match step:
                        case HttpRequest():
                            answer = await self._answer(provider, deployment, step, deadline, on_send)
                            if on_accepted is not None:
                                on_accepted()
                        case Download(param=None):
                            answer = await self._fetched(step, deadline)
                        case Download():
                            answer = await self._fetched(self._within(step, named_bytes), deadline)
                            named_bytes += len(answer.body)
                        case Pause():
                            await self._pause(step.seconds, deadline)
                            if left is not None and left():
                                raise ClientLeft
                        case Billed():
                            if on_billed is not None:
                                on_billed(step)
                        case OnAbandon():
                            abandoned = step.request
                except DeadlineExceeded:
                    raise  # it is over: a generator that goes on after failures would go on for ever
                except PulseError as error:
                    failure = error
                try:
                    step = steps.send(answer) if failure is None else steps.throw(failure)
                except StopIteration as end:
                    value, over = end.value, True
        except BaseException:  # cancelled too: the vendor is told to stop, on a task of its own
            if abandoned is not None:
                self.give_up(provider, deployment, abandoned)
            raise
        finally:
            steps.close()
        return value

    async def send(self, provider: Provider, deployment: Deployment, request: HttpRequest) -> HttpAnswer:
        """One authorized request and its whole answer, whatever its status. Raises: UpstreamError."""
        return await send_whole(self._transport, await self.authorized(provider, deployment, request), deployment)

    def give_up(self, provider: Provider, deployment: Deployment, request: HttpRequest) -> None:
        """Tell the vendor to stop, on a task of its own."""
        self._supervisor.spawn(self._give_up(provider, deployment, request))

    async def authorized(self, provider: Provider, deployment: Deployment, request: HttpRequest) -> HttpRequest:
        """`request` with what its vendor wants beyond a header with the key. Raises: UpstreamError."""
        if provider.authorize is None:
            return request

        async def send(request: HttpRequest) -> HttpAnswer:
            return await send_whole(self._transport, request, deployment)

        return await provider.authorize(request, deployment, send)

    async def _answer(
        self,
        provider: Provider,
        deployment: Deployment,
        request: HttpRequest,
        deadline: float,
        on_send: Callable[[], None] | None,
    ) -> HttpAnswer:
        request = await self.authorized(provider, deployment, request)
        try:
            answer = await self._in_time(send_whole(self._transport, request, deployment, on_send=on_send), deadline)
        except StreamInterrupted as error:
            raise AnswerInterrupted(error.message) from error
        if not 200 <= answer.status < 300:
            raise provider.error(answer.status, answer.headers, answer.body)
        return answer

    def _within(self, step: Download, fetched_bytes: int) -> Download:
        """Raises: RequestTooLarge when there is no room left for another file."""
        left_bytes = self._files_bytes - fetched_bytes
        if left_bytes <= 0:
            raise RequestTooLarge(
                f"the files of this request exceed {self._files_bytes} bytes together", param=step.param
            )
        return replace(step, max_bytes=min(step.max_bytes, left_bytes))

    async def _fetched(self, step: Download, deadline: float) -> HttpAnswer:
        return await self._in_time(self._download(step), deadline)

    async def _in_time(self, waiting: Awaitable[HttpAnswer], deadline: float) -> HttpAnswer:
        left_s = None if deadline == float("inf") else max(0.0, deadline - self._clock.monotonic())
        try:
            async with asyncio.timeout(left_s) as timer:
                return await waiting
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise DeadlineExceeded("the time for this request is over") from error

    async def _pause(self, seconds: float, deadline: float) -> None:
        if self._clock.monotonic() + seconds > deadline:
            raise DeadlineExceeded("the time for this request is over")
        await self._clock.sleep(seconds)

    async def _give_up(self, provider: Provider, deployment: Deployment, request: HttpRequest) -> None:
        try:
            await self.send(provider, deployment, request)
        except PulseError:
            return  # it was worth a try: nobody waits for this work any more
