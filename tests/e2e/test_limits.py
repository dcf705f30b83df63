"""Limits and quotas as a client sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from pulse_process import API_KEY, Pulse, Simulation, open_folder


@pytest.fixture
def limited(simulation: Simulation) -> Iterator[Pulse]:
    """60 requests a minute, and a plan of 150,000 tokens a month."""
    environment = {**simulation.provider_environment(), "PULSE_DEV_API_KEY": API_KEY, "PULSE_DEV_PLAN": "starter"}
    with open_folder() as folder, Pulse.dev(folder / "data", environment) as running:
        yield running


@pytest.fixture
async def client(limited: Pulse) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {limited.key}"}
    async with httpx.AsyncClient(base_url=limited.url, headers=headers, timeout=30, trust_env=False) as made:
        yield made


async def ask(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    body = {"model": "gpt-5.2", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 50, **fields}
    return await client.post("/v1/chat/completions", json=body)


async def test_sixty_requests_a_minute_and_not_one_more(limited: Pulse, client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(ask(client) for _ in range(80)))
    granted = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(granted), len(refused)) == (60, 20)

    answer = refused[0]
    error = answer.json()["error"]
    assert error["code"] == "rate_limit_exceeded"
    assert error["type"] == "rate_limit_error"
    assert "60" in error["message"]
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-policy"] == '"requests";q=60;w=60'
    assert answer.headers["ratelimit"].startswith('"requests";r=0;t=')
    assert answer.headers["x-ratelimit-limit-requests"] == "60"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"

    usage = (await client.get("/v1/usage/me")).json()
    assert usage["plan"] == "starter"
    assert usage["requests"] == {"limit": 60, "window_s": 60.0, "used": 60, "remaining": 0}
    assert usage["tokens"]["reserved"] == 0
    assert usage["tokens"]["limit"] == 150_000
    assert usage["tokens"]["used"] == sum(answer.json()["usage"]["total_tokens"] for answer in granted)
    assert usage["tokens"]["remaining"] == 150_000 - usage["tokens"]["used"]
    assert usage["images"] == {"limit": 10, "used": 0, "reserved": 0, "remaining": 10}

    sdk = openai.AsyncOpenAI(base_url=f"{limited.url}/v1", api_key=limited.key, max_retries=0)
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.chat.completions.create(model="gpt-5.2", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "rate_limit_exceeded"
    await sdk.close()

    other = anthropic.AsyncAnthropic(base_url=limited.url, api_key=limited.key, max_retries=0)
    with pytest.raises(anthropic.RateLimitError):
        await other.messages.create(model="claude-opus-5", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    await other.close()


async def test_refusals_take_no_place_in_the_window(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        assert (await ask(client, model="no-such-model")).status_code == 404
        assert (await ask(client, messages=[])).status_code == 400
        assert (await ask(client, model="claude-opus-5", seed=1)).status_code == 400
        assert (
            await client.post("/v1/chat/completions", json={}, headers={"authorization": "Bearer wrong"})
        ).status_code == 401
    answer = await ask(client)
    assert answer.headers["x-ratelimit-remaining-requests"] == "59"


async def test_a_request_beyond_the_months_quota_is_refused_before_anything_is_sent(
    client: httpx.AsyncClient, simulation: Simulation
) -> None:
    simulation.reset()
    answer = await ask(client, max_completion_tokens=128_000, n=2)
    assert answer.status_code == 429
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert "150,000" in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert simulation.stats()["requests"] == []
    usage = (await client.get("/v1/usage/me")).json()
    assert (usage["tokens"]["used"], usage["tokens"]["reserved"]) == (0, 0)
    assert usage["requests"]["used"] == 0


async def test_holds_of_running_requests_count_against_the_quota(client: httpx.AsyncClient) -> None:
    """Two requests of 100,000 do not fit into 150,000 at once, though each really uses little."""

    async def large() -> int:
        return (await ask(client, model="gpt-5.2+delay=0.5", max_completion_tokens=100_000)).status_code

    assert sorted(await asyncio.gather(large(), large())) == [200, 429]
    assert await large() == 200  # the first one has been settled to what it used


async def test_a_failed_call_gives_its_hold_back(client: httpx.AsyncClient) -> None:
    assert (await ask(client, model="gpt-5.2+status=400")).status_code == 400
    usage = (await client.get("/v1/usage/me")).json()
    assert (usage["tokens"]["used"], usage["tokens"]["reserved"]) == (0, 0)
