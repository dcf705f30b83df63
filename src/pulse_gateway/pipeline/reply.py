"""An answer: whole, or under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Protocol

from pulse_gateway.errors import PulseError
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.types.usage import Outcome

__all__ = ["Body", "Reply"]


class Body(Protocol):
    """A streamed body. `ending` is how it ended, None while it has not. `cut`: it is over before it was whole, and nothing in it says
    so."""

    @property
    def ending(self) -> tuple[Outcome, PulseError | None] | None: ...

    @property
    def cut(self) -> bool: ...

    @property
    def gone(self) -> bool: ...

    def farewell(self) -> Any: ...

    def __aiter__(self) -> AsyncIterator[Any]: ...

    def abandon(self, *, slow: bool = False) -> bool: ...


class Reply:
    """An answer under way: iterate it, leave it to settle. A whole answer is settled already and has its `body` at once.

    `value` is the `ChatReply` for a program that embeds the gateway. Items of a stream are bytes for a client, lists of events
    for such a program. `keep_alive` may be sent between items when a stream is slow; None: the dialect has nothing for that.
    """

    __slots__ = ("_close", "_supervisor", "body", "headers", "keep_alive", "status", "stream", "value")

    def __init__(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes = b"",
        *,
        value: Any = None,
        stream: Body | None = None,
        keep_alive: bytes | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.value = value
        self.stream = stream
        self.keep_alive = keep_alive
        self._close: Any = None
        self._supervisor: Supervisor | None = None

    def settle_with(self, supervisor: Supervisor, close: Any) -> None:
        """`close(outcome, error)` is called when the reply is left. What it returns, if anything, is awaited on a task of its own."""
        self._supervisor, self._close = supervisor, close

    def abandon(self, *, slow: bool = False) -> bool:
        """The client has left, or was left because it read too `slow`ly. Returns whether reading on is pointless, so that the task
        that iterates may be cancelled."""
        return self.stream is None or self.stream.abandon(slow=slow)

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self.stream is not None and self.stream.gone

    @property
    def cut(self) -> bool:
        """Whether whoever sends it on has to break the connection off, so that nobody takes what came of it for the whole."""
        return self.stream is not None and self.stream.cut

    def farewell(self) -> Any:
        """The dialect's error event for a stream that this server breaks off; empty when it has already ended."""
        return b"" if self.stream is None else self.stream.farewell()

    async def __aenter__(self) -> Reply:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.stream is None or self._close is None or self._supervisor is None:
            return
        ending = self.stream.ending or (Outcome.CANCELLED, None)
        rest = self._close(*ending)
        if rest is not None:
            # A task of its own, because a cancelled one is cancelled again at each further await.
            await asyncio.shield(self._supervisor.spawn(rest))

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._whole() if self.stream is None else aiter(self.stream)

    async def _whole(self) -> AsyncIterator[Any]:
        yield self.body
