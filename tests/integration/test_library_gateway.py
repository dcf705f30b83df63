"""The library without any server: the same limits, hooks, retries and ledger, against the simulator over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from pulse_gateway import (
    ALLOWED,
    Config,
    ConfigError,
    Content,
    ExchangeRecord,
    Gateway,
    Inbound,
    Outcome,
    PulseError,
    UsageSource,
    Verdict,
)
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import LimitsConfig, PlanConfig, ProviderConfig, RetriesConfig
from pulse_gateway.errors import (
    ContentBlocked,
    InvalidRequest,
    ModelNotFound,
    QuotaExceeded,
    RateLimited,
    StreamInterrupted,
    UnsupportedParameter,
    UpstreamOverloaded,
)
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.testing.simulator import Simulator

MODELS = ["openai:gpt-5.2", "anthropic:claude-opus-5", "google:gemini-3.8-flash"]
HELLO = [{"role": "user", "content": "قل مرحبا بالعربية"}]


def config(url: str, **more: object) -> Config:
    providers = {
        "openai": ProviderConfig(key="x", base_url=f"{url}/v1"),
        "anthropic": ProviderConfig(key="x", base_url=url),
        "google": ProviderConfig(key="x", base_url=url),
    }
    return Config(providers=providers, retries=RetriesConfig(base_s=0.01, max_wait_s=0.02), **more)  # type: ignore[arg-type]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


class Kept:
    """Everything that was observed and recorded."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.limiter = MemoryLimiter(SystemClock())
        self.records: list[ExchangeRecord] = []


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def gateway(simulator: Simulator, kept: Kept) -> AsyncIterator[Gateway]:
    made = Gateway(config(simulator.url), ledger=kept.ledger, limiter=kept.limiter, observers=[kept.records.append])
    async with made:
        yield made
    assert kept.limiter.outstanding == 0


@pytest.mark.parametrize("model", MODELS)
async def test_a_chat_has_its_text_usage_and_cost(gateway: Gateway, kept: Kept, model: str) -> None:
    reply = await gateway.chat(model=model, messages=HELLO, user="u1")
    assert "قل مرحبا" in reply.text
    assert reply.usage is not None and reply.usage.total > 0
    assert reply.cost is not None and reply.cost > 0
    (entry,) = kept.ledger.entries
    assert (entry.user_id, entry.outcome, entry.source) == ("u1", Outcome.COMPLETED, UsageSource.PROVIDER)
    assert (entry.tokens, entry.cost_nano_usd) == (reply.usage.total, reply.cost)


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_says_the_same_as_the_whole_answer(gateway: Gateway, kept: Kept, model: str) -> None:
    whole = await gateway.chat(model=model, messages=HELLO, user="u1")
    streamed = "".join([event.text async for event in gateway.stream(model=model, messages=HELLO, user="u1")])
    assert streamed == whole.text
    first, second = kept.ledger.entries
    assert first.usage == second.usage


async def test_tools_are_called(gateway: Gateway) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    for model in MODELS:
        reply = await gateway.chat(model=model, messages=HELLO, user="u1", tools=[tool])
        assert [call.name for call in reply.tool_calls] == ["weather"]


async def test_errors_are_raised_as_what_they_are(gateway: Gateway, kept: Kept) -> None:
    with pytest.raises(ModelNotFound):
        await gateway.chat(model="nonsense", messages=HELLO, user="u1")
    with pytest.raises(UnsupportedParameter) as caught:
        await gateway.chat(model=MODELS[1], messages=HELLO, user="u1", seed=7)
    assert caught.value.param == "seed"
    with pytest.raises(InvalidRequest):
        await gateway.chat(model=MODELS[0], messages=[], user="u1")
    with pytest.raises(UpstreamOverloaded):
        await gateway.chat(model=f"{MODELS[0]}+status=503", messages=HELLO, user="u1")
    assert {record.outcome for record in kept.records} == {"refused", "failed"}
    assert all(entry.tokens == 0 for entry in kept.ledger.entries)


async def test_a_stream_that_breaks_raises_in_the_middle(gateway: Gateway, kept: Kept) -> None:
    seen = []
    with pytest.raises(StreamInterrupted):
        async for event in gateway.stream(model=f"{MODELS[0]}+cut=6", messages=HELLO, user="u1"):
            seen.append(event)  # noqa: PERF401 -- the events before the error are what is looked at
    assert seen
    (entry,) = kept.ledger.entries
    assert (entry.outcome, entry.source) == (Outcome.INTERRUPTED, UsageSource.ESTIMATED)


async def test_breaking_off_settles_what_was_used(gateway: Gateway, kept: Kept) -> None:
    slow = f"{MODELS[1]}+tokens=300,chunks=100,chunk-delay=0.01"
    async with aclosing(gateway.stream(model=slow, messages=HELLO, user="u1")) as events:
        async for event in events:
            if event.text:
                break
    (entry,) = kept.ledger.entries
    assert (entry.outcome, entry.source) == (Outcome.CANCELLED, UsageSource.ESTIMATED)
    assert 0 < entry.tokens < 300
    assert kept.limiter.outstanding == 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_cancelled_task_settles_too(gateway: Gateway, simulator: Simulator, kept: Kept, stream: bool) -> None:
    stalled = f"{MODELS[0]}+stall=4" if stream else f"{MODELS[0]}+delay=30"

    async def ask() -> None:
        if stream:
            async for _ in gateway.stream(model=stalled, messages=HELLO, user="u1"):
                pass
        else:
            await gateway.chat(model=stalled, messages=HELLO, user="u1")

    task = asyncio.create_task(ask())
    while not any(record.chunks or not stream for record in simulator.stats().requests):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        while kept.limiter.outstanding or not kept.records:
            await asyncio.sleep(0)
    (entry,) = kept.ledger.entries
    assert entry.outcome is Outcome.CANCELLED
    assert kept.records[0].outcome == "cancelled"


async def test_limits_and_quotas_hold_in_memory(simulator: Simulator) -> None:
    settings = config(simulator.url, limits=LimitsConfig(requests="3/60s"), plans={"tiny": PlanConfig(tokens=5_000)})
    async with Gateway(settings) as gateway:
        with pytest.raises(QuotaExceeded):
            await gateway.chat(model=MODELS[0], messages=HELLO, user="u2", plan="tiny", max_completion_tokens=6_000)
        for _ in range(3):
            await gateway.chat(model=MODELS[0], messages=HELLO, user="u1")
        with pytest.raises(RateLimited) as caught:
            await gateway.chat(model=MODELS[0], messages=HELLO, user="u1")
        assert caught.value.retry_after_s is not None and 0 < caught.value.retry_after_s <= 60
        await gateway.chat(model=MODELS[0], messages=HELLO, user="another")


class NoMarhaba:
    name = "no-marhaba"

    async def review(self, content: Content, /) -> Verdict:
        wanted = content.stage == "answer" and "مرحبا" in content.text
        return Verdict(allowed=False, category="greeting") if wanted else ALLOWED


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_hooks_review_answers(simulator: Simulator, stream: bool) -> None:
    async with Gateway(config(simulator.url), moderators=[NoMarhaba()]) as gateway:
        with pytest.raises(ContentBlocked):
            if stream:
                async for event in gateway.stream(model=MODELS[2], messages=HELLO, user="u1"):
                    assert "مرحبا" not in event.text
            else:
                await gateway.chat(model=MODELS[2], messages=HELLO, user="u1")


async def test_a_reload_is_whole_or_not_at_all(simulator: Simulator) -> None:
    async with Gateway(config(simulator.url)) as gateway:
        with pytest.raises(ConfigError, match="nowhere"):
            gateway.reload(config(simulator.url, default_model="nowhere:gpt"))
        await gateway.chat(model=MODELS[0], messages=HELLO, user="u1")
        gateway.reload(config(simulator.url, default_model="openai:gpt-5.2"))
        assert (await gateway.chat(model="whatever-it-is", messages=HELLO, user="u1")).text


async def test_a_reload_changes_limits_of_the_running_gateway(simulator: Simulator) -> None:
    async with Gateway(config(simulator.url)) as gateway:
        await gateway.chat(model=MODELS[0], messages=HELLO, user="u1")
        gateway.reload(config(simulator.url, limits=LimitsConfig(requests="1/60s")))
        with pytest.raises(RateLimited):
            await gateway.chat(model=MODELS[0], messages=HELLO, user="u1")


async def test_a_defect_in_a_part_is_an_internal_error_without_its_cause(simulator: Simulator) -> None:
    class Broken(MemoryLedger):
        def check(self) -> None:
            raise ZeroDivisionError("secret detail")

    async with Gateway(config(simulator.url), ledger=Broken()) as gateway:
        with pytest.raises(PulseError) as caught:
            await gateway.chat(model=MODELS[0], messages=HELLO, user="u1")
        assert (caught.value.status, caught.value.code) == (500, "internal_error")
        assert "secret" not in str(caught.value)
        body = b'{"model":"gpt-5.2","messages":[{"role":"user","content":"hi"}]}'
        reply = await gateway.handle(Inbound(dialect="openai.chat", body=body, principal=gateway.principal("u1")))
        assert reply.status == 500
        assert b"secret" not in reply.body


async def test_an_observer_that_fails_does_not_keep_the_exchange_from_settling(
    simulator: Simulator, kept: Kept
) -> None:
    def broken(record: ExchangeRecord) -> None:
        raise RuntimeError("observer")

    async with Gateway(config(simulator.url), limiter=kept.limiter, observers=[broken]) as gateway:
        reply = await gateway.chat(model=MODELS[0], messages=HELLO, user="u1")
    assert reply.text
    assert kept.limiter.outstanding == 0


async def test_a_gateway_that_is_not_open_says_so() -> None:
    with pytest.raises(RuntimeError, match="not open"):
        await Gateway().chat(model="echo", messages=HELLO, user="u1")


async def test_unknown_plans_are_named() -> None:
    async with Gateway() as gateway:
        with pytest.raises(ConfigError, match="starter"):
            await gateway.chat(model="echo", messages=HELLO, user="u1", plan="platinum")


async def test_a_gateway_can_be_closed_under_load_and_settles_everything(simulator: Simulator, kept: Kept) -> None:
    gateway = Gateway(config(simulator.url), ledger=kept.ledger, limiter=kept.limiter)
    await gateway.open()
    asked = [asyncio.create_task(gateway.chat(model=model, messages=HELLO, user="u1")) for model in MODELS * 10]
    await asyncio.gather(*asked)
    await gateway.aclose()
    assert kept.limiter.outstanding == 0
    assert len(kept.ledger.entries) == 30
