"""A new connection: the address that answers first, and TLS over it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import certifi

__all__ = ["connect", "default_tls", "socket_to"]

# What the kernel takes of an answer that is not read: without a bound of ours it may grow to megabytes. Enough for 2.5 MB/s over 50 ms.
_UNREAD_BYTES = 128 * 1024
_STAGGER_S = 0.25

# A model may think for minutes without a byte; what passes connections on forgets one that is silent for long.
_PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 5))


@cache
def default_tls() -> ssl.SSLContext:
    """The public authorities, and HTTP/1.1 as the only protocol."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


async def socket_to(
    addresses: Sequence[str], port: int, *, stagger_s: float = _STAGGER_S, unreachable: Callable[[str], None]
) -> socket.socket:
    """A socket connected to the first of `addresses` that takes it. The next is tried when one has failed, or has not answered for
    `stagger_s`, and whichever answers first is kept. `unreachable` is told of those that failed.

    Raises: OSError when none took it.

    Source: RFC 8305 §5.
    """
    if len(addresses) == 1:
        return await connect(addresses[0], port)
    waiting = list(reversed(addresses))
    running: dict[asyncio.Task[socket.socket], str] = {}
    failure: OSError | None = None
    try:
        while waiting or running:
            if waiting:
                address = waiting.pop()
                running[asyncio.ensure_future(connect(address, port))] = address
            done, _ = await asyncio.wait(
                running, timeout=stagger_s if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    del running[task]
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failure = failure or error
                unreachable(running.pop(task))
    finally:
        _let_go(running)
    assert failure is not None  # there was an address
    raise failure


async def connect(address: str, port: int) -> socket.socket:
    """Raises: OSError."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES:
            if (option := getattr(socket, name, None)) is not None:
                made.setsockopt(socket.IPPROTO_TCP, option, value)
        await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:  # cancellation too: nobody else knows of it
        made.close()
        raise
    return made


def _let_go(attempts: Iterable[asyncio.Task[socket.socket]]) -> None:
    for attempt in attempts:
        attempt.add_done_callback(_close_unwanted)
        attempt.cancel()


def _close_unwanted(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
