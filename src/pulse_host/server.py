"""Runs the application on uvicorn, and stops it in the order that loses nothing."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import structlog
import uvicorn
from litestar import Litestar

from pulse_gateway.errors import ConfigError
from pulse_host.health import Readiness

__all__ = ["bind", "run_async", "serve"]

_log = structlog.get_logger("pulse")
_LISTEN_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, before anything else is started.

    Raises: ConfigError naming the address and the fix.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is in use; stop what uses it or choose another with --port"
            ) from error
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; see --host and --port"
        ) from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which ends the process by the signal instead of with exit code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Litestar,
    listener: socket.socket,
    readiness: Readiness,
    *,
    drain_s: float,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT; then no new work, running streams up to `drain_s`, settle, return."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=max(1, round(drain_s)),
        timeout_keep_alive=75,
    )
    server = _Server(config)
    async with _signals(server, readiness):
        watching = asyncio.create_task(_announce(server, on_ready))
        try:
            await server.serve(sockets=[listener])
        finally:
            watching.cancel()
    if not server.started:
        raise ConfigError("the server could not start; the log above says why")


@asynccontextmanager
async def _signals(server: _Server, readiness: Readiness) -> AsyncIterator[None]:
    """The first signal drains, a second one stops waiting for streams; what settles is never skipped."""
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        if readiness.draining:
            server.force_exit = True
            return
        _log.info("stopping", signal=name)
        readiness.draining = True
        server.should_exit = True

    names = (signal.SIGTERM, signal.SIGINT)
    for each in names:
        loop.add_signal_handler(each, stop, each.name)
    try:
        yield
    finally:
        for each in names:
            loop.remove_signal_handler(each)


async def _announce(server: _Server, on_ready: Callable[[], None]) -> None:
    while not server.started:  # noqa: ASYNC110 -- uvicorn offers a flag, no event
        await asyncio.sleep(0.02)
    on_ready()


def run_async(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        asyncio.run(main)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
