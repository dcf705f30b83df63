"""Postgres dies under a running `pulse serve`, and comes back."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from pulse_process import PAUSE_S, START_S, Pulse, Simulation, entries_of, open_folder, run_pulse

from pulse_host.dev.embedded import EmbeddedPostgres

ECHO = {"model": "echo", "messages": [{"role": "user", "content": "مرحبا"}]}


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with open_folder() as folder:
        server = EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log")
        server.start()
        yield server
        server.stop()


@pytest.fixture
def served(postgres: EmbeddedPostgres, simulation: Simulation) -> Iterator[Pulse]:
    postgres.start()
    url = postgres.url()
    settings = {**simulation.provider_environment(), "PULSE_DATABASE_URL": url, "PULSE_RATE_LIMIT": "off"}
    assert run_pulse("migrate", env=settings).returncode == 0
    made = run_pulse("keys", "create", "--user", "ada@example.com", env=settings)
    with Pulse.serve(url, settings, key=made.stdout.strip()) as pulse:
        yield pulse


async def ask(client: httpx.AsyncClient, request_id: str, **fields: object) -> int:
    headers = {"x-request-id": request_id}
    response = await client.post("/v1/chat/completions", json={**ECHO, **fields}, headers=headers)
    return response.status_code


async def backlog(client: httpx.AsyncClient) -> float:
    return float(re.findall(r"(?m)^pulse_ledger_backlog (\S+)", (await client.get("/metrics")).text)[0])


async def until_written(client: httpx.AsyncClient) -> None:
    deadline = time.monotonic() + START_S
    while await backlog(client):
        assert time.monotonic() < deadline
        await asyncio.sleep(PAUSE_S)


async def until(client: httpx.AsyncClient, status: str) -> httpx.Response:
    deadline = time.monotonic() + START_S
    while (response := await client.get("/ready")).json()["status"] != status:
        assert time.monotonic() < deadline, response.text
        await asyncio.sleep(PAUSE_S)
    return response


async def test_known_keys_work_on_and_nothing_is_lost(served: Pulse, postgres: EmbeddedPostgres) -> None:
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(
        base_url=served.url, headers=served.headers, trust_env=False, timeout=30, limits=limits
    ) as client:
        other = run_pulse("keys", "create", "--user", "bob@example.com", env={"PULSE_DATABASE_URL": postgres.url()})
        before = [await ask(client, f"before-{number}") for number in range(5)]
        await until(client, "ok")

        assert postgres.pid is not None
        kill_everything(postgres)
        during = await asyncio.gather(
            *(ask(client, f"during-{number}", stream=number % 2 == 0) for number in range(40))
        )
        told = await until(client, "unavailable")
        assert told.status_code == 503  # until server.ready_without_postgres says that this is enough
        assert told.json()["checks"]["postgres"].endswith(
            "usage waits in the journal, keys not used of late are refused"
        )
        assert (await client.get("/health")).status_code == 200
        assert await backlog(client) >= 40
        stranger = await client.post(
            "/v1/chat/completions", json=ECHO, headers={"authorization": f"Bearer {other.stdout.strip()}"}
        )
        assert stranger.status_code == 503
        assert stranger.json()["error"]["code"] == "unavailable"
        assert "retry-after" in stranger.headers

        postgres.start()
        await until(client, "ok")
        after = [await ask(client, f"after-{number}") for number in range(5)]
        await until_written(client)
        client.headers["authorization"] = f"Bearer {other.stdout.strip()}"
        deadline = time.monotonic() + START_S
        while await ask(client, "stranger") != 200:  # unknown keys are looked up again a second after the last failure
            assert time.monotonic() < deadline
            await asyncio.sleep(PAUSE_S)
    assert {*before, *during, *after} == {200}
    assert served.process.stop() == 0
    names = sorted(row["request_id"] for row in await entries_of(postgres.url()))
    wanted = [
        f"{word}-{number}" for word, count in (("before", 5), ("during", 40), ("after", 5)) for number in range(count)
    ]
    assert names == sorted([*wanted, "stranger"])
    assert "Traceback" not in served.process.output
    assert {line["request_id"] for line in served.log_lines()} >= set(names)


async def test_a_stop_without_postgres_ends_and_the_next_start_writes_the_usage(
    served: Pulse, postgres: EmbeddedPostgres, simulation: Simulation
) -> None:
    async with httpx.AsyncClient(base_url=served.url, headers=served.headers, trust_env=False, timeout=30) as client:
        assert await ask(client, "first") == 200
        await until_written(client)
        kill_everything(postgres)
        assert await ask(client, "second") == 200
    began = time.monotonic()
    assert served.process.stop() == 0
    assert time.monotonic() - began < 20
    assert "1 usage entries stay in the journal" in served.process.output
    postgres.start()
    with Pulse.serve(postgres.url(), simulation.provider_environment(), key=served.key) as again:
        async with httpx.AsyncClient(base_url=again.url, trust_env=False, timeout=30) as client:
            await until_written(client)
    names = [row["request_id"] for row in await entries_of(postgres.url())]
    assert names.count("first") == names.count("second") == 1


async def test_usage_of_an_outage_that_ends_in_kill_9_is_written_by_the_next_start(
    served: Pulse, postgres: EmbeddedPostgres, simulation: Simulation
) -> None:
    async with httpx.AsyncClient(base_url=served.url, headers=served.headers, trust_env=False, timeout=30) as client:
        assert await ask(client, "warm") == 200
        kill_everything(postgres)
        names = [f"outage-{number}" for number in range(20)]
        assert set(await asyncio.gather(*(ask(client, name) for name in names))) == {200}
    served.process.stop(signal.SIGKILL)
    postgres.start()
    with Pulse.serve(postgres.url(), simulation.provider_environment(), key=served.key) as again:
        async with httpx.AsyncClient(base_url=again.url, trust_env=False, timeout=30) as client:
            await until_written(client)
    found = [row["request_id"] for row in await entries_of(postgres.url())]
    assert sorted(name for name in found if name.startswith("outage-")) == sorted(names)


def kill_everything(postgres: EmbeddedPostgres) -> None:
    """As the kernel does it when memory is short."""
    process = psutil.Process(postgres.pid)
    family = [process, *process.children()]
    for each in family:
        each.kill()
    psutil.wait_procs(family, timeout=10)
