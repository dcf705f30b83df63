"""Connections that are there before anybody needs them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from pulse_gateway.errors import UpstreamError
from pulse_gateway.transport.http1.client import Http1Transport
from pulse_gateway.types.http import Timeouts

__all__ = ["Warm", "Warmth"]

_log = logging.getLogger("pulse_gateway")


class Warm(msgspec.Struct, frozen=True):
    """So many connections to the origin of `url`; `name` is the provider's, for the log."""

    name: str
    url: str
    connections: int
    timeouts: Timeouts


class Warmth:
    """Opens what is wanted, and looks every `every_s` whether it is still there: providers close what they have not heard from for long."""

    def __init__(self, transport: Http1Transport, *, every_s: float = 5.0) -> None:
        self._transport, self._every_s = transport, every_s
        self._wanted: Sequence[Warm] = ()
        self._gone: list[Warm] = []  # need not be kept any longer
        self._failed: set[str] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def keep(self, wanted: Sequence[Warm]) -> None:
        """From now on these and no others. Waits for nothing; needs a running loop."""
        self._gone += [msgspec.structs.replace(each, connections=0) for each in self._wanted]
        self._wanted = wanted
        self._changed.set()
        if wanted and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="warm connections")

    async def aclose(self) -> None:
        task, self._task, self._wanted = self._task, None, ()
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            gone, self._gone = self._gone, []
            await asyncio.gather(*map(self._open, (*gone, *self._wanted)))
            try:
                async with asyncio.timeout(self._every_s):
                    await self._changed.wait()
            except TimeoutError:
                continue  # time to look

    async def _open(self, wanted: Warm) -> None:
        try:
            await self._transport.warm(wanted.url, wanted.connections, wanted.timeouts)
        except UpstreamError as error:
            if wanted.name not in self._failed:  # once, until it has worked again
                self._failed.add(wanted.name)
                _log.warning("%s: no connection could be opened ahead: %s", wanted.name, error.message)
        else:
            self._failed.discard(wanted.name)
