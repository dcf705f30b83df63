"""Postgres dies under a running `pulse serve`, and comes back."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from pulse_process import START_S, Pulse, Simulation, entries_of, open_folder, run_pulse

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


async def until_ready(client: httpx.AsyncClient, ready: bool) -> httpx.Response:
    deadline = time.monotonic() + START_S
    while (response := await client.get("/ready")).is_success is not ready:
        assert time.monotonic() < deadline, response.text
    return response


async def test_known_keys_work_on_and_nothing_is_lost(served: Pulse, postgres: EmbeddedPostgres) -> None:
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(
        base_url=served.url, headers=served.headers, trust_env=False, timeout=30, limits=limits
    ) as client:
        other = run_pulse("keys", "create", "--user", "bob@example.com", env={"PULSE_DATABASE_URL": postgres.url()})
        before = [await ask(client, f"before-{number}") for number in range(5)]
        await until_ready(client, True)

        assert postgres.pid is not None
        kill_everything(postgres)
        during = await asyncio.gather(
            *(ask(client, f"during-{number}", stream=number % 2 == 0) for number in range(40))
        )
        report = (await until_ready(client, False)).json()["checks"]
        assert report["postgres"].startswith(("Postgres does not answer", "no answer within"))
        assert (await client.get("/health")).status_code == 200
        assert await backlog(client) >= 40
        stranger = await client.post(
            "/v1/chat/completions", json=ECHO, headers={"authorization": f"Bearer {other.stdout.strip()}"}
        )
        assert stranger.status_code == 503
        assert stranger.json()["error"]["code"] == "unavailable"
        assert "retry-after" in stranger.headers

        postgres.start()
        await until_ready(client, True)
        after = [await ask(client, f"after-{number}") for number in range(5)]
        await until_written(client)
        client.headers["authorization"] = f"Bearer {other.stdout.strip()}"
        deadline = time.monotonic() + START_S
        while await ask(client, "stranger") != 200:  # unknown keys are looked up again a second after the last failure
            assert time.monotonic() < deadline
    assert {*before, *during, *after} == {200}
    assert served.process.stop() == 0
    names = sorted(row["request_id"] for row in await entries_of(postgres.url()))
    wanted = [
        f"{word}-{number}" for word, count in (("before", 5), ("during", 40), ("after", 5)) for number in range(count)
    ]
    assert names == sorted([*wanted, "stranger"])
    assert "Traceback" not in served.process.output
    assert {line["request_id"] for line in served.log_lines()} >= set(names)


async def test_a_stop_without_postgres_ends_and_writes_the_usage_to_the_log(
    served: Pulse, postgres: EmbeddedPostgres
) -> None:
    async with httpx.AsyncClient(base_url=served.url, headers=served.headers, trust_env=False, timeout=30) as client:
        assert await ask(client, "first") == 200
        await until_written(client)
        kill_everything(postgres)
        assert await ask(client, "second") == 200
    began = time.monotonic()
    assert served.process.stop() == 0
    assert time.monotonic() - began < 20
    (lost,) = [line for line in served.process.output.splitlines() if "a usage entry is not in the ledger" in line]
    assert '\\"request_id\\":\\"second\\"' in lost


def kill_everything(postgres: EmbeddedPostgres) -> None:
    """As the kernel does it when memory is short."""
    process = psutil.Process(postgres.pid)
    family = [process, *process.children()]
    for each in family:
        each.kill()
    psutil.wait_procs(family, timeout=10)
