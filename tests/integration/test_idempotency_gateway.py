"""Requests with an idempotency key through a whole gateway, in one process, against the simulator: run once, answered to everybody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from pulse_gateway import ALLOWED, Config, Content, ExchangeRecord, Gateway, Inbound, Outcome, Verdict
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import LimitsConfig, ProviderConfig, RetriesConfig
from pulse_gateway.errors import InvalidRequest, StoreUnavailable
from pulse_gateway.idempotency.memory import MemoryAnswerStore
from pulse_gateway.idempotency.postgres import PostgresAnswerStore
from pulse_gateway.idempotency.store import Answer, AnswerStore, Place, Running
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.chat import ChatRequest

MODELS = {"openai.chat": "gpt-5.2", "anthropic.messages": "claude-opus-5", "gemini": "google:gemini-3.8-flash"}
DIALECTS = tuple(MODELS)
PACED = "chunks=20,chunk-delay=0.01"


def config(url: str, **more: Any) -> Config:
    providers = {
        "openai": ProviderConfig(key="x", base_url=f"{url}/v1"),
        "anthropic": ProviderConfig(key="x", base_url=url),
        "google": ProviderConfig(key="x", base_url=url),
    }
    return Config(providers=providers, retries=RetriesConfig(base_s=0.01, max_wait_s=0.02, attempts=1), **more)


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


@pytest.fixture(params=["memory", "postgres"])
def answers(request: pytest.FixtureRequest, pool: Any) -> AnswerStore:
    if request.param == "memory":
        return MemoryAnswerStore(SystemClock())
    return PostgresAnswerStore(pool, timeout_s=5.0)


@asynccontextmanager
async def opened(simulator: Simulator, kept: Kept, answers: AnswerStore, **more: Any) -> AsyncIterator[Gateway]:
    gateway = Gateway(
        config(simulator.url, **more),
        ledger=kept.ledger,
        limiter=kept.limiter,
        answers=answers,
        observers=[kept.records.append],
    )
    async with gateway:
        yield gateway


@pytest.fixture
async def gateway(simulator: Simulator, kept: Kept, answers: AnswerStore) -> AsyncIterator[Gateway]:
    async with opened(simulator, kept, answers) as running:
        yield running


def asked(
    gateway: Gateway,
    dialect: str,
    *,
    key: str | None = "key-1",
    fault: str = "",
    stream: bool = False,
    user: str = "alice",
    text: str = "قل مرحبا",
    **more: Any,
) -> Inbound:
    model = MODELS[dialect] + (f"+{fault}" if fault else "")
    if dialect == "gemini":
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        more |= {"model": model, "stream": stream}
    else:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
        if dialect == "anthropic.messages":
            body["max_tokens"] = 500
    return Inbound(
        dialect=dialect,
        body=msgspec.json.encode(body),
        principal=gateway.principal(user),
        idempotency_key=key,
        **more,
    )


async def read(reply: Reply) -> bytes:
    async with reply:
        return b"".join([item async for item in reply])


async def answer(gateway: Gateway, inbound: Inbound) -> tuple[int, dict[str, str], bytes]:
    reply = await gateway.handle(inbound)
    return reply.status, dict(reply.headers), await read(reply)


def calls(simulator: Simulator) -> int:
    return len(simulator.stats().requests)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


async def settled(gateway: Gateway) -> None:
    await until(lambda: not gateway.under_way)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_twenty_at_once_are_one_call_one_entry_and_twenty_equal_answers(
    gateway: Gateway, simulator: Simulator, kept: Kept, dialect: str, stream: bool
) -> None:
    found = await asyncio.gather(
        *(answer(gateway, asked(gateway, dialect, fault=PACED, stream=stream)) for _ in range(20))
    )
    await settled(gateway)
    assert calls(simulator) == 1
    assert len(kept.ledger.entries) == 1
    assert kept.limiter.outstanding == 0
    assert {status for status, _, _ in found} == {200}
    assert len({body for _, _, body in found}) == 1
    assert found[0][2]
    request_ids = [headers["x-request-id"] for _, headers, _ in found]
    assert len(set(request_ids)) == 20
    assert sorted((record.replayed, record.attempts) for record in kept.records) == [(False, 1), *[(True, 0)] * 19]
    assert len({record.model for record in kept.records}) == 1
    first = [headers for _, headers, _ in found if "idempotent-replayed" not in headers]
    assert [headers["x-request-id"] for headers in first] == [kept.ledger.entries[0].request_id]
    for _, headers, _ in found:
        if headers is not first[0]:
            assert headers["x-pulse-original-request-id"] == first[0]["x-request-id"]
            assert headers["idempotent-replayed"] == "true"
            assert headers["content-type"] == first[0]["content-type"]
            assert headers["x-pulse-model"] == first[0]["x-pulse-model"]
            assert "x-pulse-cost-usd" not in headers
            assert "x-pulse-attempts" not in headers


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_repeat_is_replayed_and_costs_nothing(
    simulator: Simulator, kept: Kept, answers: AnswerStore, dialect: str, stream: bool
) -> None:
    async with opened(simulator, kept, answers, limits=LimitsConfig(requests="1/60s")) as gateway:
        inbound = asked(gateway, dialect, stream=stream)
        first = await answer(gateway, inbound)
        await settled(gateway)
        again = [await answer(gateway, inbound) for _ in range(3)]
    for status, headers, body in again:
        assert (status, body) == (first[0], first[2])
        assert headers["idempotent-replayed"] == "true"
        assert headers["x-pulse-original-request-id"] == first[1]["x-request-id"]
        assert not [name for name in headers if "ratelimit" in name]
    assert calls(simulator) == len(kept.ledger.entries) == 1
    assert [record.outcome for record in kept.records] == ["completed"] * 4
    assert [record.attempts for record in kept.records] == [1, 0, 0, 0]
    assert [record.replayed for record in kept.records] == [False, True, True, True]
    assert {(record.model, record.stream) for record in kept.records} == {(MODELS[dialect], stream)}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_that_leaves_in_the_middle_can_have_the_whole_by_asking_again(
    gateway: Gateway, simulator: Simulator, kept: Kept, dialect: str
) -> None:
    inbound = asked(gateway, dialect, fault=PACED, stream=True)
    reply = await gateway.handle(inbound)
    async with reply:
        seen = await anext(aiter(reply))
        assert reply.abandon() is True
    assert reply.gone
    _, headers, whole = await answer(gateway, inbound)
    assert headers["idempotent-replayed"] == "true"
    assert whole.startswith(seen) and len(whole) > len(seen)
    await settled(gateway)
    _, _, replayed = await answer(gateway, inbound)
    _, _, anew = await answer(gateway, asked(gateway, dialect, fault=PACED, stream=True, key=None))
    assert replayed == whole
    assert len(anew) == len(whole)
    (entry, _) = kept.ledger.entries
    assert (entry.outcome, entry.source.value) == (Outcome.COMPLETED, "provider")
    assert calls(simulator) == 2


async def test_a_caller_that_is_cancelled_takes_nothing_with_it(
    gateway: Gateway, simulator: Simulator, kept: Kept
) -> None:
    inbound = asked(gateway, "openai.chat", fault="delay=0.2")
    caller = asyncio.create_task(answer(gateway, inbound))
    await until(lambda: calls(simulator) == 1)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    status, headers, _ = await answer(gateway, inbound)
    assert (status, headers["idempotent-replayed"]) == (200, "true")
    await settled(gateway)
    assert calls(simulator) == len(kept.ledger.entries) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_another_body_with_the_same_key_is_a_conflict(
    gateway: Gateway, simulator: Simulator, dialect: str
) -> None:
    running = asyncio.create_task(answer(gateway, asked(gateway, dialect, fault="delay=0.2")))
    await until(lambda: calls(simulator) == 1)
    for _ in ("while it runs", "and after"):
        status, headers, body = await answer(gateway, asked(gateway, dialect, text="another"))
        assert status == 409
        assert b"idempotency_conflict" in body.lower()
        assert headers["x-should-retry"] == "false"
        assert (await running)[0] == 200
    assert calls(simulator) == 1


async def test_the_address_is_part_of_the_request(gateway: Gateway) -> None:
    assert (await answer(gateway, asked(gateway, "gemini")))[0] == 200
    assert (await answer(gateway, asked(gateway, "gemini", stream=True)))[0] == 409
    chat = asked(gateway, "openai.chat", key="key-2")
    assert (await answer(gateway, chat))[0] == 200
    elsewhere = msgspec.structs.replace(chat, dialect="anthropic.messages")
    assert (await answer(gateway, elsewhere))[0] == 409


async def test_each_user_has_keys_of_its_own(gateway: Gateway, simulator: Simulator, kept: Kept) -> None:
    for user in ("alice", "bob"):
        _, headers, _ = await answer(gateway, asked(gateway, "openai.chat", user=user))
        assert "idempotent-replayed" not in headers
    assert calls(simulator) == 2
    assert {entry.user_id for entry in kept.ledger.entries} == {"alice", "bob"}


@pytest.mark.parametrize("fault", ["status=500", "status=429", "status=503", "cut=3", "drop=3"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_failures_are_not_kept(
    gateway: Gateway, simulator: Simulator, kept: Kept, fault: str, stream: bool
) -> None:
    inbound = asked(gateway, "openai.chat", fault=f"{fault},first=1", stream=stream)
    first = await answer(gateway, inbound)
    again = await answer(gateway, inbound)
    assert "idempotent-replayed" not in again[1]
    assert again[0] == 200
    assert first[2] != again[2]
    await settled(gateway)
    third = await answer(gateway, inbound)
    assert third[1]["idempotent-replayed"] == "true"
    assert third[2] == again[2]
    assert calls(simulator) == len(kept.ledger.entries) == 2


async def test_what_the_provider_finds_wrong_with_the_request_is_kept(
    gateway: Gateway, simulator: Simulator, kept: Kept
) -> None:
    inbound = asked(gateway, "openai.chat", fault="status=400")
    first = await answer(gateway, inbound)
    await settled(gateway)
    again = await answer(gateway, inbound)
    assert first[0] == again[0] == 400
    assert first[2] == again[2]
    assert again[1]["idempotent-replayed"] == "true"
    assert calls(simulator) == len(kept.ledger.entries) == 1


async def test_a_refusal_before_anything_was_run_is_not_kept(
    simulator: Simulator, kept: Kept, answers: AnswerStore
) -> None:
    async with opened(simulator, kept, answers, limits=LimitsConfig(requests="1/60s")) as gateway:
        assert (await answer(gateway, asked(gateway, "openai.chat", key=None)))[0] == 200
        status, headers, _ = await answer(gateway, asked(gateway, "openai.chat"))
        assert (status, "retry-after" in headers) == (429, True)
        await settled(gateway)
        gateway.reload(config(simulator.url))
        assert (await answer(gateway, asked(gateway, "openai.chat")))[0] == 200


async def test_whoever_waits_for_a_request_that_fails_hears_of_it_without_running_it_again(
    gateway: Gateway, simulator: Simulator, kept: Kept
) -> None:
    inbound = asked(gateway, "openai.chat", fault="status=503,delay=0.1")
    found = await asyncio.gather(*(answer(gateway, inbound) for _ in range(10)))
    assert {status for status, _, _ in found} == {503}
    assert all("retry-after" in headers for _, headers, _ in found)
    assert calls(simulator) == 1
    assert {record.error_code for record in kept.records} == {"upstream_overloaded"}


@pytest.mark.parametrize("key", ["", " ", "two words", "ü", "a" * 256, "line\nbreak", "\x7f"])
async def test_a_key_that_is_none_is_refused(gateway: Gateway, simulator: Simulator, kept: Kept, key: str) -> None:
    status, _, body = await answer(gateway, asked(gateway, "openai.chat", key=key))
    assert (status, msgspec.json.decode(body)["error"]["param"]) == (400, "idempotency-key")
    assert calls(simulator) == 0
    assert [record.error_code for record in kept.records] == ["invalid_request"]


@pytest.mark.parametrize("key", ["a", "~" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
async def test_any_visible_ascii_is_a_key(gateway: Gateway, key: str) -> None:
    assert (await answer(gateway, asked(gateway, "openai.chat", key=key)))[0] == 200


async def test_a_request_without_bytes_cannot_have_a_key(gateway: Gateway) -> None:
    request = ChatRequest(model="echo", messages=())
    with pytest.raises(InvalidRequest):
        await gateway.handle(Inbound(request=request, principal=gateway.principal("alice"), idempotency_key="key"))


async def test_who_is_not_known_has_no_keys(gateway: Gateway) -> None:
    inbound = msgspec.structs.replace(asked(gateway, "openai.chat"), principal=None, credential="unknown")
    assert (await answer(gateway, inbound))[0] == 401


async def test_a_prompt_that_a_hook_refuses_was_never_run_and_is_not_kept(
    simulator: Simulator, kept: Kept, answers: AnswerStore
) -> None:
    class Strict:
        name = "strict"
        allowed = False

        async def review(self, content: Content, /) -> Verdict:
            return ALLOWED if self.allowed else Verdict(allowed=False, category="any")

    hook = Strict()
    gateway = Gateway(
        config(simulator.url), ledger=kept.ledger, limiter=kept.limiter, answers=answers, moderators=[hook]
    )
    async with gateway:
        inbound = asked(gateway, "openai.chat")
        assert (await answer(gateway, inbound))[0] == 400
        hook.allowed = True
        status, headers, _ = await answer(gateway, inbound)
        assert (status, "idempotent-replayed" in headers) == (200, False)


class Away:
    """A store that does not answer."""

    lease_s = 60.0

    async def claim(self, place: Place, fingerprint: bytes, owner: str, /) -> Answer | Running | None:
        raise StoreUnavailable("away")

    async def runs(self, place: Place, owner: str, /) -> bool:
        raise StoreUnavailable("away")

    async def renew(self, place: Place, owner: str, /) -> bool:
        raise StoreUnavailable("away")

    async def keep(self, place: Place, owner: str, answer: Answer, /) -> bool:
        raise StoreUnavailable("away")

    async def release(self, place: Place, owner: str, /) -> None:
        raise StoreUnavailable("away")


async def test_without_the_store_nothing_is_run(simulator: Simulator, kept: Kept) -> None:
    async with opened(simulator, kept, Away()) as gateway:
        for _ in range(2):
            status, headers, body = await answer(gateway, asked(gateway, "openai.chat"))
            assert (status, "retry-after" in headers) == (503, True)
            assert b'"unavailable"' in body
        assert (await answer(gateway, asked(gateway, "openai.chat", key=None)))[0] == 200
    assert calls(simulator) == 1


async def test_closing_lets_what_runs_end_and_be_kept(simulator: Simulator, kept: Kept, answers: AnswerStore) -> None:
    gateway = Gateway(config(simulator.url), ledger=kept.ledger, limiter=kept.limiter, answers=answers)
    await gateway.open()
    inbound = asked(gateway, "openai.chat", fault=PACED, stream=True)
    reply = await gateway.handle(inbound)
    reply.abandon()
    assert gateway.under_way
    await gateway.aclose()
    assert not gateway.under_way
    (entry,) = kept.ledger.entries
    assert entry.outcome is Outcome.COMPLETED
    async with opened(simulator, kept, answers) as another:
        status, headers, _ = await answer(another, inbound)
        assert (status, headers["idempotent-replayed"]) == (200, "true")
    assert calls(simulator) == 1


async def test_what_does_not_end_in_time_is_told_to_everybody_settled_and_free(
    simulator: Simulator, kept: Kept, answers: AnswerStore
) -> None:
    gateway = Gateway(
        config(simulator.url),
        ledger=kept.ledger,
        limiter=kept.limiter,
        answers=answers,
        observers=[kept.records.append],
    )
    await gateway.open()
    inbound = asked(gateway, "openai.chat", fault="stall=4", stream=True)
    readers = [asyncio.create_task(answer(gateway, inbound)) for _ in range(3)]
    waiting = asyncio.create_task(answer(gateway, asked(gateway, "openai.chat", fault="delay=60", key="key-2")))
    await until(lambda: sum(record.chunks for record in simulator.stats().requests) >= 4 and calls(simulator) == 2)
    await gateway.aclose(drain_s=0)
    for _, _, body in await asyncio.gather(*readers):
        assert b'"unavailable"' in body.split(b"\n\n")[-2]
    assert (await waiting)[0] == 503
    assert kept.limiter.outstanding == 0
    assert [entry.outcome for entry in kept.ledger.entries] == [Outcome.CANCELLED] * 2
    assert len(kept.records) == 4
    async with opened(simulator, kept, answers) as another:
        _, headers, _ = await answer(
            another, asked(another, "openai.chat", fault="delay=60", key="key-2", timeout_s=0.01)
        )
        assert "idempotent-replayed" not in headers


async def test_a_joiners_own_time_limit_is_its_own(gateway: Gateway, simulator: Simulator, kept: Kept) -> None:
    inbound = asked(gateway, "openai.chat", fault="chunks=4,chunk-delay=0.1", stream=True)
    first = asyncio.create_task(answer(gateway, inbound))
    await until(lambda: sum(record.chunks for record in simulator.stats().requests) >= 1)
    _, _, hurried = await answer(gateway, msgspec.structs.replace(inbound, timeout_s=0.02))
    assert b"upstream_timeout" in hurried
    _, _, whole = await first
    assert whole.endswith(b"data: [DONE]\n\n")
    assert b"upstream_timeout" not in whole
    waited = asked(gateway, "openai.chat", fault="delay=0.3", key="key-2")
    second = asyncio.create_task(answer(gateway, waited))
    await until(lambda: calls(simulator) == 2)
    assert (await answer(gateway, msgspec.structs.replace(waited, timeout_s=0.01)))[0] == 504
    assert (await second)[0] == 200


async def test_a_time_limit_that_passes_frees_the_key(gateway: Gateway, simulator: Simulator) -> None:
    inbound = asked(gateway, "openai.chat", fault="delay=30,first=1", timeout_s=0.05)
    assert (await answer(gateway, inbound))[0] == 504
    again = msgspec.structs.replace(inbound, timeout_s=None)
    assert (await answer(gateway, again))[0] == 200


async def test_a_hook_that_blocks_an_answer_is_not_asked_to_pay_for_it_twice(
    simulator: Simulator, kept: Kept, answers: AnswerStore
) -> None:
    class NoAnswers:
        name = "no-answers"

        async def review(self, content: Content, /) -> Verdict:
            return Verdict(allowed=False, category="any") if content.stage == "answer" else ALLOWED

    gateway = Gateway(
        config(simulator.url), ledger=kept.ledger, limiter=kept.limiter, answers=answers, moderators=[NoAnswers()]
    )
    async with gateway:
        for stream in (False, True):
            inbound = asked(gateway, "openai.chat", stream=stream, key=f"key-{stream}")
            first = await answer(gateway, inbound)
            await settled(gateway)
            again = await answer(gateway, inbound)
            assert b"content_blocked" in again[2]
            assert (first[0], first[2]) == (again[0], again[2])
            assert again[1]["idempotent-replayed"] == "true"
    assert calls(simulator) == 2


async def test_an_answer_too_large_to_be_kept_is_given_once_and_never_run_again(
    gateway: Gateway, simulator: Simulator, kept: Kept
) -> None:
    inbound = asked(gateway, "openai.chat", fault="huge=17000000")
    status, _, body = await answer(gateway, inbound)
    assert (status, len(body) > 17_000_000) == (200, True)
    await settled(gateway)
    status, _, body = await answer(gateway, inbound)
    assert status == 409
    assert b"larger than 16 MiB" in body
    assert calls(simulator) == len(kept.ledger.entries) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_whoever_leaves_and_whenever_there_is_one_run_and_one_answer(
    gateway: Gateway, simulator: Simulator, kept: Kept, dialect: str
) -> None:
    inbound = asked(gateway, dialect, fault=PACED, stream=True)

    async def leaves_after(pieces: int) -> bytes:
        seen = b""
        async with await gateway.handle(inbound) as reply:
            async for piece in reply:
                seen += piece
                pieces -= 1
                if pieces <= 0:
                    reply.abandon()
                    return seen
        return seen

    async def is_cancelled_after(turns: int) -> None:
        task = asyncio.create_task(answer(gateway, inbound))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with asyncio.TaskGroup() as group:
        partial = [group.create_task(leaves_after(pieces)) for pieces in range(1, 15)]
        for turns in range(0, 60, 3):
            group.create_task(is_cancelled_after(turns))
    _, _, whole = await answer(gateway, inbound)
    await settled(gateway)
    assert all(whole.startswith(each.result()) for each in partial)
    assert calls(simulator) == len(kept.ledger.entries) == 1
    assert kept.ledger.entries[0].outcome is Outcome.COMPLETED
    await until(lambda: kept.limiter.outstanding == 0)
