"""Two replicas that share limits, and what they do while Redis is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from pulse_process import PAUSE_S, START_S, STORES, Pulse, Simulation, open_folder, run_pulse

from valkey_server import ValkeyProcess

ECHO = {"model": "echo", "messages": [{"role": "user", "content": "مرحبا"}]}


@pytest.fixture
def redis() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


def replicas(
    count: int, database_url: str, redis: ValkeyProcess, simulation: Simulation, config: str, opened: ExitStack
) -> list[Pulse]:
    """Servers of the same configuration, on two machines as it were, and one new user."""
    user = f"user{time.monotonic_ns()}@example.com"
    made = run_pulse("keys", "create", "--user", user, env={"PULSE_DATABASE_URL": database_url})
    folder = opened.enter_context(open_folder())
    (folder / "pulse.toml").write_text(config)
    settings = {
        **simulation.provider_environment(),
        **STORES.environment(database_url),
        "PULSE_REDIS_URL": redis.url,
    }
    return [
        opened.enter_context(
            Pulse.serve(
                database_url,
                {**settings, "PULSE_JOURNAL_DIR": str(folder / f"journal-{number}")},
                key=made.stdout.strip(),
                cwd=folder,
            )
        )
        for number in range(count)
    ]


def client(pulse: Pulse) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=pulse.url, headers=pulse.headers, trust_env=False, timeout=30)


async def ask(http: httpx.AsyncClient) -> httpx.Response:
    return await http.post("/v1/chat/completions", json=ECHO)


async def ready(http: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    response = await http.get("/ready")
    return response.status_code, response.json()


async def until(http: httpx.AsyncClient, status: str) -> dict[str, Any]:
    deadline = time.monotonic() + START_S
    while (found := (await ready(http))[1])["status"] != status:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(PAUSE_S)
    return found


async def metric(http: httpx.AsyncClient, name: str) -> float:
    """The value of one series; 0 where there is none yet."""
    for line in (await http.get("/metrics")).text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


async def test_sixty_a_minute_over_both_and_not_one_more(
    database_url: str, redis: ValkeyProcess, simulation: Simulation
) -> None:
    with ExitStack() as opened:
        pair = replicas(2, database_url, redis, simulation, "", opened)
        async with client(pair[0]) as first, client(pair[1]) as second:
            answers = await asyncio.gather(*(ask(http) for _ in range(50) for http in (first, second)))
            admitted = [each for each in answers if each.status_code == 200]
            refused = [each for each in answers if each.status_code == 429]
            assert (len(admitted), len(refused)) == (60, 40)
            assert all("x-pulse-limits" not in each.headers for each in answers)
            assert {each.json()["error"]["code"] for each in refused} == {"rate_limit_exceeded"}
            # Each sees what the other one admitted.
            counted = [(await http.get("/v1/usage/me")).json()["requests"]["used"] for http in (first, second)]
            assert counted == [60, 60]


async def test_without_redis_the_policies_hold_visibly_and_it_comes_back_by_itself(
    database_url: str, redis: ValkeyProcess, simulation: Simulation
) -> None:
    config = '[limits]\nrequests = "40/8s"\nreplicas = 2\n'
    with ExitStack() as opened:
        (pulse,) = replicas(1, database_url, redis, simulation, config, opened)
        async with client(pulse) as http:
            well = await ask(http)
            assert well.status_code == 200
            assert "x-pulse-limits" not in well.headers
            assert await metric(http, "pulse_redis_available") == 1

            redis.kill()
            answers = [await ask(http) for _ in range(30)]
            admitted = [each for each in answers if each.status_code == 200]
            assert len(admitted) == 20  # this replica's half of 40
            assert {each.headers["x-pulse-limits"] for each in admitted} == {"local"}
            assert {each.status_code for each in answers} == {200, 429}
            assert max(each.elapsed.total_seconds() for each in answers) < 2
            code, report = await ready(http)
            assert (code, report["status"]) == (200, "degraded")
            assert report["checks"]["redis"] == (
                "down: requests=local, tokens=local, concurrency=local, quotas=local, media=closed, budgets=local"
            )
            assert await metric(http, "pulse_redis_available") == 0
            assert await metric(http, 'pulse_degraded_grants_total{policy="local"}') == 20
            assert await metric(http, 'pulse_degraded_refusals_total{policy="local"}') == 10
            pulse.process.wait_for("redis is away: the policies for limits without it hold")

            redis.start()
            await until(http, "ok")
            while "x-pulse-limits" in (again := await ask(http)).headers or again.status_code != 200:
                await asyncio.sleep(0.05)
            assert await metric(http, "pulse_redis_available") == 1
            while await metric(http, "pulse_settlements_waiting"):
                await asyncio.sleep(0.05)
            assert await metric(http, "pulse_open_permits") == 0
        assert pulse.process.stop() == 0
        assert "Traceback" not in pulse.process.output


async def test_where_every_policy_is_closed_the_server_is_not_ready_without_redis(
    database_url: str, redis: ValkeyProcess, simulation: Simulation
) -> None:
    kinds = ("requests", "tokens", "concurrency", "quotas", "media", "budgets")
    config = "[limits.without_redis]\n" + "".join(f'{kind} = "closed"\n' for kind in kinds)
    with ExitStack() as opened:
        (pulse,) = replicas(1, database_url, redis, simulation, config, opened)
        async with client(pulse) as http:
            assert (await ask(http)).status_code == 200
            redis.kill()
            refused = await ask(http)
            assert refused.status_code == 503
            assert "retry-after" in refused.headers
            code, report = await ready(http)
            assert (code, report["status"]) == (503, "unavailable")
            redis.start()
            await until(http, "ok")
            while (await ask(http)).status_code != 200:
                await asyncio.sleep(0.05)


async def test_a_server_starts_while_redis_is_away(
    database_url: str, redis: ValkeyProcess, simulation: Simulation
) -> None:
    redis.kill()
    with ExitStack() as opened:
        (pulse,) = replicas(1, database_url, redis, simulation, "[limits]\nreplicas = 1\n", opened)
        async with client(pulse) as http:
            answer = await ask(http)
            assert answer.status_code == 200
            assert answer.headers["x-pulse-limits"] == "local"
            redis.start()
            await until(http, "ok")
