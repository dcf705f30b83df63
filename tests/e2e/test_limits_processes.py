"""Five hundred requests at once from four processes, for a month's tokens with room for some of them: exactly those are let in."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import httpx
import msgspec
import pytest
from killing import held_in
from pressure import Callers, make_key, serving, until
from pulse_process import Simulation

from valkey_server import ValkeyProcess

REQUESTS = 500
ROOM = 37
# Nobody's answer ends before everybody has been let in or refused: what one did not use must not let in another.
BODY = {
    "model": "openai:gpt-5.2+chunks=2000,chunk-delay=0.5",
    "messages": [{"role": "user", "content": "hi"}],
    "max_completion_tokens": 1_000,
    "stream": True,
}


@pytest.fixture
def redis() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


async def test_a_quota_with_room_for_some_lets_in_exactly_those(
    database_url: str, redis: ValkeyProcess, simulation: Simulation
) -> None:
    key = await asyncio.to_thread(make_key, database_url, "--plan", "starter")
    one = await held_by_one(database_url, redis, simulation)
    config = f'[limits]\nrequests = "off"\ndeadline_ms = 2000\n[plans.starter]\ntokens = {one * ROOM + one // 2}\n'
    async with serving(database_url, [redis.url] * 4, simulation, config) as gateways:
        urls = [gateways[number % 4].url for number in range(REQUESTS)]
        random.Random(5).shuffle(urls)
        async with Callers(urls, key, BODY) as callers:
            told = await callers.ask()
            assert Counter(each.status for each in told) == {200: ROOM, 429: REQUESTS - ROOM}
            codes = {msgspec.json.decode(each.body)["error"]["code"] for each in told if each.status == 429}
            assert codes == {"insufficient_quota"}

        async def nothing_is_held() -> bool:
            return await held_in(redis) == 0

        await until(nothing_is_held, "clients have left, and nothing is held")


async def held_by_one(database_url: str, redis: ValkeyProcess, simulation: Simulation) -> int:
    """What such a request holds of the month's tokens, as Redis has it while one is under way."""
    key = await asyncio.to_thread(make_key, database_url, "--plan", "starter")
    config = '[limits]\nrequests = "off"\n[plans.starter]\ntokens = 1_000_000\n'
    async with (
        serving(database_url, [redis.url], simulation, config) as [gateway],
        httpx.AsyncClient(trust_env=False, timeout=30, headers={"authorization": f"Bearer {key}"}) as http,
        http.stream("POST", f"{gateway.url}/v1/chat/completions", json=BODY) as response,
    ):
        assert response.status_code == 200
        [counter] = [
            each for each in redis.command("KEYS", "*:usage:tokens:*") if redis.command("HGET", each, "held") != b"0"
        ]
        return int(redis.command("HGET", counter, "held"))
