"""Gateways killed at random points under load, and what must be true when all is quiet again.

The oracle is the simulator: it knows by request id what it was asked for and what it billed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from pressure import until
from pulse_process import Process, Simulation, entries_of, environment, open_folder, run_pulse

from valkey_server import ValkeyProcess, free_port

__all__ = [
    "LEASE_S",
    "Bill",
    "Findings",
    "Fleet",
    "Traffic",
    "compare",
    "fleet",
    "held_in",
    "kill_and_compare",
]

MODELS = ("openai:gpt-5.2", "anthropic:claude-opus-5", "google:gemini-3.8-flash")
# One stream lasts long enough to be marked on the way; the rest are quick.
SPECS = ("", "chunks=6", "chunks=30,chunk-delay=0.02", "delay=0.05", "no-usage")
LEASE_S = 3.0


class Findings(msgspec.Struct):
    """How the ledger and the provider's bill compare."""

    attempts: int
    missing: list[str]  # billed, and not in the ledger
    doubled: list[str]  # in the ledger more often than they were made
    unasked: list[str]  # in the ledger as used, and never seen by the provider
    wrong: list[str]  # said to be the provider's own numbers, and not
    estimated: int


class Traffic:
    """Clients that never stop asking: whole answers and streams, some of which are left in the middle; failures are expected."""

    def __init__(self, urls: list[str], key: str, seed: int, clients: int = 16) -> None:
        self.urls, self.key, self.seed, self.clients = urls, key, seed, clients
        self.answered = self.failed = 0
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Traffic:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _client(self, number: int) -> None:
        draw = random.Random(f"{self.seed}-{number}")
        async with httpx.AsyncClient(
            timeout=20, trust_env=False, headers={"authorization": f"Bearer {self.key}"}
        ) as http:
            count = 0
            while not self._stop.is_set():
                count += 1
                with contextlib.suppress(httpx.TransportError):
                    try:
                        await self._ask(http, draw, f"kill-{self.seed}-{number}-{count}")
                        continue
                    except httpx.TransportError:
                        self.failed += 1
                        raise

    async def _ask(self, http: httpx.AsyncClient, draw: random.Random, request_id: str) -> None:
        spec = draw.choice(SPECS)
        body: dict[str, Any] = {
            "model": f"{draw.choice(MODELS)}+{spec}" if spec else draw.choice(MODELS),
            "messages": [{"role": "user", "content": "قل لي شيئاً عن عمّان"}],
            "max_completion_tokens": 400,
            "stream": draw.random() < 0.6,
        }
        url = f"{draw.choice(self.urls)}/v1/chat/completions"
        leave_after = draw.randrange(12) if draw.random() < 0.15 else None
        async with http.stream("POST", url, json=body, headers={"x-request-id": request_id}) as response:
            pieces = 0
            async for _ in response.aiter_raw():
                pieces += 1
                if leave_after is not None and pieces > leave_after:
                    return
            self.answered += response.status_code == 200


@contextmanager
def gateway(database_url: str, redis_url: str, simulation: Simulation, folder: Path, port: int) -> Iterator[Process]:
    """One `pulse serve` on a port of its own, with its journal below `folder`; killed, not stopped, if it still runs."""
    settings = {
        **simulation.provider_environment(),
        "PULSE_DATABASE_URL": database_url,
        "PULSE_REDIS_URL": redis_url,
        "PULSE_RATE_LIMIT": "off",
        "PULSE_LOG_FORMAT": "json",
        "PULSE_CONFIG": str(folder / "pulse.toml"),
    }
    command = [sys.executable, "-m", "pulse_host", "serve", "--port", str(port)]
    process = Process(command, environment(settings), cwd=folder)
    try:
        process.wait_for(r'"event": ?"ready"')
        yield process
    finally:
        process.send(signal.SIGKILL)
        process.exit_code()


class Fleet:
    """Gateways that can be killed one by one and started again on the same port, over the same journals."""

    def __init__(
        self, database_url: str, redis_url: str, simulation: Simulation, folder: Path, ports: list[int]
    ) -> None:
        self._start = lambda port: gateway(database_url, redis_url, simulation, folder, port)
        self._running = [self._enter(port) for port in ports]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self._ports = ports

    def _enter(self, port: int) -> tuple[Any, Process]:
        context = self._start(port)
        return context, context.__enter__()

    def kill(self, number: int) -> None:
        context, process = self._running[number]
        os.kill(process.pid, signal.SIGKILL)
        context.__exit__(None, None, None)

    def process(self, number: int) -> Process:
        return self._running[number][1]

    def restart(self, number: int) -> None:
        self._running[number] = self._enter(self._ports[number])

    def stop(self) -> list[int]:
        """End every one in good order: what it has it writes."""
        return [process.stop() for _, process in self._running]

    def close(self) -> None:
        for context, _ in self._running:
            context.__exit__(None, None, None)


@contextmanager
def fleet(
    database_url: str, redis_url: str, simulation: Simulation, folder: Path, ports: list[int]
) -> Iterator[tuple[Fleet, str]]:
    """Running gateways, and an API key."""
    (folder / "pulse.toml").write_text(
        f'[limits]\nlease_s = {LEASE_S}\n[stores]\njournal_dir = "{folder}/journal"\n', encoding="utf-8"
    )
    environment_of_keys = {"PULSE_DATABASE_URL": database_url}
    made = run_pulse("keys", "create", "--user", "kill@example.com", env=environment_of_keys, cwd=folder)
    assert made.returncode == 0, made.stderr
    running = Fleet(database_url, redis_url, simulation, folder, ports)
    try:
        yield running, made.stdout.strip()
    finally:
        running.close()


class Bill:
    """What the simulator was asked and billed; it keeps the last ten thousand, so that who asks for more reads meanwhile."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._records: dict[tuple[str, str], dict[str, Any]] = {}

    def read(self) -> None:
        for each in self._simulation.stats()["requests"]:
            self._records[each["provider"], each["id"]] = each

    def of(self, prefix: str) -> list[dict[str, Any]]:
        """Of the requests whose id begins so."""
        return [each for each in self._records.values() if (each["caller_request_id"] or "").startswith(prefix)]


async def compare(database_url: str, simulation: Simulation, prefix: str, bill: Bill | None = None) -> Findings:
    """The ledger against the provider's bill, request by request."""
    rows = [row for row in await entries_of(database_url) if row["request_id"].startswith(prefix)]
    bill = bill or Bill(simulation)
    bill.read()
    billed = bill.of(prefix)
    made = Counter(each["caller_request_id"] for each in billed)
    entered = Counter(row["request_id"] for row in rows if row["reverses"] is None)
    used = Counter(row["request_id"] for row in rows if row["reverses"] is None and row["source"] != "none")
    totals: dict[str, list[int]] = {}
    for each in billed:
        counts = each["billed"]
        total = sum(counts[name] for name in ("input", "cached", "cache_write", "output", "reasoning"))
        totals.setdefault(each["caller_request_id"], []).append(total)
    wrong = [
        f"{row['request_id']}: {row['tokens']} is none of {totals.get(row['request_id'])}"
        for row in rows
        if row["source"] in {"provider", "drained"} and row["tokens"] not in totals.get(row["request_id"], [])
    ]
    return Findings(
        attempts=len(billed),
        missing=[request_id for request_id, count in made.items() if entered[request_id] < count],
        doubled=[request_id for request_id, count in entered.items() if count > max(1, made[request_id])],
        unasked=[request_id for request_id in used if request_id not in made],
        wrong=wrong,
        estimated=sum(row["source"] == "estimated" for row in rows),
    )


async def held_in(server: ValkeyProcess) -> int:
    """Everything that any permit holds, and the permits themselves."""
    held = sum(int(server.command("HGET", key, "held") or 0) for key in server.command("KEYS", "pulse:v1:*:usage:*"))
    for key in server.command("KEYS", "pulse:v1:*:holds"):
        held += sum(value not in {b"X", b"E||0"} for value in server.command("HVALS", key))
    return held


async def kill_and_compare(
    database_url: str, simulation: Simulation, redis_server: ValkeyProcess, *, kills: int, seed: int
) -> Findings:
    """Kill one of two gateways at random points, again and again, and look at what is left when all is quiet."""
    assert run_pulse("migrate", env={"PULSE_DATABASE_URL": database_url}).returncode == 0
    draw = random.Random(seed)
    with (
        open_folder() as folder,
        fleet(database_url, redis_server.url, simulation, folder, [free_port(), free_port()]) as (running, key),
    ):
        async with Traffic(running.urls, key, seed) as traffic:
            for _ in range(kills):
                answered = traffic.answered

                async def more_is_answered(before: int = answered) -> bool:
                    return traffic.answered >= before + 20

                await until(more_is_answered, "clients are answered")
                await asyncio.sleep(draw.uniform(0, 0.3))  # the point at which it dies is the point of the test
                number = draw.randrange(len(running.urls))
                await asyncio.to_thread(running.kill, number)
                await asyncio.to_thread(running.restart, number)

        async def all_agrees() -> bool:
            environment = {"PULSE_DATABASE_URL": database_url, "PULSE_REDIS_URL": redis_server.url}
            settings = ["--config", str(folder / "pulse.toml")]
            verified = await asyncio.to_thread(run_pulse, "usage", "verify", *settings, env=environment)
            return verified.returncode == 0

        async def nothing_is_held() -> bool:
            return await held_in(redis_server) == 0

        await until(nothing_is_held, "leases expire and give back what the dead held", within_s=LEASE_S + 20)
        assert await asyncio.to_thread(running.stop) == [0, 0]
    found = await compare(database_url, simulation, f"kill-{seed}-")
    assert found.attempts > 20 * kills
    assert (found.missing, found.doubled, found.wrong) == ([], [], []), found
    # Between the note that a request leaves and its leaving lie some microseconds.
    assert len(found.unasked) <= 1, found.unasked
    return found
