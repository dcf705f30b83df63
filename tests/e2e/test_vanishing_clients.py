"""Clients that leave in the middle of a stream: settled once, labelled by where the numbers come from, nothing left open."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from pulse_process import PAUSE_S, Pulse, Simulation

PATHS = {
    "openai": (
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "tell me a long story"}], "stream": True},
    ),
    "anthropic": (
        "/v1/messages",
        {"max_tokens": 4000, "messages": [{"role": "user", "content": "a story"}], "stream": True},
    ),
}
MODELS = ["openai:gpt-5.2", "anthropic:claude-opus-5", "google:gemini-3.8-flash"]
SLOW = "tokens=400,chunks=200,chunk-delay=0.02"


async def leave_after(pulse: Pulse, path: str, body: dict[str, Any], chunks: int, request_id: str) -> bytes:
    """Read `chunks` pieces of a stream, then close the connection under it; returns what was read."""
    seen = b""
    headers = {"authorization": f"Bearer {pulse.key}", "x-request-id": request_id}
    async with (
        httpx.AsyncClient(base_url=pulse.url, headers=headers, timeout=30, trust_env=False) as client,
        client.stream("POST", path, json=body) as response,
    ):
        count = 0
        async for piece in response.aiter_raw():
            seen += piece
            count += 1
            if count == chunks:
                break
    return seen


async def until_quiet(pulse: Pulse) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=pulse.url, trust_env=False) as client:
        while "pulse_open_permits 0.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(PAUSE_S)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dialect", list(PATHS))
@pytest.mark.parametrize("chunks", [1, 7])
async def test_a_client_that_leaves_is_noticed_at_once_and_pays_for_what_was_relayed(
    pulse: Pulse, simulation: Simulation, dialect: str, model: str, chunks: int
) -> None:
    path, fields = PATHS[dialect]
    request_id = f"gone-{dialect}-{model}-{chunks}"
    await leave_after(pulse, path, {"model": f"{model}+{SLOW}", **fields}, chunks, request_id)
    line = pulse.exchange(request_id, timeout_s=3.0)  # the whole stream would take four seconds
    assert (line["outcome"], line["usage_source"]) == ("client_gone", "estimated")
    assert (0 if chunks == 1 else 1) <= line["output_tokens"] < 200  # the first chunk may say no more than who speaks
    assert line["input_tokens"] > 0
    await until_quiet(pulse)
    (entry,) = [each for each in await pulse.entries() if each["request_id"] == request_id]
    assert (entry["outcome"], entry["source"], entry["tokens"]) == ("client_gone", "estimated", line["total_tokens"])
    (record,) = [each for each in simulation.stats()["requests"] if each["caller_request_id"] == request_id]
    assert record["outcome"] == "aborted"


async def test_anthropics_word_on_the_input_is_kept_when_the_output_is_estimated(
    pulse: Pulse, simulation: Simulation
) -> None:
    path, fields = PATHS["anthropic"]
    await leave_after(
        pulse, path, {"model": f"anthropic:claude-opus-5+{SLOW},input=1234", **fields}, 5, "gone-with-input"
    )
    line = pulse.exchange("gone-with-input")
    assert line["input_tokens"] == 1234


async def test_five_hundred_vanishing_clients_leave_nothing_open(pulse: Pulse) -> None:
    path, fields = PATHS["openai"]
    gate = asyncio.Semaphore(50)

    async def one(number: int) -> None:
        async with gate:
            body = {"model": f"{MODELS[number % 3]}+chunks=30,chunk-delay=0.001", **fields}
            await leave_after(pulse, path, body, number % 5 + 1, f"crowd-{number}")

    await asyncio.gather(*(one(number) for number in range(500)))
    for number in range(500):
        pulse.exchange(f"crowd-{number}")
    await until_quiet(pulse)
    entries = [each for each in await pulse.entries() if each["request_id"].startswith("crowd-")]
    assert len(entries) == len({each["request_id"] for each in entries}) == 500
    assert "a background task failed" not in pulse.process.output
    assert "a finalizer failed" not in pulse.process.output
    usage = httpx.get(
        f"{pulse.url}/v1/usage/me", headers={"authorization": f"Bearer {pulse.key}"}, trust_env=False
    ).json()
    assert usage["tokens"]["reserved"] == 0
