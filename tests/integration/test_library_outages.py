"""A provider that is down: what it still hears from us, what callers hear, and how the traffic comes back.

The transport is scripted and the clock is the test's, so that minutes of outage pass in seconds.
"""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import AliasConfig, LimitsConfig, ProviderConfig, RetriesConfig
from pulse_gateway.errors import UpstreamRateLimited, UpstreamUnreachable
from pulse_gateway.testing import FakeClock
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

JSON: Headers = (("content-type", "application/json"),)
GOOD = msgspec.json.encode(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }
)
DOWN = b'{"error":{"message":"down","type":"server_error","code":null}}'


class Answer:
    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.headers, self._body = status, JSON, body

    def read_now(self) -> bytes | None:
        return None

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        yield self._body

    async def aclose(self) -> None: ...


class Providers:
    """`failing` says of each provider which part of its calls fail; `unreachable` has no connections at all."""

    def __init__(self) -> None:
        self.failing: dict[str, float] = {}
        self.unreachable: set[str] = set()
        self.heard: Counter[str] = Counter()
        self._draw = random.Random(3)

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Answer:
        provider = request.url.split("//")[1].split(".")[0]
        self.heard[provider] += 1
        if provider in self.unreachable:
            raise UpstreamUnreachable("no connection")
        if self._draw.random() < self.failing.get(provider, 0.0):
            return Answer(503, DOWN)
        return Answer(200, GOOD)

    async def aclose(self) -> None: ...


class JumpingClock(FakeClock):
    """Whoever sleeps moves it."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


class World:
    """`per_s` requests a second, one after the other, on a clock that moves by their distance."""

    def __init__(self, targets: list[str], *, strategy: str = "ordered", per_s: int = 200) -> None:
        self.clock, self.providers, self.per_s = JumpingClock(), Providers(), per_s
        names = sorted({target.split(":")[0] for target in targets})
        config = Config(
            providers={
                name: ProviderConfig(kind="openai", key="k", base_url=f"http://{name}.example") for name in names
            },
            models={"model": AliasConfig(targets=list(targets), strategy=strategy)},  # type: ignore[arg-type]
            retries=RetriesConfig(base_s=0.001, max_wait_s=0.002),
            limits=LimitsConfig(requests="off"),
        )
        self.gateway = Gateway(config, transport=self.providers, clock=self.clock, observers=())

    async def load(self, seconds: float) -> Counter[int]:
        """The statuses that callers got."""
        body = msgspec.json.encode({"model": "model", "messages": [{"role": "user", "content": "hi"}]})
        inbound = Inbound(dialect="openai.chat", body=body, principal=self.gateway.principal("u1"))
        statuses: Counter[int] = Counter()
        for _ in range(int(seconds * self.per_s)):
            reply = await self.gateway.handle(inbound)
            statuses[reply.status] += 1
            self.clock.advance(1 / self.per_s)
        return statuses


async def test_in_a_whole_outage_the_only_provider_is_asked_twice_a_second_at_most_and_traffic_is_back_in_fifteen() -> (
    None
):
    world = World(["a:m"])
    async with world.gateway:
        await world.load(5)
        world.providers.failing["a"] = 1.0
        world.providers.heard.clear()
        assert await world.load(4) == {503: 4 * world.per_s}
        assert world.providers.heard["a"] <= 1.1 * 4 * world.per_s + 4 + 10  # ten retries are there to begin with
        await world.load(4)  # by now half of what happened within ten seconds was bad
        world.providers.heard.clear()
        during = await world.load(60)
        assert set(during) == {503}
        assert world.providers.heard["a"] <= 2 * 60
        world.providers.failing.clear()
        await world.load(15)
        assert await world.load(5) == {200: 5 * world.per_s}


async def test_until_the_breaker_opens_retries_add_a_tenth_and_one_a_second() -> None:
    world = World(["a:m"], per_s=2)  # too few to open it at once: below twenty in ten seconds
    world.providers.failing["a"] = 1.0
    async with world.gateway:
        callers = sum((await world.load(9)).values())
    assert world.providers.heard["a"] <= 1.1 * callers + 9 + 10  # and ten to begin with


async def test_refused_connections_open_the_breaker_after_five() -> None:
    world = World(["a:m"], per_s=10)
    world.providers.unreachable.add("a")
    async with world.gateway:
        await world.load(4)
    assert world.providers.heard["a"] <= 5 + 4 + 1


async def test_while_a_provider_asks_to_be_left_alone_callers_hear_so_at_once_and_no_retry_is_spent() -> None:
    world = World(["a:m"], per_s=10)
    async with world.gateway:
        world.gateway._health.failed("a:m", UpstreamRateLimited("slow", retry_after_s=5.0))
        began = world.clock.monotonic()
        assert await world.load(1) == {429: 10}
        assert world.clock.monotonic() - began == pytest.approx(1.0)  # nobody has slept
        assert world.providers.heard["a"] == 0
        assert await world.load(5) == {429: 40, 200: 10}


@pytest.mark.parametrize("share", [1.0, 0.3])
async def test_one_of_three_that_fails_is_hardly_noticed(share: float) -> None:
    """Wholly down it is left alone; failing a third of the time it is below the breaker's bar, and others answer instead."""
    world = World(["a:m", "b:m", "c:m"], strategy="weighted", per_s=100)
    async with world.gateway:
        await world.load(5)
        world.providers.failing["b"] = share
        await world.load(5)
        world.providers.heard.clear()
        statuses = await world.load(60)
    assert statuses[200] / sum(statuses.values()) >= 0.999
    if share == 1.0:
        assert world.providers.heard["b"] / sum(world.providers.heard.values()) <= 0.01
