"""Runs the application on uvicorn, and stops it in the order that loses nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import structlog
import uvicorn
from litestar import Litestar

from pulse_gateway.errors import ConfigError
from pulse_host.health import Readiness
from pulse_host.protocol import BoundedHttp

__all__ = ["Line", "Signals", "address_of", "bind", "run_async", "serve"]

_log = structlog.get_logger("pulse")
_LISTEN_BACKLOG = 2048
_ACCEPTS = 8  # uvloop takes one connection a turn of its loop from each descriptor: under load, that would be a few dozen a second
_UNSENT_BYTES = 128 * 1024  # in the kernel, per connection: a slow client must not let megabytes be fetched ahead of it
_FAREWELL_S = 1.5  # for a request that is broken off, to say so and to close its provider's connection
_FLUSH_S = 1.0  # for the last bytes to leave through a socket


class Signals:
    """What the process has been told so far. SIGTERM and SIGINT ask for an end in order, a second one for haste.

    Without a server, which looks at the events itself, the first one cancels the work; what was begun is undone in order.
    """

    def __init__(self) -> None:
        self.stop_asked = asyncio.Event()
        self.haste_asked = asyncio.Event()
        self.serving = False
        self.on_hangup: Callable[[], None] | None = None
        self.work: asyncio.Task[None] | None = None

    def stop(self, reason: str) -> None:
        """Ask for an end in order; asked again, nothing changes."""
        if self.stop_asked.is_set():
            return
        _log.info("stopping", signal=reason)
        self.stop_asked.set()
        if not self.serving and self.work is not None:
            self.work.cancel()

    def hurry(self) -> None:
        self.haste_asked.set()

    def reload(self) -> None:
        if self.on_hangup is not None:
            self.on_hangup()


class Line(Protocol):
    """Where else a process is told what signals tell it: by a parent."""

    def listen(self, signals: Signals) -> None:
        """Hand on what is said, from now on, on the running event loop."""
        ...


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, before anything else is started.

    Raises: ConfigError naming the address and the fix.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):  # connections inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
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


def address_of(listener: socket.socket) -> str:
    """The URL under which the socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    app: Litestar,
    listener: socket.socket,
    readiness: Readiness,
    signals: Signals,
    *,
    drain_s: float,
    on_ready: Callable[[], None] = lambda: None,
    under_way: Callable[[], Collection[asyncio.Task[Any]]] = tuple,
) -> None:
    """Serve until asked to stop; then no new work, running requests up to `drain_s`, settle, return.

    `under_way` are tasks to be waited for as requests are: those that run on when their client has gone.

    Raises: ConfigError when the application does not start.
    """
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # it would believe whoever is on this machine; see client_address.py
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
    )
    server = _Server(config, readiness, signals, drain_s, on_ready, under_way)
    signals.serving = True
    try:
        await server.serve(sockets=[listener, *(listener.dup() for _ in range(_ACCEPTS - 1))])
    except SystemExit as error:  # uvicorn's word for an application that failed to start
        raise ConfigError("the server could not start; the log above says why") from error
    finally:
        signals.serving = False


class _Server(uvicorn.Server):
    """uvicorn with an end of our own. Its own one ends the process by the signal instead of with exit code 0, closes the
    socket before a balancer could see /ready change, and does not wait for those whose request it cancels to settle."""

    def __init__(
        self,
        config: uvicorn.Config,
        readiness: Readiness,
        signals: Signals,
        drain_s: float,
        on_ready: Callable[[], None],
        under_way: Callable[[], Collection[asyncio.Task[Any]]],
    ) -> None:
        super().__init__(config)
        self._readiness, self._signals, self._drain_s = readiness, signals, drain_s
        self._on_ready, self._under_way = on_ready, under_way

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # `run_async` has them

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        return self._signals.stop_asked.is_set() or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """New requests are answered 503 for as long as others still run, so that whoever probes or retries is told."""
        self._readiness.draining = True
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        await self._requests_end()
        for listening in self.servers:
            listening.close()
        await self._break_off()
        await self._close_connections()
        await self.lifespan.shutdown()

    async def _requests_end(self) -> None:
        """Returns when no request is under way, when the time is over, or when a second signal makes haste."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._drain_s
        haste = loop.create_task(self._signals.haste_asked.wait())
        while not haste.done() and (left_s := until - loop.time()) > 0:
            running = {*self.server_state.tasks, *self._under_way()}
            if not running:
                break
            await asyncio.wait({*running, haste}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        haste.cancel()

    async def _break_off(self) -> None:
        """Cancel what still runs: each says so to its client, and settles."""
        late = set(self.server_state.tasks)
        if late:
            _log.warning("requests are broken off", requests=len(late))
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_FAREWELL_S)

    async def _close_connections(self) -> None:
        """Each once its last bytes have left; those of clients that read nothing, at once after that."""
        state = self.server_state
        loop = asyncio.get_running_loop()
        for connection in list(state.connections):
            connection.shutdown()
        until = loop.time() + _FLUSH_S
        while state.connections and loop.time() < until:  # noqa: ASYNC110 -- uvicorn keeps a set, no event
            await asyncio.sleep(0.01)
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(set(state.tasks), timeout=_FLUSH_S)


def run_async(main: Callable[[Signals], Coroutine[Any, Any, None]], line: Line | None = None) -> None:
    """Run `main` on uvloop where there is one; signals, and `line`, are minded from its first step to its last."""
    try:
        import uvloop
    except ImportError:  # Windows has none
        asyncio.run(_minding_signals(main, line))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_minding_signals(main, line))
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)  # all is settled: a late one must not turn exit code 0 into another


async def _minding_signals(main: Callable[[Signals], Coroutine[Any, Any, None]], line: Line | None) -> None:
    loop = asyncio.get_running_loop()
    signals = Signals()
    signals.work = loop.create_task(main(signals))
    asked = False

    def stop(name: str) -> None:
        """A second one makes haste. What the parent has said does not count: one sent to a whole group may come after its word."""
        nonlocal asked
        if asked:
            signals.hurry()
        else:
            asked = True
            signals.stop(name)

    terminals = [stream for stream in (0, 1, 2) if os.isatty(stream)]

    def hang_up() -> None:
        if terminals and not any(map(os.isatty, terminals)):
            stop("SIGHUP")  # the terminal's window was closed
        else:
            signals.reload()

    loop.add_signal_handler(signal.SIGTERM, stop, "SIGTERM")
    loop.add_signal_handler(signal.SIGINT, stop, "SIGINT")
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    if line is not None:
        line.listen(signals)
    try:
        await signals.work
    except asyncio.CancelledError:
        if not signals.stop_asked.is_set():
            raise
