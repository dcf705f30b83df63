"""A chat that takes several requests, behind the face of one answer: whoever reads it need not know."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from pulse_gateway.errors import (
    DeadlineExceeded,
    PulseError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimedOut,
    UpstreamTimeout,
)
from pulse_gateway.pipeline.answer import MAX_ERROR_BYTES, read_whole
from pulse_gateway.pipeline.attempt import Attempt
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.steps import Begun, StepRunner
from pulse_gateway.providers.offer import Billed, Steps, Streamed
from pulse_gateway.providers.provider import Provider
from pulse_gateway.transport.transport import HttpResponse, Transport
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpAnswer, header

__all__ = ["SteppedChat"]

_EVENT_STREAM = "text/event-stream"


class SteppedChat:
    """Runs the steps of a chat up to its answer."""

    def __init__(self, *, steps: StepRunner, transport: Transport) -> None:
        self._steps, self._transport = steps, transport

    async def answer(
        self,
        steps: Steps[HttpAnswer | Streamed],
        provider: Provider,
        deployment: Deployment,
        exchange: Exchange,
        attempt: Attempt,
    ) -> HttpResponse:
        """The answer, whole, or a stream that goes on with the steps after it.

        Raises: ClientLeft, UpstreamError.
        """
        inbound = exchange.inbound
        found = await self._steps.run(
            Begun(steps),
            provider,
            deployment,
            deadline=exchange.deadline,
            left=inbound.left if inbound.idempotency_key is None else None,
            on_send=attempt.sent_once,
            on_accepted=attempt.accept,
            on_billed=attempt.bill,
        )
        if isinstance(found, HttpAnswer):
            return _InHand(found)
        return _Heard(self._steps, self._transport, provider, deployment, found, exchange.deadline, attempt.bill)


class _InHand:
    """An `HttpResponse` that is here already."""

    def __init__(self, answer: HttpAnswer) -> None:
        self.status, self.headers, self._body = answer.status, answer.headers, answer.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    def read_now(self) -> bytes | None:
        body, self._body = self._body, b""
        return body

    async def aclose(self) -> None: ...


class _Heard:
    """An `HttpResponse`: a stream, and behind it what the steps after it return.

    One that cannot be heard, or breaks off, is no end of the work itself: the steps after it tell what became of that. One that is silent
    for too long before its first word is asked for again, so that whoever thinks for a minute may still be heard as it writes.
    """

    status = 200
    headers: Headers = (("content-type", _EVENT_STREAM),)

    def __init__(
        self,
        steps: StepRunner,
        transport: Transport,
        provider: Provider,
        deployment: Deployment,
        streamed: Streamed,
        deadline: float,
        on_billed: Callable[[Billed], None],
    ) -> None:
        self._steps, self._transport, self._provider, self._deployment = steps, transport, provider, deployment
        self._streamed, self._deadline, self._on_billed = streamed, deadline, on_billed
        self._response: HttpResponse | None = None
        self._chunks: AsyncIterator[bytes] | None = None
        self._has_heard = self._is_told = self._is_over = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._is_told:
            raise StopAsyncIteration
        return await self._next() or await self._last()

    def read_now(self) -> bytes | None:
        return None

    async def aclose(self) -> None:
        self._is_told = True
        if not self._is_over:
            self._is_over = True
            self._steps.give_up(self._provider, self._deployment, self._streamed.abandon)
        await self._close()

    async def _next(self) -> bytes | None:
        """None at its end, whatever has ended it."""
        while True:
            try:
                if self._chunks is None:
                    self._chunks = aiter(await self._open())
                chunk = await anext(self._chunks, None)
            except UpstreamError as error:
                if self._has_heard or not _is_silence(error):
                    return None
                await self._close()
                continue
            if chunk != b"":
                self._has_heard = True
                return chunk

    async def _open(self) -> HttpResponse:
        """Raises: UpstreamError."""
        deployment = self._deployment
        request = await self._steps.authorized(self._provider, deployment, self._streamed.request)
        self._response = response = await self._transport.send(request, deployment.timeouts, proxy=deployment.proxy)
        if not 200 <= response.status < 300:
            body = await read_whole(response, MAX_ERROR_BYTES, cut=True)
            raise self._provider.error(response.status, response.headers, body)
        if not (header(response.headers, "content-type") or "").startswith(_EVENT_STREAM):
            raise UpstreamProtocolError("asked for a stream, the provider answered with something else")
        return response

    async def _last(self) -> bytes:
        """Raises: UpstreamError if nothing is known of the answer at all; StopAsyncIteration if there is nothing to add."""
        self._is_told = True
        await self._close()
        try:
            last: bytes = await self._steps.run(
                Begun(self._streamed.after()),
                self._provider,
                self._deployment,
                deadline=self._deadline,
                on_billed=self._on_billed,
            )
        except PulseError:
            if not self._has_heard:
                raise
            raise StopAsyncIteration from None  # what the stream itself has said decides whether it is whole
        self._is_over = True
        return last

    async def _close(self) -> None:
        response, self._response, self._chunks = self._response, None, None
        if response is not None:
            await response.aclose()


def _is_silence(error: UpstreamError) -> bool:
    """Whether nothing at all was said for too long; a vendor that answers so has said something."""
    return isinstance(error, UpstreamTimeout) and not isinstance(error, UpstreamTimedOut | DeadlineExceeded)
