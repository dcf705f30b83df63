"""An answer while it is given: written once, read by any number of clients, each from its beginning and in its own time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from pulse_gateway.clock import Clock
from pulse_gateway.errors import DeadlineExceeded, PulseError, StoreUnavailable
from pulse_gateway.idempotency.store import MAX_KEPT_BYTES, Answer, too_large
from pulse_gateway.types.http import Headers
from pulse_gateway.types.usage import Outcome

__all__ = ["Reader", "Recording"]

_AT_ONCE_BYTES = 64 * 1024
_CLOSED = (b"\n\n", b"\r\n\r\n", b"\r\r")

Ending = tuple[Outcome, PulseError | None]


class Recording:
    """Head, then items, then an ending; or a failure before the head.

    All of it stays until `max_bytes`. An answer that grows beyond is no longer kept whole: what every reader has read is
    forgotten, nobody can join any more, and `append` waits for the slowest reader rather than hold more than `max_bytes`.
    """

    def __init__(self, *, max_bytes: int = MAX_KEPT_BYTES) -> None:
        self.request_id = ""
        self.status = 0
        self.headers: Headers = ()
        self.stream = False
        self.keep_alive: bytes | None = None
        self.ending: Ending | None = None  # known with the last item
        self.ended = False  # and everything about it is settled
        self.cut = False  # it is not whole, and nothing in it says so
        self.failure: PulseError | None = None
        self._begun = False
        self._max_bytes = max_bytes
        self._items: list[bytes] = []
        self._first = 0  # the number of the first item that is still here
        self._held_bytes = 0
        self._size_bytes = 0
        self._readers: set[Reader] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._room: asyncio.Future[None] | None = None

    # ── written by whoever runs the request ──

    def begin(
        self, *, request_id: str, status: int, headers: Headers, stream: bool, keep_alive: bytes | None = None
    ) -> None:
        self.request_id, self.status, self.headers = request_id, status, headers
        self.stream, self.keep_alive = stream, keep_alive
        self._begun = True
        self._changed()

    async def append(self, item: bytes, ending: Ending | None = None) -> None:
        """The next item; `ending` when it is known to be the last one. Waits only for readers of an answer that is too large."""
        self._add(item)
        self.ending = ending
        self._changed()
        while self.outgrown and self._held_bytes > self._max_bytes and self._readers:
            self._room = asyncio.get_running_loop().create_future()
            await self._room
            self._forget_what_was_read()

    def end(self, ending: Ending, *, cut: bool = False) -> None:
        self.ending, self.ended, self.cut = ending, True, cut
        self._changed()

    def complete(self, body: bytes) -> None:
        """A whole answer, all at once."""
        self._add(body)
        self.end((Outcome.COMPLETED, None))

    def fail(self, error: PulseError) -> None:
        """There will be no more. Without a head that is all there is; after it, each reader says so to its client, unless it had
        its last item already.
        """
        if self.ending is None:
            self.failure = error
        if self._begun:
            self.end(self.ending or (Outcome.INTERRUPTED, error))
        else:
            self._changed()

    def replay(self, answer: Answer) -> None:
        """All of it is known from before.

        Raises: IdempotencyConflict for an answer that was too large to be kept.
        """
        if answer.body is None:
            raise too_large()
        self.begin(request_id=answer.request_id, status=answer.status, headers=answer.headers, stream=answer.stream)
        self.complete(answer.body)

    # ── read by whoever asked for it ──

    async def head(self) -> None:
        """Returns when status and headers are here.

        Raises: PulseError when there will be none.
        """
        while not self._begun:
            if self.failure is not None:
                raise self.failure
            await self.change()

    def reader(self, *, render: Callable[[PulseError], bytes], clock: Clock, deadline: float) -> Reader:
        """Raises: IdempotencyConflict when the beginning is no longer here."""
        if self._first:
            raise too_large()
        reader = Reader(self, render=render, clock=clock, deadline=deadline)
        self._readers.add(reader)
        return reader

    @property
    def outgrown(self) -> bool:
        return self._size_bytes > self._max_bytes

    @property
    def whole(self) -> bytes | None:
        """Everything there is; None of an answer that is too large."""
        return None if self.outgrown else self.joined()

    def joined(self) -> bytes:
        return self._items[0] if len(self._items) == 1 else b"".join(self._items)

    @property
    def next_item(self) -> int:
        """The number that the next item will get."""
        return self._first + len(self._items)

    def items_from(self, number: int, at_most_bytes: int) -> list[bytes]:
        """The items from `number` on, one at least if there is one."""
        found: list[bytes] = []
        size = 0
        for index in range(number - self._first, len(self._items)):
            item = self._items[index]
            if found and size + len(item) > at_most_bytes:
                break
            found.append(item)
            size += len(item)
        return found

    def made_room(self) -> None:
        """A reader has gone on, or away."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def leave(self, reader: Reader) -> None:
        self._readers.discard(reader)
        self.made_room()

    async def change(self) -> None:
        """Returns when something has happened since."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        await waiter

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _add(self, item: bytes) -> None:
        self._items.append(item)
        self._held_bytes += len(item)
        self._size_bytes += len(item)
        if self.outgrown and self.stream:
            self._forget_what_was_read()

    def _forget_what_was_read(self) -> None:
        read = min((reader.position for reader in self._readers), default=self.next_item) - self._first
        if read > 0:
            self._held_bytes -= sum(map(len, self._items[:read]))
            self._first += read
            del self._items[:read]


class Reader:
    """One client's way through a recording: a `Body`. Leaving it ends nothing but the reading.

    `ending` is set before the last item is given out. Beyond `deadline`, by the monotonic clock, it stops waiting.
    """

    def __init__(
        self, recording: Recording, *, render: Callable[[PulseError], bytes], clock: Clock, deadline: float
    ) -> None:
        self.ending: Ending | None = None
        self.position = 0
        self.gone = False
        self._recording, self._render = recording, render
        self._clock, self._deadline = clock, deadline
        self._said_all = False
        self._unclosed = False
        self._unsaid = False

    @property
    def cut(self) -> bool:
        return self._unsaid or self._recording.cut

    def farewell(self) -> bytes:
        """What a client gets whose stream this process breaks off: an error event, or nothing after the end."""
        return b"" if self._said_all else self._error(StoreUnavailable("the gateway is shutting down"))

    def abandon(self, *, slow: bool = False) -> bool:
        self.gone = True
        self.leave()
        if self.ending is not None:
            return False
        self.ending = (Outcome.CLIENT_SLOW if slow else Outcome.CLIENT_GONE, None)
        return True

    def leave(self) -> None:
        self._recording.leave(self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        recording = self._recording
        try:
            while True:
                items = recording.items_from(self.position, _AT_ONCE_BYTES)
                if items:
                    self.position += len(items)
                    recording.made_room()
                    piece = items[0] if len(items) == 1 else b"".join(items)
                    self._unclosed = not piece.endswith(_CLOSED)
                    self._look_for_the_end()
                    yield piece
                elif recording.ended:
                    break
                else:
                    await self._more()
        except DeadlineExceeded as error:
            failure: PulseError | None = error
        else:
            failure = recording.failure
        if failure is None:
            self._look_for_the_end()
        else:
            self.ending, self._said_all = self.ending or (Outcome.INTERRUPTED, failure), True
            if not self.gone:
                yield self._error(failure)

    def _look_for_the_end(self) -> None:
        recording = self._recording
        if recording.ending is not None and recording.failure is None and self.position == recording.next_item:
            self.ending, self._said_all = self.ending or recording.ending, True

    async def _more(self) -> None:
        """Raises: DeadlineExceeded."""
        left_s = self._deadline - self._clock.monotonic()
        try:
            async with asyncio.timeout(None if left_s == float("inf") else max(0.0, left_s)) as timer:
                await self._recording.change()
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise DeadlineExceeded("the time for this request is over") from error

    def _error(self, error: PulseError) -> bytes:
        event = self._render(error)
        self._unsaid = not event
        return b"\n\n" + event if event and self._unclosed else event
