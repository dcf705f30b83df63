"""A body that does not leave with its head: large, made while it is sent, or asked for first by the provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator

from pulse_gateway.errors import UpstreamProtocolError, UpstreamTimeout
from pulse_gateway.transport.http1.connection import Connection
from pulse_gateway.transport.http1.request_head import Head
from pulse_gateway.transport.http1.response import Http1Response
from pulse_gateway.transport.transport import OnSend

__all__ = ["Upload"]

_SLICE_BYTES = 256 * 1024
_END = b"0\r\n\r\n"


class Upload:
    """Writes `body` on a task of its own, so that an answer which comes early is read meanwhile, slice by slice as the provider takes
    them. `on_send` is called before the last slice. With `Expect: 100-continue` nothing is written before the provider has said so, or
    has said nothing for `expect_s`.
    """

    def __init__(
        self,
        connection: Connection,
        answer: Http1Response,
        head: Head,
        body: bytes | AsyncIterable[bytes],
        *,
        on_send: OnSend | None,
        expect_s: float,
    ) -> None:
        self._connection, self._answer, self._head, self._body = connection, answer, head, body
        self._on_send, self._expect_s = on_send, expect_s
        self._asked_for = asyncio.Event()
        connection.uploads(asyncio.get_running_loop().create_task(self._run()), self._asked_for.set)

    async def _run(self) -> None:
        try:
            if self._head.expects_continue:
                await self._wait_until_asked_for()
            async with asyncio.timeout(None) as patience:
                async for data, is_last in self._written():
                    if is_last and self._on_send is not None:
                        self._on_send()
                    if data and not self._connection.write(data):
                        patience.reschedule(self._patience_ends())
                        await self._connection.drained()
                        patience.reschedule(None)
        except asyncio.CancelledError:
            raise  # the answer is over, or given up
        except TimeoutError as error:
            late = UpstreamTimeout(f"the provider took nothing for {self._answer.timeouts.write_s:g} s")
            late.__cause__ = error
            self._connection.fail(self._answer, late)
        except Exception as error:  # noqa: BLE001 -- the body is anybody's: whoever waits for the answer is told
            self._connection.fail(self._answer, error)
        else:
            self._connection.uploaded(self._answer)

    async def _wait_until_asked_for(self) -> None:
        try:
            async with asyncio.timeout(self._expect_s):
                await self._asked_for.wait()
        except TimeoutError:
            return  # Source: RFC 9110 §10.1.1: servers that know nothing of it wait for the body

    def _patience_ends(self) -> float | None:
        write_s = self._answer.timeouts.write_s
        return None if write_s is None else asyncio.get_running_loop().time() + write_s

    async def _written(self) -> AsyncIterator[tuple[bytes | memoryview, bool]]:
        """What to write, and whether it is the last."""
        if isinstance(self._body, bytes):
            whole = memoryview(self._body)
            for start in range(0, len(whole), _SLICE_BYTES):
                yield whole[start : start + _SLICE_BYTES], start + _SLICE_BYTES >= len(whole)
        elif self._head.is_chunked:
            async for piece in self._body:
                if piece:
                    yield b"%x\r\n%b\r\n" % (len(piece), piece), False
            yield _END, True
        else:
            async for each in self._of_known_length(self._body):
                yield each

    async def _of_known_length(self, body: AsyncIterable[bytes]) -> AsyncIterator[tuple[bytes, bool]]:
        left = self._head.length or 0
        if left == 0:
            yield b"", True
        async for piece in body:
            left -= len(piece)
            if left < 0:
                break
            if piece:
                yield piece, left == 0
        if left:
            raise UpstreamProtocolError("the body of a request to the provider is not as long as was said")
