"""`pulse usage verify` and `pulse usage rebuild`, beside a running server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess
from typing import Any

import asyncpg
import httpx
import pytest
from pulse_process import START_S, STORES, Pulse, Simulation, open_folder, run_pulse

from valkey_server import ValkeyProcess

ECHO = {"model": "echo", "messages": [{"role": "user", "content": "مرحبا"}]}


@pytest.fixture
def redis() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


@pytest.fixture
def env(database_url: str, redis: ValkeyProcess) -> dict[str, str]:
    return {"PULSE_DATABASE_URL": database_url, **STORES.environment(database_url), "PULSE_REDIS_URL": redis.url}


@pytest.fixture
def served(env: dict[str, str], simulation: Simulation) -> Iterator[Pulse]:
    with serving(env, simulation) as pulse:
        yield pulse


@contextmanager
def serving(env: dict[str, str], simulation: Simulation) -> Iterator[Pulse]:
    user = f"user{time.monotonic_ns()}@example.com"
    made = run_pulse("keys", "create", "--user", user, env=env)
    settings = {**simulation.provider_environment(), **env, "PULSE_RATE_LIMIT": "off"}
    with Pulse.serve(env["PULSE_DATABASE_URL"], settings, key=made.stdout.strip()) as pulse:
        yield pulse


async def ask(pulse: Pulse, **fields: object) -> int:
    async with httpx.AsyncClient(base_url=pulse.url, headers=pulse.headers, trust_env=False, timeout=30) as client:
        return (await client.post("/v1/chat/completions", json={**ECHO, **fields})).status_code


async def tokens_used(pulse: Pulse) -> int:
    async with httpx.AsyncClient(base_url=pulse.url, headers=pulse.headers, trust_env=False) as client:
        found: dict[str, Any] = (await client.get("/v1/usage/me")).json()
    used: int = found["tokens"]["used"]
    return used


async def pulse_usage(env: dict[str, str], *words: str) -> CompletedProcess[str]:
    return await asyncio.to_thread(run_pulse, "usage", *words, env=env)


async def test_all_agrees_beside_traffic(served: Pulse, env: dict[str, str]) -> None:
    stop = asyncio.Event()
    statuses: set[int] = set()

    async def client() -> None:
        while not stop.is_set():
            statuses.add(await ask(served, model="openai:gpt-5.2+delay=0.01"))

    clients = [asyncio.create_task(client()) for _ in range(4)]
    for _ in range(2):
        done = await pulse_usage(env, "verify")
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
        assert done.stderr == "everything agrees\n"
    stop.set()
    await asyncio.gather(*clients)
    assert statuses == {200}


async def test_a_difference_is_found_told_and_mended(served: Pulse, env: dict[str, str], redis: ValkeyProcess) -> None:
    assert await ask(served) == 200
    used = await tokens_used(served)
    assert used > 0
    (key,) = [key for key in keys(redis, ":usage:tokens:") if ":key/" not in key and ":tenant/" not in key]
    redis.command("HINCRBY", key, "used", 1000)
    account, month = key.split(":")[-2:]
    period = month.replace("-", "")

    done = await pulse_usage(env, "verify")
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert line == (
        f"redis: default {account} tokens {period}: redis has {used + 1000} used, the ledger {used} and the journal 0"
    )
    (found,) = (
        json.loads(line)
        for line in (await pulse_usage(env, "verify", "--json", "--period", period)).stdout.splitlines()
    )
    assert (found["about"], found["details"]["redis"], found["details"]["ledger"]) == ("redis", used + 1000, used)
    assert (await pulse_usage(env, "verify", "--period", "2026-01")).returncode == 0

    dry = await pulse_usage(env, "rebuild", "--dry-run")
    assert line in dry.stdout.splitlines()
    assert await tokens_used(served) == used + 1000
    done = await pulse_usage(env, "rebuild")
    assert done.returncode == 0
    assert " counters set, 0 balances and 0 rows of the roll-ups corrected" in done.stdout
    assert await tokens_used(served) == used
    assert (await pulse_usage(env, "verify")).returncode == 0


async def test_a_balance_and_a_roll_up_that_are_not_the_sums_of_their_entries_are_found_and_mended(
    served: Pulse, env: dict[str, str]
) -> None:
    assert await ask(served) == 200
    used = await tokens_used(served)
    await written(served)
    connection = await asyncpg.connect(env["PULSE_DATABASE_URL"])
    try:
        user = await connection.fetchval("select user_id from usage_entry order by at desc limit 1")
        await connection.execute(
            "update usage_balance set amount = amount + 7 where account = $1 and kind = 'tokens'", user
        )
        await connection.execute("update usage_daily set tokens = tokens + 9 where user_id = $1", user)
    finally:
        await connection.close()
    done = await pulse_usage(env, "verify")
    assert done.returncode == 1
    assert f"the balance is {used + 7}, its entries come to {used}" in done.stdout
    assert f"{used + 9} tokens and" in done.stdout
    mended = await pulse_usage(env, "rebuild")
    assert "1 balances and 1 rows of the roll-ups corrected" in mended.stdout
    assert (await pulse_usage(env, "verify")).returncode == 0


async def test_after_flushall_the_counters_come_back_from_the_ledger_by_themselves(
    served: Pulse, env: dict[str, str], redis: ValkeyProcess
) -> None:
    for _ in range(3):
        assert await ask(served) == 200
    used = await tokens_used(served)
    await written(served)
    redis.command("FLUSHALL")
    assert await tokens_used(served) == used
    assert await ask(served) == 200
    assert await tokens_used(served) > used
    done = await pulse_usage(env, "verify")
    assert (done.returncode, done.stdout) == (0, "")


async def test_what_only_a_journal_knows_counts_as_well(
    env: dict[str, str], simulation: Simulation, redis: ValkeyProcess
) -> None:
    """A server that is killed while Postgres takes nothing leaves entries that no ledger has."""
    with open_folder() as folder:
        env = {**env, "PULSE_JOURNAL_DIR": str(folder / "journal")}
        with serving(env, simulation) as pulse:
            assert await ask(pulse) == 200
            await written(pulse)
            connection = await asyncpg.connect(env["PULSE_DATABASE_URL"])
            try:
                async with connection.transaction():
                    await connection.execute("lock table usage_balance in share mode")
                    assert await ask(pulse) == 200
                    pulse.process.stop(9)
                    await connection.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity "
                        "where datname = current_database() and wait_event_type = 'Lock'"
                    )
                    done = await pulse_usage(env, "verify")
                    assert (done.returncode, done.stdout) == (0, ""), done.stdout
            finally:
                await connection.close()
            for path in (folder / "journal").rglob("*"):
                if path.is_file():
                    path.rename(path.with_name(f"{path.name}.aside"))
            done = await pulse_usage(env, "verify")
            assert done.returncode == 1
            assert "and the journal 0" in done.stdout


def test_where_limits_are_counted_in_memory_the_ledger_alone_is_looked_at(database_url: str) -> None:
    with open_folder() as folder:
        (folder / "pulse.toml").write_text('[limits]\nstore = "local"\n')
        done = run_pulse("usage", "verify", env={"PULSE_DATABASE_URL": database_url}, cwd=folder)
        assert (done.returncode, done.stderr) == (0, "everything agrees\n")
        done = run_pulse("usage", "rebuild", env={"PULSE_DATABASE_URL": database_url}, cwd=folder)
        assert "0 counters set, 0 balances and 0 rows" in done.stdout


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"PULSE_REDIS_URL": "redis://ada:s3cret@127.0.0.1:1/0"}, "Redis at 127.0.0.1:1 does not answer"),
        (
            {"PULSE_DATABASE_URL": "postgresql://ada:s3cret@127.0.0.1:1/books"},
            "Postgres does not answer at 127.0.0.1:1",
        ),
        ({"PULSE_REDIS_URL": ""}, "no Redis: set PULSE_REDIS_URL"),
    ],
    ids=["redis away", "postgres away", "no redis"],
)
@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_a_store_that_is_away_is_named(
    env: dict[str, str], changed: dict[str, str], complaint: str, command: str
) -> None:
    done = run_pulse("usage", command, env={**env, **changed})
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_a_redis_that_is_frozen_is_named_soon(env: dict[str, str], redis: ValkeyProcess, command: str) -> None:
    redis.freeze()
    began = time.monotonic()
    done = run_pulse("usage", command, env=env)
    took_s = time.monotonic() - began
    redis.thaw()
    assert took_s < 15
    assert done.returncode == 1
    assert f"Redis at 127.0.0.1:{redis.port} does not answer within 4 s; is it up" in done.stderr


def test_a_tenant_that_does_not_exist_is_named_and_a_month_is_a_month(env: dict[str, str]) -> None:
    done = run_pulse("usage", "verify", "--tenant", "nobody", env=env)
    assert done.returncode == 1
    assert "there is no tenant 'nobody'" in done.stderr
    done = run_pulse("usage", "verify", "--period", "202613", env=env)
    assert done.returncode == 2
    assert "202611 or 2026-11" in done.stderr


def keys(redis: ValkeyProcess, part: str) -> list[str]:
    return [key.decode() for key in redis.command("KEYS", "*") if part in key.decode()]


async def written(pulse: Pulse) -> None:
    """Until the ledger has everything."""
    deadline = time.monotonic() + START_S
    async with httpx.AsyncClient(base_url=pulse.url, trust_env=False) as client:
        while "\npulse_ledger_backlog 0.0" not in (await client.get("/metrics")).text:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
