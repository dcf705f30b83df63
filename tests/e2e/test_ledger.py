"""The ledger against the vendor's own count: every request once, every token the vendor reported."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pulse_process import API_KEY, Pulse, Simulation, open_folder

MODELS = ("openai:gpt-5.2", "anthropic:claude-opus-5", "google:gemini-3.8-flash", "vllm:gpt-5.2")
FAULTS = (
    "", "", "", "cached=5,reasoning=7", "one-byte", "split", "no-usage", "no-done", "status=500,first=1", "status=429,retry-after-ms=1,first=1",
    "status=400", "status=401", "status=503", "cut=4", "reset=4", "malformed=4", "error=4", "html,status=502", "empty", "chunk-delay=0.01",
)  # fmt: skip
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:{method}",
}
REQUESTS = 200
INEXACT = (
    "no-usage",
    "cut",
    "reset",
    "malformed",
    "error",
    "no-done",
    "empty",
)  # faults that take the vendor's usage away


@pytest.fixture
def draining(simulation: Simulation) -> Iterator[Pulse]:
    """A Pulse that reads abandoned streams to their usage frame."""
    rows = [f'[providers.{name}]\nabandoned = "drain"\n' for name in ("openai", "anthropic", "google")]
    vllm = f'[providers.vllm]\nabandoned = "drain"\nbase_url = "{simulation.url}/v1"\n'
    retries = "[retries]\nattempts = 3\nbase_s = 0.01\nmax_wait_s = 0.05\n"
    environment = {**simulation.provider_environment(), "PULSE_DEV_API_KEY": API_KEY, "PULSE_RATE_LIMIT": "off"}
    with open_folder() as folder:
        (folder / "pulse.toml").write_text("".join(rows) + vllm + retries)
        with Pulse.dev(folder / "data", environment) as running:
            yield running


def body(dialect: str, model: str, number: int, *, stream: bool) -> dict[str, Any]:
    text = f"request {number}: قل لي شيئا عن البحر"
    if dialect == "gemini":
        return {"contents": [{"parts": [{"text": text}]}]}
    fields: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
    return {**fields, "max_tokens": 300} if dialect == "anthropic" else fields


async def ask(client: httpx.AsyncClient, number: int, draw: random.Random) -> None:
    dialect, stream = draw.choice(list(PATHS)), draw.random() < 0.6
    leaves_after = draw.randrange(1, 6) if stream and draw.random() < 0.3 else None
    # Who leaves does so in the middle: nothing is wrong with such a stream, and it takes longer than two hundred clients in one process
    # may be behind with their reading, which is seconds where other tests run beside this one.
    fault = draw.choice(FAULTS) if leaves_after is None else "chunks=40,chunk-delay=0.2"
    model = draw.choice(MODELS) + (f"+{fault}" if fault else "")
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    path = PATHS[dialect].format(model=model, method=method)
    headers = {"x-request-id": f"request-{number}"}
    request = client.build_request("POST", path, json=body(dialect, model, number, stream=stream), headers=headers)
    response = await client.send(request, stream=True)
    try:
        seen = 0
        async for _ in response.aiter_raw():
            seen += 1
            if seen == leaves_after:
                break  # the client vanishes: its connection is closed below
    finally:
        await response.aclose()


async def settled(pulse: Pulse, simulation: Simulation) -> None:
    """Returns once nothing is under way any more, on either side."""
    async with asyncio.timeout(60):
        while True:  # asks both sides over the network each time, so it does not spin
            busy = sum(counts["open"] for counts in simulation.stats()["providers"].values())
            metrics = httpx.get(f"{pulse.url}/metrics", trust_env=False).text
            waiting = [
                line
                for line in metrics.splitlines()
                if line.startswith(("pulse_open_permits ", "pulse_ledger_backlog "))
            ]
            if not busy and all(float(line.split()[1]) == 0 for line in waiting):
                return
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", [1])
async def test_the_ledger_equals_the_vendors_count(draining: Pulse, simulation: Simulation, seed: int) -> None:
    simulation.reset()
    draw = random.Random(seed)
    limits = httpx.Limits(max_connections=REQUESTS)
    headers = {"authorization": f"Bearer {draining.key}"}
    async with httpx.AsyncClient(
        base_url=draining.url, headers=headers, timeout=60, trust_env=False, limits=limits
    ) as client:
        await asyncio.gather(*(ask(client, number, draw) for number in range(REQUESTS)))
    await settled(draining, simulation)

    served: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in simulation.stats()["requests"]:
        served[record["caller_request_id"]].append(record)
    kept: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in await draining.entries():
        kept[entry["request_id"]].append(entry)

    assert set(kept) == set(served)
    sources = set()
    exact = 0
    for request_id, records in served.items():
        entries = sorted(kept[request_id], key=lambda entry: entry["attempt"])
        assert len(entries) == len(records), (request_id, entries, records)
        assert [entry["attempt"] for entry in entries] == list(range(1, len(entries) + 1))
        for entry, record in zip(entries, records, strict=True):
            sources.add(entry["source"])
            if entry["source"] in {"provider", "drained"}:
                assert entry["tokens"] == sum(record["billed"].values()), (request_id, entry, record)
                exact += 1
            elif entry["source"] == "estimated":
                assert any(word in record["model"] for word in INEXACT), (
                    entry,
                    record,
                )
                assert entry["tokens"] > 0
            else:
                assert entry["tokens"] == 0
                assert record["outcome"] == "refused", (entry, record)
    assert exact > REQUESTS // 4
    assert sources >= {"provider", "estimated", "none", "drained"}

    counters = (
        await asyncio.to_thread(httpx.get, f"{draining.url}/v1/usage/me", headers=headers, trust_env=False)
    ).json()
    assert counters["tokens"]["used"] == sum(entry["tokens"] for entries in kept.values() for entry in entries)
    assert counters["tokens"]["reserved"] == 0
