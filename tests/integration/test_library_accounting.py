"""What a call is charged, to whom, and that it is charged once however it ends: the library with its limits in memory."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Literal

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound, Outcome, UsageSource
from pulse_gateway.catalog.cost import cost
from pulse_gateway.config import (
    AliasConfig,
    AllowanceConfig,
    LimitsConfig,
    ModelLimitsConfig,
    PlanConfig,
    ProviderConfig,
    RetriesConfig,
)
from pulse_gateway.errors import (
    ConcurrencyLimited,
    PermissionDenied,
    PulseError,
    QuotaExceeded,
    RateLimited,
    StoreUnavailable,
)
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.telemetry.alert import BudgetAlert
from pulse_gateway.testing import FakeClock
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.identity import Allowance, Plan, Principal

MODEL = "openai:gpt-5.2"
HELLO = [{"role": "user", "content": "قل مرحبا بالعربية"}]
UNLIMITED = Plan(name="unlimited")


class WatchedLedger(MemoryLedger):
    """Remembers every attempt that was announced, marked and recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[UsageEntry] = []
        self.marked: list[UsageEntry] = []
        self.recorded: Counter[str] = Counter()

    def open(self, entry: UsageEntry, /) -> None:
        self.opened.append(entry)

    def mark(self, entry: UsageEntry, /) -> None:
        self.marked.append(entry)

    def record(self, entry: UsageEntry, /) -> None:
        self.recorded[entry.entry_id] += 1
        super().record(entry)


class Kept:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger = WatchedLedger()
        self.limiter = MemoryLimiter(self.clock)
        self.alerts: list[BudgetAlert] = []


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


@pytest.fixture
def kept() -> Kept:
    return Kept()


def gateway(
    url: str,
    kept: Kept,
    *,
    limits: LimitsConfig | None = None,
    abandoned: Literal["abort", "drain"] = "abort",
    **plans: PlanConfig,
) -> Gateway:
    config = Config(
        providers={"openai": ProviderConfig(key="x", base_url=f"{url}/v1", abandoned=abandoned)},
        retries=RetriesConfig(base_s=0.01, max_wait_s=0.02),
        limits=limits or LimitsConfig(),
        plans=plans,
    )
    return Gateway(
        config, ledger=kept.ledger, limiter=kept.limiter, clock=kept.clock, observers=[], on_alert=kept.alerts.append
    )


def inbound(
    principal: Principal, *, model: str = MODEL, stream: bool = False, max_tokens: int = 64, text: str = "مرحبا"
) -> Inbound:
    body = {
        "model": model,
        "stream": stream,
        "max_completion_tokens": max_tokens,
        "messages": [{"role": "user", "content": text}],
    }
    return Inbound(dialect="openai.chat", body=msgspec.json.encode(body), principal=principal)


async def status_of(gateway: Gateway, asked: Inbound) -> int:
    reply = await gateway.handle(asked)
    async with reply:
        async for _ in reply:
            pass
    return reply.status


def error_code(body: bytes) -> str:
    return str(msgspec.json.decode(body)["error"]["code"])


async def standings(kept: Kept, principal: Principal, *charges: Charge) -> list[tuple[int, int]]:
    return [(each.used, each.reserved) for each in await kept.limiter.standings(charges, tenant=principal.tenant_id)]


# ── whose limit it is ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_keys_own_limit_holds_for_the_key_and_not_for_its_users_other_keys(
    simulator: Simulator, kept: Kept
) -> None:
    one = Principal(user_id="u", plan=UNLIMITED, key_id="k1", key=Allowance(requests=(2, 60.0)))
    other = Principal(user_id="u", plan=UNLIMITED, key_id="k2")
    async with gateway(simulator.url, kept) as made:
        assert [await status_of(made, inbound(one)) for _ in range(3)] == [200, 200, 429]
        assert await status_of(made, inbound(other)) == 200


async def test_a_tenants_limit_holds_for_all_its_users_together(simulator: Simulator, kept: Kept) -> None:
    limits = LimitsConfig(tenant=AllowanceConfig(requests="3/60s"))
    async with gateway(simulator.url, kept, limits=limits) as made:
        of_acme = [Principal(user_id=f"u{number}", plan=UNLIMITED, tenant_id="acme") for number in range(4)]
        assert [await status_of(made, inbound(user)) for user in of_acme] == [200, 200, 200, 429]
        assert await status_of(made, inbound(Principal(user_id="u0", plan=UNLIMITED, tenant_id="other"))) == 200


async def test_a_models_limit_counts_each_user_or_the_tenant_as_it_is_configured(
    simulator: Simulator, kept: Kept
) -> None:
    limits = LimitsConfig(
        models={
            "gpt-5.2": ModelLimitsConfig(requests="1/60s"),
            "gpt-5-mini": ModelLimitsConfig(requests="1/60s", per="tenant"),
        }
    )
    ada, bob = (Principal(user_id=name, plan=UNLIMITED) for name in ("ada", "bob"))
    async with gateway(simulator.url, kept, limits=limits) as made:
        assert [await status_of(made, inbound(each)) for each in (ada, bob, ada)] == [200, 200, 429]
        small = "openai:gpt-5-mini"
        assert [await status_of(made, inbound(each, model=small)) for each in (ada, bob)] == [200, 429]


async def test_a_plan_may_lift_the_rate_limit_that_everybody_else_has(simulator: Simulator, kept: Kept) -> None:
    plans = {"free": PlanConfig(), "fast": PlanConfig(requests="off")}
    limits = LimitsConfig(requests="2/60s")
    async with gateway(simulator.url, kept, limits=limits, **plans) as made:
        for user, plan, expected in (("a", "free", [200, 200, 429]), ("b", "fast", [200, 200, 200])):
            principal = Principal(user_id=user, plan=made.plans[plan])
            assert [await status_of(made, inbound(principal)) for _ in range(3)] == expected


async def test_tokens_per_minute_count_what_was_used_not_what_was_held(simulator: Simulator, kept: Kept) -> None:
    limits = LimitsConfig(tokens="1000/60s")
    principal = Principal(user_id="u", plan=UNLIMITED)
    async with gateway(simulator.url, kept, limits=limits) as made:
        statuses = [await status_of(made, inbound(principal, max_tokens=900)) for _ in range(3)]
        (window,) = await kept.limiter.standings(
            [Charge(account="u", kind="tokens", amount=0, cap=1000, window_s=60.0)]
        )
    assert statuses[0] == 200
    used = sum(entry.tokens for entry in kept.ledger.entries)
    assert window.used == used < 900


async def test_calls_at_once_are_limited_and_the_place_comes_back(simulator: Simulator, kept: Kept) -> None:
    limits = LimitsConfig(concurrency=1)
    principal = Principal(user_id="u", plan=UNLIMITED)
    async with gateway(simulator.url, kept, limits=limits) as made:
        async with await made.handle(inbound(principal, stream=True)) as streaming:
            await anext(aiter(streaming))
            refused = await made.handle(inbound(principal))
            assert (refused.status, error_code(refused.body)) == (429, "concurrency_limit_exceeded")
            assert dict(refused.headers)["retry-after"] == "1"
        assert await status_of(made, inbound(principal)) == 200


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_budget_is_held_at_the_dearest_price_and_settled_at_the_cost(simulator: Simulator, kept: Kept) -> None:
    budget = Charge(account="key/k", kind="cost_nano_usd", amount=0, cap=None)
    principal = Principal(user_id="u", plan=UNLIMITED, key_id="k", key=Allowance(budget_nano_usd=10**9))
    async with gateway(simulator.url, kept) as made:
        async with await made.handle(inbound(principal, stream=True)) as streaming:
            await anext(aiter(streaming))
            ((used, held),) = await standings(kept, principal, budget)
            assert used == 0 < held
            async for _ in streaming:
                pass
        ((used, held),) = await standings(kept, principal, budget)
    (entry,) = kept.ledger.entries
    assert (used, held) == (entry.cost_nano_usd, 0)
    assert set(entry.accounts) == {"u", "key/k", "tenant/default"}
    assert entry.price_version is not None


async def test_a_budget_that_does_not_cover_the_call_refuses_it_and_says_how_much(
    simulator: Simulator, kept: Kept
) -> None:
    principal = Principal(user_id="u", plan=UNLIMITED, tenant_id="acme", tenant=Allowance(budget_nano_usd=1_000))
    async with gateway(simulator.url, kept) as made:
        reply = await made.handle(inbound(principal))
    assert (reply.status, error_code(reply.body)) == (429, "insufficient_quota")
    assert b"monthly budget of $0.000001 for this tenant" in reply.body
    assert kept.ledger.opened == []


async def test_without_a_price_nothing_is_charged_to_a_budget_unseen(simulator: Simulator, kept: Kept) -> None:
    principal = Principal(user_id="u", plan=UNLIMITED, key_id="k", key=Allowance(budget_nano_usd=10**9))
    async with gateway(simulator.url, kept) as made:
        reply = await made.handle(inbound(principal, model="openai:nobody-knows-its-price"))
        assert (reply.status, error_code(reply.body)) == (403, "permission_denied")
        assert await status_of(made, inbound(principal, model="echo")) == 200  # which is known to cost nothing
    assert [entry.cost_nano_usd for entry in kept.ledger.entries] == [0]


async def test_limits_on_models_are_those_of_the_model_that_has_a_price(simulator: Simulator, kept: Kept) -> None:
    principal = Principal(user_id="u", plan=UNLIMITED, key_id="k", key=Allowance(budget_nano_usd=10**9))
    config = Config(
        providers={"openai": ProviderConfig(key="x", base_url=f"{simulator.url}/v1")},
        models={"mine": AliasConfig(targets=["openai:nobody-knows-its-price", MODEL])},
        limits=LimitsConfig(models={"gpt-5.2": ModelLimitsConfig(requests="1/60s")}),
    )
    async with Gateway(config, ledger=kept.ledger, limiter=kept.limiter, clock=kept.clock, observers=[]) as made:
        assert [await status_of(made, inbound(principal, model="mine")) for _ in range(2)] == [200, 429]


async def test_searches_that_a_vendor_makes_are_held_and_charged(simulator: Simulator, kept: Kept) -> None:
    config = Config(providers={"anthropic": ProviderConfig(key="x", base_url=simulator.url)})
    tools = [{"type": "web_search_20260318", "name": "web_search", "max_uses": 3}]
    body = {"model": "claude-opus-5", "max_tokens": 64, "messages": [{"role": "user", "content": "a"}], "tools": tools}
    async with Gateway(config, ledger=kept.ledger, limiter=kept.limiter, clock=kept.clock, observers=[]) as made:
        for stream in (False, True):
            asked = Inbound(dialect="anthropic.messages", body=msgspec.json.encode({**body, "stream": stream}))
            asked = msgspec.structs.replace(asked, principal=Principal(user_id="u", plan=UNLIMITED))
            assert await status_of(made, asked) == 200
            entry = kept.ledger.entries[-1]
            assert entry.usage.searches and entry.cost_nano_usd
            without = msgspec.structs.replace(entry.usage, searches=None)
            price = made.router.deployment("anthropic", "claude-opus-5").model.price
            assert price is not None and entry.cost_nano_usd == cost(without, price) + entry.usage.searches * 10_000_000
        budget = Allowance(budget_nano_usd=25_000_000)  # enough for the words, and for two of three searches
        poor = Principal(user_id="v", plan=UNLIMITED, key_id="k", key=budget)
        assert await status_of(made, msgspec.structs.replace(asked, principal=poor)) == 429


async def test_an_operator_may_let_what_has_no_price_through_a_budget(simulator: Simulator, kept: Kept) -> None:
    principal = Principal(user_id="u", plan=UNLIMITED, key_id="k", key=Allowance(budget_nano_usd=10**9))
    async with gateway(simulator.url, kept, limits=LimitsConfig(unpriced="allow")) as made:
        assert await status_of(made, inbound(principal, model="openai:gpt-4.1-of-tomorrow")) == 200
    assert [entry.cost_nano_usd for entry in kept.ledger.entries] == [None]


async def test_eighty_percent_of_a_budget_and_its_end_are_told_once_each(simulator: Simulator, kept: Kept) -> None:
    unlimited = Principal(user_id="measure", plan=UNLIMITED)
    async with gateway(simulator.url, kept) as made:
        await status_of(made, inbound(unlimited))
        one_call = kept.ledger.entries[0].cost_nano_usd or 0
        cap = one_call * 5
        principal = Principal(user_id="u", plan=UNLIMITED, key_id="k", key=Allowance(budget_nano_usd=cap))
        statuses = [await status_of(made, inbound(principal)) for _ in range(6)]
        again = [await status_of(made, inbound(principal)) for _ in range(3)]
    assert statuses[:4] == [200] * 4 and 429 in statuses and again == [429] * 3
    first, last = kept.alerts
    assert (first.percent, last.percent) == (80, 100)  # the last call that fits leaves less than another would hold
    assert last.account == "key/k" and last.used <= cap
    assert (first.account, first.kind, first.limit) == ("key/k", "cost_nano_usd", cap)
    assert first.used * 100 >= 80 * cap
    assert first.period == kept.ledger.entries[-1].period


async def test_plan_and_budget_are_refused_before_anything_is_sent(simulator: Simulator, kept: Kept) -> None:
    tiny = Principal(user_id="u", plan=Plan(name="tiny", tokens=10))
    async with gateway(simulator.url, kept) as made:
        assert await status_of(made, inbound(tiny)) == 429
    assert kept.ledger.opened == []


# ── once, however it ends ─────────────────────────────────────────────────────────────────────────────────────────────


def each_attempt_is_recorded_once(kept: Kept) -> None:
    opened = [entry.entry_id for entry in kept.ledger.opened]
    assert len(opened) == len(set(opened))
    assert kept.ledger.recorded == Counter(opened)


async def nothing_is_held(kept: Kept, principal: Principal) -> None:
    assert kept.limiter.outstanding == 0
    for standing in await kept.limiter.standings(
        [
            Charge(account=principal.user_id, kind="tokens", amount=0, cap=None),
            Charge(account="key/k", kind="cost_nano_usd", amount=0, cap=None),
            Charge(account=principal.user_id, kind="concurrency", amount=0, cap=None),
        ]
    ):
        assert standing.reserved == 0
        assert standing.kind != "concurrency" or standing.used == 0


# anyio's connect_tcp forgets its socket when it is cancelled in the very turn in which it has connected: the garbage collector
# closes it, and says so.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["echo", MODEL, f"{MODEL}+status=503", f"{MODEL}+cut=3"])
async def test_cancelled_at_any_turn_of_the_loop_an_exchange_is_settled_once(
    simulator: Simulator, kept: Kept, model: str, stream: bool
) -> None:
    """One exchange for every number of turns, until they end by themselves."""
    limits = LimitsConfig(requests="off", concurrency=5)
    principal = Principal(user_id="u", plan=UNLIMITED, key_id="k", key=Allowance(budget_nano_usd=10**12))

    async def exchange(made: Gateway) -> None:
        async with await made.handle(inbound(principal, model=model, stream=stream)) as reply:
            async for _ in reply:
                pass

    finished = 0
    async with gateway(simulator.url, kept, limits=limits) as made:
        for turns in range(400):
            task = asyncio.create_task(exchange(made))
            for _ in range(turns):
                if task.done():
                    break
                await asyncio.sleep(0)
            finished += task.done()
            task.cancel()
            await asyncio.wait([task])
            if finished > 3:
                break
    each_attempt_is_recorded_once(kept)
    await nothing_is_held(kept, principal)
    used = sum(entry.tokens for entry in kept.ledger.entries)
    ((counted, _),) = await standings(kept, principal, Charge(account="u", kind="tokens", amount=0, cap=None))
    assert counted == used


@pytest.mark.parametrize("abandoned", ["abort", "drain"])
async def test_five_hundred_clients_leave_after_any_number_of_chunks_and_each_is_charged_once(
    simulator: Simulator, kept: Kept, abandoned: Literal["abort", "drain"]
) -> None:
    """Drained: what the provider counted. Aborted: the prompt, and what was relayed."""
    draw = random.Random(7)
    principal = Principal(user_id="u", plan=UNLIMITED)
    model = f"{MODEL}+chunks=20,chunk-delay=0.002"  # or else they arrive together, and leave together

    async def leave_after(chunks: int, made: Gateway) -> None:
        async with await made.handle(inbound(principal, model=model, stream=True)) as reply:
            async for _ in reply:
                if not chunks:
                    if reply.abandon():
                        break
                    chunks = -1  # it is drained: read on as a server does, and throw away
                chunks -= 1

    limits = LimitsConfig(requests="off")
    async with gateway(simulator.url, kept, limits=limits, abandoned=abandoned) as made:
        for _ in range(25):
            await asyncio.gather(*(leave_after(draw.randrange(24), made) for _ in range(20)))
    each_attempt_is_recorded_once(kept)
    await nothing_is_held(kept, principal)
    billed = {each.caller_request_id: each for each in simulator.stats().requests}
    assert len(kept.ledger.entries) == len(billed) == 500
    for entry in kept.ledger.entries:
        record = billed[entry.request_id]
        if entry.source is UsageSource.ESTIMATED:
            assert abandoned == "abort" and entry.outcome is Outcome.CLIENT_GONE
            assert entry.usage.input_tokens and entry.tokens > 0
        else:
            assert entry.tokens == record.billed.total
    gone = [entry for entry in kept.ledger.entries if entry.outcome is Outcome.CLIENT_GONE]
    assert len(gone) > 300
    assert {entry.source for entry in gone} <= ({UsageSource.DRAINED} if abandoned == "drain" else set(UsageSource))


async def test_a_provider_that_never_says_what_was_used_is_charged_by_estimate(
    simulator: Simulator, kept: Kept
) -> None:
    principal = Principal(user_id="u", plan=UNLIMITED)
    async with gateway(simulator.url, kept) as made:
        assert await status_of(made, inbound(principal, model=f"{MODEL}+no-usage", stream=True)) == 200
    (entry,) = kept.ledger.entries
    assert entry.source is UsageSource.ESTIMATED
    assert entry.tokens > 0


async def test_what_is_announced_before_the_call_is_the_prompt_and_what_is_marked_grows(
    simulator: Simulator, kept: Kept
) -> None:
    principal = Principal(user_id="u", plan=UNLIMITED)
    asked = inbound(principal, model=f"{MODEL}+chunk-delay=0.005", stream=True)
    async with gateway(simulator.url, kept) as made, await made.handle(asked) as reply:
        async for _ in reply:
            kept.clock.advance(0.3)
    (opened,) = kept.ledger.opened
    (entry,) = kept.ledger.entries
    assert opened.source is UsageSource.ESTIMATED
    assert 0 < opened.tokens < entry.tokens
    totals = [marked.tokens for marked in kept.ledger.marked]
    assert totals == sorted(totals) and len(totals) > 2
    last = kept.ledger.marked[-1]
    assert (last.tokens, last.source) == (entry.tokens, UsageSource.PROVIDER)
    assert {each.at for each in (opened, *kept.ledger.marked)} == {entry.at}


@pytest.mark.parametrize("step", ["open", "sent"])
async def test_a_ledger_that_can_keep_nothing_stops_the_call_before_it_is_made(
    simulator: Simulator, kept: Kept, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(entry: UsageEntry | str, /) -> None:
        raise StoreUnavailable("the journal is full")

    monkeypatch.setattr(kept.ledger, step, full)
    principal = Principal(user_id="u", plan=UNLIMITED)
    async with gateway(simulator.url, kept) as made:
        assert await status_of(made, inbound(principal)) == 503
        assert kept.ledger.entries == []
        assert simulator.stats().requests == []
        await nothing_is_held(kept, principal)
        requests = Charge(account="u", kind="requests", amount=0, cap=60, window_s=60.0)
        assert await standings(kept, principal, requests) == [
            (0, 0)
        ]  # nothing was asked of anybody, so no place is taken


@pytest.mark.parametrize("allowance", [Allowance(), Allowance(budget_nano_usd=10**9), Allowance(tokens=(10**6, 60.0))])
async def test_a_request_for_more_than_anybody_could_mean_is_refused_or_passed_on_and_never_a_defect(
    simulator: Simulator, kept: Kept, allowance: Allowance
) -> None:
    principal = Principal(user_id="u", plan=Plan(name="some", tokens=10**6), key_id="k", key=allowance)
    body = {"model": MODEL, "n": 2**31 - 1, "max_completion_tokens": 2**31 - 1, "messages": HELLO}
    asked = Inbound(dialect="openai.chat", body=msgspec.json.encode(body), principal=principal)
    async with gateway(simulator.url, kept) as made:
        assert await status_of(made, asked) == 429
    await nothing_is_held(kept, principal)


def test_every_refusal_has_a_code_of_its_own() -> None:
    codes = {error.code for error in (RateLimited, QuotaExceeded, ConcurrencyLimited, PermissionDenied)}
    assert len(codes) == 4
    assert issubclass(ConcurrencyLimited, PulseError)
