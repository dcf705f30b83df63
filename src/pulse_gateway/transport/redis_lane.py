"""One connection to Redis that many calls share: written one after the other, answered in the same order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol, cast

import hiredis

from pulse_gateway.transport.redis_calls import Call

__all__ = ["Lane", "LaneOwner"]

_NOT_YET = object()


class LaneOwner(Protocol):
    """Who hears of what happens on a lane. All of these are called in the loop, outside of any task."""

    def refused(self, lane: Lane, call: Call, reply: str) -> None:
        """`call` was answered with an error."""
        ...

    def answered(self, lane: Lane, *, well: bool) -> None:
        """Answers came (`well`: one of them to a caller, and no error), and there may be room for another batch."""
        ...

    def lost(self, lane: Lane, cause: Exception | None) -> None:
        """The connection is gone, or what comes over it makes no sense. `lane.calls` are those that nobody answered."""
        ...


class Lane(asyncio.Protocol):
    """Matches replies to calls by their position alone, so a caller that has left takes nothing away from the others.

    A lane whose answers cannot be waited for any longer is aborted, never used again: its late answers die with it.
    Source: https://github.com/redis/redis-py/issues/2665 (read 2026-11-24), answers served to the wrong caller.
    """

    def __init__(self, owner: LaneOwner) -> None:
        self.calls: deque[Call] = deque()
        self.batches = 0
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = owner
        self._reader = hiredis.Reader(protocolError=hiredis.ProtocolError, notEnoughData=_NOT_YET)
        self._writer: asyncio.StreamWriter | None = None  # kept, because it closes the transport when it is collected
        self._transport: asyncio.Transport | None = None
        self._is_full = False
        self._is_deaf = False

    def adopt(self, writer: asyncio.StreamWriter) -> None:
        """Take over a connection on which nothing is under way."""
        self._writer = writer
        self._transport = cast(asyncio.Transport, writer.transport)
        self._transport.set_protocol(self)

    @property
    def is_usable(self) -> bool:
        return self._transport is not None and not self._is_deaf and not self._transport.is_closing()

    def has_room(self, max_batches: int) -> bool:
        return self.batches < max_batches and not self._is_full

    def send(self, calls: Sequence[Call]) -> None:
        """Write `calls` as one batch."""
        assert self._transport is not None
        calls[-1].ends_batch = True
        self.calls.extend(calls)
        self.batches += 1
        self._transport.write(calls[0].packed if len(calls) == 1 else b"".join([call.packed for call in calls]))

    def abort(self) -> None:
        """Drop the connection and whatever is on its way; the owner is not told."""
        self._is_deaf = True
        if self._transport is None:
            self._set_gone()
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        calls, reader, well = self.calls, self._reader, False
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _NOT_YET:
                if not calls:
                    raise hiredis.ProtocolError("an answer to nothing that was asked")
                call = calls[0]
                if call.skips:
                    call.skips -= 1
                    continue
                calls.popleft()
                if call.ends_batch:
                    call.ends_batch = False
                    self.batches -= 1
                if type(reply) is hiredis.ReplyError:
                    self._owner.refused(self, call, str(reply))
                else:
                    well = well or not call.is_check
                    if not call.future.done():
                        call.future.set_result(reply)
        except hiredis.ProtocolError as error:
            self.abort()
            self._owner.lost(self, error)
            return
        self._owner.answered(self, well=well)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_gone()
        if not self._is_deaf:
            self._is_deaf = True
            self._owner.lost(self, exc)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        if not self._is_deaf:
            self._owner.answered(self, well=False)

    def _set_gone(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
