"""Start and stop: a listening socket in front of the three vendors."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from pulse_gateway.testing.simulator.application import Application
from pulse_gateway.testing.simulator.config import Config, SimulatorConfigError, load_config
from pulse_gateway.testing.simulator.connection import Connection, Connections
from pulse_gateway.testing.simulator.stats import Stats

__all__ = ["Simulator", "run", "serve"]

_DRAIN_S = 5.0  # how long `run` lets answers under way finish after SIGTERM
_BACKLOG = 4096


class Simulator:
    """OpenAI, Anthropic and Gemini on one port of this machine.

    Leaving the `async with` block closes every connection, stalled answers included.

    Raises: SimulatorConfigError, FaultSpecError for a config that cannot be used; OSError when the port is taken.
    """

    def __init__(self, *, seed: int = 0, host: str = "127.0.0.1", port: int = 0, config: Config | None = None) -> None:
        self.seed = seed
        self.host = host
        self.port = port  # the real one once started, if it was 0
        self._application = Application(seed, config or Config())
        self._connections = Connections()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The base URL for the Anthropic and Gemini SDKs; OpenAI's takes it with `/v1`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self._application.answer, self._connections),
            self.host,
            self.port,
            backlog=_BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self, grace_s: float = 0.0) -> None:
        """Accept nothing more, let answers under way finish for `grace_s` seconds, then hang up."""
        if self._server is None:
            return
        self._server.close()
        self._application.close()
        for connection in self._connections:
            connection.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connections.empty.wait(), grace_s)
        for connection in self._connections:
            connection.abort()
        await self._connections.empty.wait()
        await self._server.wait_closed()
        self._server = None

    def stats(self) -> Stats:
        """What `GET /_stats` shows."""
        return self._application.statistics.snapshot()

    def reset(self) -> None:
        """What `POST /_reset` does: forget the counters, and which `first=N` faults have been used up."""
        self._application.reset()


async def serve(host: str = "127.0.0.1", port: int = 9100, seed: int = 0, config: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT.

    Raises: SimulatorConfigError; OSError when the port is taken.
    """
    simulator = Simulator(seed=seed, host=host, port=port, config=load_config(config) if config else None)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await simulator.start()
    sys.stdout.write(
        f"provider simulator on {simulator.url} (seed {seed})\n"
        f"  OPENAI_BASE_URL={simulator.url}/v1\n"
        f"  ANTHROPIC_BASE_URL={simulator.url}\n"
        f"  GEMINI_BASE_URL={simulator.url}\n"
        f"  STABILITY_BASE_URL={simulator.url}\n"
        f"  REPLICATE_BASE_URL={simulator.url}   (with a token that begins with r8_)\n"
        "  all other vendors: docs/simulator.md\n"
        f"  statistics: {simulator.url}/_stats\n"
    )
    sys.stdout.flush()
    await stopping.wait()
    await simulator.stop(grace_s=_DRAIN_S)


def run(host: str = "127.0.0.1", port: int = 9100, seed: int = 0, config: Path | None = None) -> int:
    """`serve`, for a command line: returns the exit code and says on stderr what went wrong."""
    try:
        asyncio.run(serve(host, port, seed, config))
    except (SimulatorConfigError, OSError) as error:
        sys.stderr.write(f"simulate: {error}\n")
        return 1
    return 0
