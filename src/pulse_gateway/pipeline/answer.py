"""Reading what a provider answers: as a whole, until it has really begun, or to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from pulse_gateway.errors import StreamInterrupted, UpstreamError, UpstreamProtocolError, UpstreamTimeout
from pulse_gateway.transport.transport import HttpResponse, OnSend, Transport
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpAnswer, HttpRequest
from pulse_gateway.wire.relay import Relay
from pulse_gateway.wire.sse import MAX_EVENT_BYTES

__all__ = ["MAX_ERROR_BYTES", "MAX_REPLY_BYTES", "closing", "read_out", "read_whole", "send_whole", "until_committed"]

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024
_READ_OUT_S = 0.5
_QUIET_FRAMES = 2  # as vendors send them while they think: a ping, a block that opens


async def send_whole(
    transport: Transport, request: HttpRequest, deployment: Deployment, *, on_send: OnSend | None = None
) -> HttpAnswer:
    """Send and read everything, whatever the status; of an error only its beginning.

    Raises: UpstreamError.
    """
    response = await transport.send(request, deployment.timeouts, proxy=deployment.proxy, on_send=on_send)
    try:
        good = 200 <= response.status < 300
        body = await read_whole(response, MAX_REPLY_BYTES if good else MAX_ERROR_BYTES, cut=not good)
    finally:
        await response.aclose()
    return HttpAnswer(response.status, response.headers, body)


async def until_committed(
    relay: Relay[Any], chunks: AsyncIterator[bytes], *, reviewed: bool = False, quiet_frames: int = _QUIET_FRAMES
) -> list[Any]:
    """Read until the answer says something, ends, or has begun and has more than `quiet_frames` frames without a word: then the vendor is at
    work on it. What came so far is held, so that a failure until here costs the client nothing: what the client gets, or, where it is to be `reviewed`, that in
    pieces which tell the texts in it.

    Raises: UpstreamError.
    """
    held: list[Any] = []
    reading, size = relay.reading, 0
    async for chunk in chunks:
        held += relay.feed_pieces(chunk) if reviewed else relay.feed(chunk)
        size += len(chunk)
        # By frames, not by slices: what has come behind them, in the same slice or in the next, decides nothing.
        frames = len(held) - (reading.failed is not None)
        if reading.says_something or (reading.started and frames > quiet_frames):
            return held
        _raise_failure(relay)
        if not reading.started and size > MAX_EVENT_BYTES:
            raise UpstreamProtocolError(f"the provider's stream held nothing in its first {size} bytes")
    held += relay.finish() if reviewed else [piece.item for piece in relay.finish()]
    if reading.says_something:
        return held
    _raise_failure(relay)
    if not reading.started:
        raise UpstreamProtocolError("the provider's stream was empty")
    raise StreamInterrupted("the provider's stream ended before it was complete")


def _raise_failure(relay: Relay[Any]) -> None:
    if relay.reading.failed is not None:
        raise relay.reading.failed
    if relay.broken is not None:
        raise relay.broken


async def read_out(chunks: AsyncIterator[bytes]) -> None:
    """Read what follows a stream's terminal frame, mostly nothing, so that its connection can be used again."""
    try:
        async with asyncio.timeout(_READ_OUT_S):
            async for _ in chunks:
                pass
    except (UpstreamError, TimeoutError):
        return  # the answer was whole; only the connection is lost


def closing(response: HttpResponse) -> Awaitable[None] | None:
    """Leave the answer. What is returned has still to be awaited; None: it was one that never waits, as those of our own client."""
    if (abandon := getattr(response, "abandon", None)) is None:
        return response.aclose()
    abandon()
    return None


async def read_whole(response: HttpResponse, limit_bytes: int, *, cut: bool = False) -> bytes:
    """The body. Longer than `limit_bytes` it is an error, or, with `cut`, only its beginning.

    Raises: UpstreamError.
    """
    here = response.read_now()  # nearly all small answers come with their head
    if here is not None:
        if len(here) > limit_bytes and not cut:
            raise _too_long(limit_bytes)
        return here
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in response:
            pieces.append(piece)
            size += len(piece)
            if size > limit_bytes:
                if cut:
                    break
                raise _too_long(limit_bytes)
    except (StreamInterrupted, UpstreamTimeout):
        if not cut:
            raise
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_long(limit_bytes: int) -> UpstreamProtocolError:
    return UpstreamProtocolError(f"the provider's answer exceeds {limit_bytes} bytes")
