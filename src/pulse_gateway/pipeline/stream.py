"""The body of a streamed answer, after the commit point: one loop that moves it, and the ways in which it can end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from math import inf
from typing import Any, Generic, TypeVar

from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    ContentBlocked,
    DeadlineExceeded,
    PulseError,
    StoreUnavailable,
    StreamInterrupted,
    UpstreamError,
)
from pulse_gateway.moderation.window import AnswerWindow
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.types.usage import Outcome
from pulse_gateway.wire.relay import Piece, Relay

__all__ = ["Drains", "StreamBody"]

T = TypeVar("T")


class Drains:
    """How many abandoned streams may be read on at once, and for how long each."""

    def __init__(self, *, at_once: int = 100, seconds: float = 30.0) -> None:
        self.free, self.seconds = at_once, seconds


class StreamBody(Generic[T]):
    """Iterates what the client gets. Whatever goes wrong becomes the dialect's error event; nothing ends in silence.

    `held` is what was read already: pieces where there is a `window`, else items. `ending` is set before the last item is given out. `cut`: it is not
    whole, and its last item could not say so. Before anything that was read is given out, `settle` is called if that is the end, else `mark`.
    """

    def __init__(
        self,
        exchange: Exchange,
        chunks: AsyncIterator[bytes],
        relay: Relay[T],
        held: list[Any],
        *,
        window: AnswerWindow[T | None] | None,
        clock: Clock,
        drains: Drains,
        may_drain: bool,
        idle_s: float | None,
        mark: Callable[[], None],
        settle: Callable[[Outcome, PulseError | None], object],
    ) -> None:
        self.ending: tuple[Outcome, PulseError | None] | None = None
        self.cut = False
        self._exchange, self._chunks, self._relay, self._held = exchange, chunks, relay, held
        self._window, self._clock = window, clock
        self._drains, self._may_drain = drains, may_drain
        self._idle_s, self._mark, self._settle = idle_s, mark, settle
        self._drain_until: float | None = None
        self._left = Outcome.CLIENT_GONE
        self._said_all = False
        self._ended_upstream = False

    @property
    def gone(self) -> bool:
        return self._exchange.gone

    def farewell(self) -> Any:
        """What a client gets whose stream this process breaks off: an error event, or nothing after the end."""
        if self._said_all:
            return b""
        return self._said(StoreUnavailable("the gateway is shutting down"))

    def abandon(self, *, slow: bool = False) -> bool:
        """The client has left. False: the rest is read all the same, for the provider's word on what it used."""
        self._exchange.gone = True
        self._left = Outcome.CLIENT_SLOW if slow else Outcome.CLIENT_GONE
        if self.ending is not None:
            return False
        if self._may_drain and self._drains.free > 0 and self._drain_until is None:
            self._drains.free -= 1
            self._exchange.drained = True
            self._drain_until = self._clock.monotonic() + self._drains.seconds
            return False
        self.ending = (self._left, None)
        return True

    async def __aiter__(self) -> AsyncIterator[T]:
        relay, window, exchange = self._relay, self._window, self._exchange
        reading, next_chunk, monotonic = relay.reading, self._chunks.__anext__, self._clock.monotonic
        # Without a window and with a bound on silence. Then the loop waits for the transport itself, with no coroutine in between,
        # which would be two more for each chunk, and two more to be woken.
        idle_s = self._idle_s if window is None and self._idle_s is not None else inf
        try:
            items, self._held = self._held if window is None else await self._review(self._held), []
            while True:
                at_end = reading.ended or reading.failed is not None
                if not at_end or window is not None:  # whose word on the end may take long
                    self._mark()
                if at_end:
                    if window is not None:
                        items += [item for item in await window.finish() if item is not None]
                    self._end(Outcome.COMPLETED if reading.ended else Outcome.INTERRUPTED, reading.failed)
                    self._said_all = True
                if items and not exchange.gone:
                    item = items[0] if len(items) == 1 else relay.join(items)
                    items = []  # while a client is slow, one copy of what it is to read is enough
                    yield item
                if at_end:
                    return
                if relay.broken is not None:
                    raise relay.broken
                if exchange.deadline - monotonic() > idle_s and self._drain_until is None and not self._ended_upstream:
                    try:
                        items = relay.feed(await next_chunk())  # the transport's own time-out comes first
                    except StopAsyncIteration:
                        items = self._ended()
                else:
                    items = await self._more()
        except UpstreamError as error:
            self._end(Outcome.INTERRUPTED, error)
            self._said_all = True
            if not exchange.gone:
                yield self._said(error)
        except ContentBlocked as error:
            self._end(Outcome.BLOCKED, error)
            self._said_all = True
            if not exchange.gone:
                yield self._said(error)
        finally:
            if self._drain_until is not None:
                self._drains.free += 1

    async def _more(self) -> list[T]:
        """What the next slice of the upstream gives, or its end.

        Raises: StreamInterrupted when there is nothing more and the answer is not whole.
        """
        chunk, relay, window = await self._next(), self._relay, self._window
        if chunk is not None:
            return relay.feed(chunk) if window is None else await self._review(relay.feed_pieces(chunk))
        if self._ended_upstream:
            raise StreamInterrupted("the provider's stream ended before it was complete")
        if window is None:
            return self._ended()
        self._ended_upstream = True
        return await self._review(self._relay.finish())

    def _ended(self) -> list[T]:
        """What the end of the upstream adds."""
        self._ended_upstream = True
        return [piece.item for piece in self._relay.finish()]

    async def _review(self, pieces: list[Piece[T]]) -> list[T]:
        window = self._window
        assert window is not None  # only then are there pieces
        released: list[T | None] = []
        for piece in pieces:
            choices = sorted(piece.texts.keys() | piece.ended) or [0]
            for choice in choices:
                # The frame goes with the last choice it says something about; before that only the text counts.
                item = piece.item if choice == choices[-1] else None
                released += await window.push(piece.texts.get(choice, ""), item, choice, last=choice in piece.ended)
        return [item for item in released if item is not None]

    async def _next(self) -> bytes | None:
        """The next slice; None at the end. The exchange's deadline and the bound on draining hold while waiting for it.

        Raises: UpstreamError.
        """
        if self._ended_upstream:
            return None
        now, until = self._clock.monotonic(), self._exchange.deadline
        if self._drain_until is not None:
            until = min(until, self._drain_until)
        left_s = until - now
        if self._idle_s is not None and left_s > self._idle_s:
            return await anext(self._chunks, None)
        try:
            async with asyncio.timeout(max(0.0, left_s)) as timer:
                return await anext(self._chunks, None)
        except TimeoutError as error:
            if not timer.expired():
                raise
            if until == self._drain_until:
                raise StreamInterrupted(f"not drained within {self._drains.seconds:g} s") from error
            raise DeadlineExceeded("the time for this request is over") from error

    def _said(self, error: PulseError) -> Any:
        """The client dialect's error event; nothing where there can be none."""
        said = self._relay.render_error(error, self._exchange.request_id)
        self.cut = not said
        return said

    def _end(self, outcome: Outcome, error: PulseError | None) -> None:
        if self.ending is None:
            self.ending = (self._left if self._exchange.gone else outcome, error)
            self._settle(*self.ending)
