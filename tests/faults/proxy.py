"""A TCP proxy between the gateway and something it depends on, which a test makes slow, narrow, deaf or broken.

    async with FaultProxy(server.port) as proxy:
        client = RedisClient(f"redis://127.0.0.1:{proxy.port}", clock=SystemClock())
        proxy.delay_s = 0.2

Settings count for the bytes that arrive from then on, on open connections too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable

__all__ = ["FaultProxy"]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: close sends RST


class FaultProxy:
    """Listens on a free port of the loopback address and passes bytes on to `target_port` and back."""

    def __init__(self, target_port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.target_port = target_port
        self.port = 0
        self._tls = tls  # spoken with the client alone
        self.delay_s = 0.0  # what is added to answers; their order is kept
        self.bytes_per_s: float | None = None  # how fast answers flow
        self.is_black_hole = False  # connections are taken, nothing comes through either way
        self.writes_one_byte = False  # answers arrive in slices of one byte
        self.change_answer: Callable[[bytes], bytes | None] | None = (
            None  # what is passed on; None resets the connection
        )
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], tuple[asyncio.StreamWriter, asyncio.StreamWriter | None]] = {}

    async def __aenter__(self) -> FaultProxy:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        await self.reset()

    async def listen(self) -> None:
        """Take connections, at the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def cut(self) -> None:
        """End all open connections with FIN."""
        await self._end(with_reset=False)

    async def reset(self) -> None:
        """End all open connections with RST."""
        await self._end(with_reset=True)

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._pairs)

    async def _end(self, *, with_reset: bool) -> None:
        pairs = dict(self._pairs)
        for task, (client, _) in pairs.items():
            if with_reset:
                _reset(client)
            task.cancel()
        if pairs:
            await asyncio.wait(pairs)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        self._pairs[task] = (client, None)
        server: asyncio.StreamWriter | None = None
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.target_port)
            self._pairs[task] = (client, server)
            ways = {
                asyncio.ensure_future(self._pass_on(reader, server)),
                asyncio.ensure_future(self._pass_back(answers, client)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (asyncio.CancelledError, OSError):
            pass  # the test ended it, or there is no server: the client sees its connection end
        finally:
            del self._pairs[task]
            for writer in (client, server):
                if writer is not None:
                    writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self.is_black_hole:
                server.write(data)
                await server.drain()

    async def _pass_back(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()

        async def write() -> None:
            while (entry := await waiting.get()) is not None:
                due, data = entry
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                width = 1 if self.writes_one_byte else len(data)
                if self.bytes_per_s is not None:
                    width = max(1, min(width, int(self.bytes_per_s / 50)))
                for slice_ in [data[at : at + width] for at in range(0, len(data), width)]:
                    client.write(slice_)
                    await client.drain()
                    if self.bytes_per_s is not None:
                        await asyncio.sleep(len(slice_) / self.bytes_per_s)
                    elif self.writes_one_byte:
                        await asyncio.sleep(0)

        writing = asyncio.ensure_future(write())
        try:
            while data := await reader.read(65_536):
                if self.is_black_hole:
                    continue
                changed: bytes | None = data if self.change_answer is None else self.change_answer(data)
                if changed is None:
                    _reset(client)
                    return
                waiting.put_nowait((loop.time() + self.delay_s, changed))
            waiting.put_nowait(None)
            await writing
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await writing


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket | None = writer.transport.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
