"""Postgres gone for two minutes under load, and a Postgres whose disk is full."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from killing import Bill, compare
from pressure import Load, make_key, metric, percentile, serving, until
from pulse_process import Pulse, Simulation, open_folder, run_pulse

from pulse_host.dev.embedded import EmbeddedPostgres
from valkey_server import ValkeyProcess

GONE_S = 120.0
FULL_S = 30.0
DRAINED_S = 30.0
GROWTH_BYTES = 50 * 2**20
DISK_MIB = 192
SPARE_BYTES = 2**20
CONFIG = """
[plans.starter]
tokens = 1_000_000_000
[limits]
requests = "off"
replicas = 1
"""


@pytest.fixture
def redis() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


async def keys_of(postgres: EmbeddedPostgres, count: int) -> list[str]:
    done = await asyncio.to_thread(run_pulse, "migrate", env={"PULSE_DATABASE_URL": postgres.url()})
    assert done.returncode == 0, done.stderr
    return [await asyncio.to_thread(make_key, postgres.url(), "--plan", "starter") for _ in range(count)]


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def drained_s(pulse: Pulse) -> float:
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=pulse.url, trust_env=False, timeout=30) as http:

        async def nothing_waits() -> bool:
            return await metric(http, "pulse_ledger_backlog") == 0

        await until(nothing_waits, "the ledger is written", within_s=DRAINED_S)
    return time.monotonic() - began


async def nothing_is_lost(
    postgres: EmbeddedPostgres, redis: ValkeyProcess, simulation: Simulation, load: Load, bill: Bill
) -> None:
    assert {(each.status, each.degraded) for each in load.answers} == {(200, None)}
    found = await compare(postgres.url(), simulation, load.prefix, bill)
    assert found.attempts == len(load.answers)
    assert (found.missing, found.doubled, found.unasked, found.wrong, found.estimated) == ([], [], [], [], 0)
    env = {"PULSE_DATABASE_URL": postgres.url(), "PULSE_REDIS_URL": redis.url}
    verified = await asyncio.to_thread(run_pulse, "usage", "verify", env=env)
    assert verified.returncode == 0, verified.stdout + verified.stderr


async def test_two_minutes_without_postgres(redis: ValkeyProcess, simulation: Simulation) -> None:
    """QL-6."""
    simulation.reset()
    bill = Bill(simulation)
    with open_folder() as folder:
        postgres = EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log")
        await asyncio.to_thread(postgres.start)
        keys = await keys_of(postgres, 8)
        async with serving(postgres.url(), [redis.url], simulation, CONFIG) as [pulse]:
            async with Load([pulse.url], keys, prefix="gone-", clients=8, pause_s=0.06, specs=[""]) as load:
                await load.some_more(500)
                usual, cpu = time.monotonic(), cpu_s(psutil.Process(pulse.process.pid))
                await asyncio.sleep(30)
                await asyncio.to_thread(bill.read)
                server = psutil.Process(pulse.process.pid)
                cpu_with_it = (cpu_s(server) - cpu) / len(load.since(usual))
                before = server.memory_info().rss
                await asyncio.to_thread(postgres.stop)
                went, cpu = time.monotonic(), cpu_s(server)
                for _ in range(2):  # reading holds the clients up, so seldom
                    await asyncio.sleep(GONE_S / 2)
                    await asyncio.to_thread(bill.read)
                grown = server.memory_info().rss - before
                back = time.monotonic()
                cpu_without = (cpu_s(server) - cpu) / len(load.since(went))
                await asyncio.to_thread(postgres.start)
                drained = await drained_s(pulse) + time.monotonic() - back
                again = time.monotonic()
                await asyncio.to_thread(bill.read)
                await asyncio.sleep(30)
            with_it = [each.took_s for each in load.since(usual, went - 1) + load.since(again)]
            without = [each.took_s for each in load.since(went, back)]
            p99, p50 = (percentile(without, each) / percentile(with_it, each) for each in (99, 50))
            print(
                f"{len(load.answers)} answers, {len(without)} without Postgres, "
                f"which took p50 x {p50:.2f} ({percentile(with_it, 50) * 1000:.1f} ms before), "
                f"p99 x {p99:.2f} ({percentile(with_it, 99) * 1000:.1f} ms before), at most {max(without) * 1000:.0f} ms, "
                f"CPU of the gateway x {cpu_without / cpu_with_it:.2f} ({cpu_with_it * 1000:.2f} ms before); "
                f"grown by {grown / 2**20:.1f} MiB; drained {drained:.1f} s after its return"
            )
            assert grown < GROWTH_BYTES
            assert max(without) < 1 + load.lag_s
        await nothing_is_lost(postgres, redis, simulation, load, bill)
        postgres.stop()
        assert p99 <= 1.1


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, in memory; only root may make one."""
    disk = folder / "disk"
    disk.mkdir(mode=0o755)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "tmpfs", str(disk)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"this needs root and a machine where it may mount: {done.stderr}"
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def write_ahead_elsewhere(data: Path, folder: Path) -> None:
    """A Postgres that cannot write its log ahead stops; one that cannot write its tables goes on and says so."""
    moved = folder / "pg_wal"
    shutil.move(data / "pg_wal", moved)
    owner = data.stat()
    for path in (moved, *moved.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    (data / "pg_wal").symlink_to(moved)
    os.chown(data / "pg_wal", owner.st_uid, owner.st_gid, follow_symlinks=False)


def fill(disk: Path) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        while (free := shutil.disk_usage(disk).free) > SPARE_BYTES:
            file.write(bytes(min(2**20, free - SPARE_BYTES)))
            file.flush()
    return ballast


async def test_a_disk_that_is_full_and_then_is_not(redis: ValkeyProcess, simulation: Simulation) -> None:
    """DF-4."""
    simulation.reset()
    bill = Bill(simulation)
    with open_folder() as folder, small_disk(folder) as disk:
        postgres = EmbeddedPostgres(disk / "postgres", log=folder / "postgres.log")
        await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(postgres.stop)
        write_ahead_elsewhere(disk / "postgres", folder)
        await asyncio.to_thread(postgres.start)
        keys = await keys_of(postgres, 4)
        async with serving(postgres.url(), [redis.url], simulation, CONFIG) as [pulse]:
            async with Load([pulse.url], keys, prefix="full-", clients=16, pause_s=0.01, specs=[""]) as load:
                await load.some_more(300)
                ballast = fill(disk)
                await until(
                    lambda: "usage cannot be written (DiskFullError" in pulse.process.output, "alarm", within_s=90
                )
                full = time.monotonic()
                await asyncio.sleep(FULL_S)
                async with httpx.AsyncClient(base_url=pulse.url, trust_env=False) as http:
                    waiting = await metric(http, "pulse_ledger_backlog")
                    ready = await http.get("/ready")
                freed = time.monotonic()
                ballast.unlink()
                drained = await drained_s(pulse)
                await load.some_more(100)
            during = load.since(full, freed)
            print(
                f"{len(during)} answers in {FULL_S:g} s on a full disk, {waiting:g} entries waited "
                f"(/ready: {ready.status_code} {ready.json()['status']}); drained {drained:.1f} s after there was room"
            )
            assert waiting > 100
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            assert "usage is written again" in pulse.process.output
        await nothing_is_lost(postgres, redis, simulation, load, bill)
        postgres.stop()
