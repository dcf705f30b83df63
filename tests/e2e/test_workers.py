"""`pulse serve --workers`: processes that share a port, limits and figures."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from pulse_process import STORES, Pulse, Simulation, entries_of, open_folder, run_pulse

ECHO = {"model": "echo", "messages": [{"role": "user", "content": "مرحبا"}]}
WORKERS = 3


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        (opened / "pulse.toml").write_text('[limits]\nrequests = "off"\n')
        yield opened


@pytest.fixture
def served(database_url: str, simulation: Simulation, folder: Path) -> Iterator[Pulse]:
    made = run_pulse("keys", "create", "--user", "ada@example.com", env={"PULSE_DATABASE_URL": database_url})
    settings = {**simulation.provider_environment(), "PULSE_JOURNAL_DIR": str(folder / "journal")}
    with Pulse.serve(
        database_url, settings, key=made.stdout.strip(), arguments=["--workers", str(WORKERS)], cwd=folder
    ) as pulse:
        yield pulse


def workers_of(pulse: Pulse) -> dict[int, psutil.Process]:
    """The newest process of each number, as the log names it."""
    children = {child.pid for child in psutil.Process(pulse.process.pid).children()}
    return {
        line["worker"]: psutil.Process(line["pid"])
        for line in pulse.log_lines("worker ready")
        if line["pid"] in children
    }


async def ask(pulse: Pulse, request_id: str, **fields: object) -> int:
    """Each on a connection of its own, so that any worker may take it."""
    headers = {**pulse.headers, "x-request-id": request_id}
    async with httpx.AsyncClient(base_url=pulse.url, headers=headers, trust_env=False, timeout=30) as client:
        return (await client.post("/v1/chat/completions", json={**ECHO, **fields})).status_code


def series(metrics: str, name: str) -> dict[str, float]:
    """Worker → the sum of its series of one metric."""
    found: dict[str, float] = {}
    for labels, value in re.findall(rf"(?m)^{name}\{{(.*)\}} (\S+)$", metrics):
        worker = re.findall(r'worker="(\d+)"', labels)[0]
        found[worker] = found.get(worker, 0) + float(value)
    return found


async def test_all_take_requests_keep_journals_apart_and_any_tells_the_figures_of_all(
    served: Pulse, folder: Path, database_url: str
) -> None:
    assert served.log_lines("ready")[0]["workers"] == WORKERS
    assert sorted(workers_of(served)) == [1, 2, 3]
    # More than one worker is given something to do at once.
    statuses = await asyncio.gather(
        *(ask(served, f"all-{number}", model="openai:gpt-5.2+delay=0.2") for number in range(60))
    )
    assert set(statuses) == {200}
    counts: dict[str, float] = {}
    for _ in range(4):
        page = httpx.get(f"{served.url}/metrics", trust_env=False).text
        counts = series(page, "pulse_exchanges_total")
        assert sum(counts.values()) == 60
        assert series(page, "pulse_ledger_backlog").keys() == {"1", "2", "3"}
        assert page.count("# TYPE pulse_exchanges_total counter") == 1
    assert len(counts) > 1
    assert {line["worker"] for line in served.log_lines()} == {int(worker) for worker in counts}
    assert {path.name for path in (folder / "journal").iterdir()} == {"0", "1", "2"}
    assert served.process.stop() == 0
    names = [row["request_id"] for row in await entries_of(database_url)]
    assert sorted(name for name in names if name.startswith("all-")) == sorted(f"all-{number}" for number in range(60))


async def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(
    served: Pulse, database_url: str, simulation: Simulation
) -> None:
    simulation.reset()
    answered: list[str] = []
    stop = asyncio.Event()

    async def client(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            request_id = f"kill-{number}-{count}"
            try:
                assert await ask(served, request_id, model="openai:gpt-5.2+delay=0.02") == 200
            except httpx.TransportError:
                continue  # it had the bad luck to be with the one that was killed
            answered.append(request_id)

    clients = [asyncio.create_task(client(number)) for number in range(8)]
    while len(answered) < 50:
        await asyncio.sleep(0.01)
    victim = workers_of(served)[2]
    victim.kill()
    while len([line for line in served.log_lines("worker ready") if line["worker"] == 2]) < 2:
        await asyncio.sleep(0.05)
    after = len(answered) + 50
    while len(answered) < after:
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*clients)
    assert workers_of(served)[2].pid != victim.pid
    (line,) = served.log_lines("a worker has ended; another is started")
    assert (line["worker"], line["exit_code"]) == (2, -signal.SIGKILL)
    assert served.process.stop() == 0

    rows = [row for row in await entries_of(database_url) if row["request_id"].startswith("kill-")]
    names = [row["request_id"] for row in rows]
    assert len(names) == len(set(names))
    assert set(answered) <= set(names)
    billed = simulation.stats()["providers"]["openai"]["requests"]
    assert len(names) == billed


def test_a_reload_reaches_all_of_them(served: Pulse, folder: Path) -> None:
    with (folder / "pulse.toml").open("a") as file:
        file.write('[models.later]\ntargets = ["openai:gpt-5.2"]\n')
    os.kill(served.process.pid, signal.SIGHUP)
    for number in (1, 2, 3):
        served.process.wait_for(rf'"event":"configuration reloaded".*"worker":{number}')


async def test_running_streams_of_all_are_drained(served: Pulse) -> None:
    ends: list[bool] = []

    async def stream() -> None:
        async with httpx.AsyncClient(
            base_url=served.url, headers=served.headers, trust_env=False, timeout=30
        ) as client:
            body = {**ECHO, "model": "openai:gpt-5.2+chunks=20,chunk-delay=0.05", "stream": True}
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                assert response.status_code == 200
                started.release()
                ends.append((await response.aread()).endswith(b"data: [DONE]\n\n"))

    started = asyncio.Semaphore(0)
    streams = [asyncio.create_task(stream()) for _ in range(12)]
    for _ in streams:
        await started.acquire()
    stopping = asyncio.create_task(asyncio.to_thread(served.process.stop))
    await asyncio.gather(*streams)
    assert await stopping == 0
    assert ends == [True] * 12


def test_a_mistake_is_said_once(database_url: str) -> None:
    env = {"PULSE_DATABASE_URL": database_url, **STORES.environment(database_url), "PULSE_JOURNAL_DIR": "/proc/journal"}
    done = run_pulse("serve", "--port", "0", "--workers", "3", env=env)
    assert done.returncode == 1
    assert done.stderr.count("Error: ") == 1
