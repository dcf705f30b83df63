"""Several replicas over one store, on a clock that tests move: who runs, who waits, and what becomes of it when one dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from pulse_gateway.errors import PulseError, StoreUnavailable, UpstreamFailed
from pulse_gateway.idempotency.memory import MemoryAnswerStore
from pulse_gateway.idempotency.store import Answer, Place, Running
from pulse_gateway.pipeline.authenticate import Authenticate
from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.execution import Executions
from pulse_gateway.pipeline.idempotent import Idempotent
from pulse_gateway.pipeline.observe import Observe
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.store.memory import MemoryKeyStore
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_gateway.testing import FakeClock
from pulse_gateway.types.identity import Plan, Principal
from pulse_gateway.types.usage import Outcome
from pulse_gateway.wire.registry import codec

DIALECT = "openai.chat"
ALICE = Principal(user_id="alice", plan=Plan(name="any"))
LEASE_S = 60.0


class Store(MemoryAnswerStore):
    """Can be away, for what is to be kept or for everything, and counts what is asked of it."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock, lease_s=LEASE_S)
        self.away: set[str] = set()
        self.lost: set[str] = set()  # done all the same, only the answer does not arrive
        self.asked: list[str] = []
        self.broken: dict[str, Exception] = {}

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what in self.away:
            raise StoreUnavailable("away")
        if what in self.broken:
            raise self.broken[what]

    async def claim(self, place: Place, fingerprint: bytes, owner: str, /) -> Answer | Running | None:
        self._ask("claim")
        found = await super().claim(place, fingerprint, owner)
        if "claim" in self.lost:
            raise StoreUnavailable("no answer in time")
        return found

    async def runs(self, place: Place, owner: str, /) -> bool:
        self._ask("runs")
        return await super().runs(place, owner)

    async def renew(self, place: Place, owner: str, /) -> bool:
        self._ask("renew")
        return await super().renew(place, owner)

    async def keep(self, place: Place, owner: str, answer: Answer, /) -> bool:
        self._ask("keep")
        return await super().keep(place, owner, answer)

    async def release(self, place: Place, owner: str, /) -> None:
        self._ask("release")
        await super().release(place, owner)


class Items:
    """A streamed body without a wait in it."""

    gone = False

    def __init__(self, items: list[bytes]) -> None:
        self.ending: tuple[Outcome, PulseError | None] | None = None
        self.cut = False
        self._items = items

    def farewell(self) -> bytes:
        return b""

    def abandon(self, *, slow: bool = False) -> bool:
        return False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, item in enumerate(self._items, 1):
            if number == len(self._items):
                self.ending = (Outcome.COMPLETED, None)
            yield item


class Replica:
    """A gateway reduced to what is looked at here: its pipeline answers when it is let."""

    def __init__(self, name: str, store: Store, clock: FakeClock) -> None:
        self.name, self.clock = name, clock
        self.supervisor = Supervisor()
        self.records: list[ExchangeRecord] = []
        self.executions = Executions(store, clock=clock, supervisor=self.supervisor)
        self.runs = 0
        self.ran: list[Exchange] = []
        self.go = asyncio.Event()
        self.failing: BaseException | None = None
        self.items: list[bytes] = []  # instead of a whole answer
        self.on_reply: Callable[[], None] = lambda: None
        keys = MemoryKeyStore({})
        observers = [self.records.append]
        observe = Observe(
            Authenticate(self._answer, authenticator=keys), clock=clock, supervisor=self.supervisor, observers=observers
        )

        async def pipeline(exchange: Exchange) -> Reply:
            reply = await observe(exchange)
            self.on_reply()
            return reply

        self.handle = Idempotent(
            pipeline,
            executions=self.executions,
            authenticator=keys,
            total_s=600.0,
            clock=clock,
            supervisor=self.supervisor,
            observers=observers,
        )

    async def _answer(self, exchange: Exchange) -> Reply:
        self.runs += 1
        self.ran.append(exchange)
        await self.go.wait()
        if self.failing is not None:
            raise self.failing
        if self.items:
            return Reply(200, [("content-type", "text/event-stream")], stream=Items(self.items))
        return Reply(200, [("content-type", "application/json")], f"by {self.name}".encode())

    def ask(self, body: bytes = b"{}", **more: Any) -> asyncio.Task[Reply]:
        inbound = Inbound(dialect=DIALECT, body=body, principal=ALICE, idempotency_key="key", **more)
        exchange = Exchange(inbound, codec(DIALECT), self.clock.monotonic())
        return asyncio.create_task(self.handle(exchange))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> Store:
    return Store(clock)


@pytest.fixture
def replicas(store: Store, clock: FakeClock) -> Iterator[tuple[Replica, Replica]]:
    yield Replica("first", store, clock), Replica("second", store, clock)


async def turns(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def pass_time(clock: FakeClock, seconds: float, step_s: float = 0.5) -> None:
    """In steps, so that whoever sleeps in a loop does what it does in between."""
    for _ in range(int(seconds / step_s)):
        clock.advance(step_s)
        await turns()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def header(reply: Reply, name: str) -> str | None:
    return dict(reply.headers).get(name)


async def test_a_repeat_on_another_replica_waits_for_the_end_and_replays(
    replicas: tuple[Replica, Replica], clock: FakeClock
) -> None:
    first, second = replicas
    asked = first.ask()
    await until(lambda: first.runs == 1)
    joining = [second.ask() for _ in range(3)]
    await pass_time(clock, 5)
    assert not any(each.done() for each in joining)
    first.go.set()
    original = await asked
    await pass_time(clock, 1)
    for reply in await asyncio.gather(*joining):
        assert reply.body == b"by first"
        assert header(reply, "idempotent-replayed") == "true"
        assert header(reply, "x-pulse-original-request-id") == header(original, "x-request-id")
        assert header(reply, "x-request-id") != header(original, "x-request-id")
    assert (first.runs, second.runs) == (1, 0)
    assert len(second.records) == 3


async def test_a_lease_is_renewed_for_as_long_as_the_request_runs(
    replicas: tuple[Replica, Replica], clock: FakeClock
) -> None:
    first, second = replicas
    asked, joining = first.ask(), second.ask()
    await pass_time(clock, 5 * LEASE_S)
    assert second.runs == 0
    first.go.set()
    assert (await asked).body == b"by first"
    await pass_time(clock, 1)
    assert (await joining).body == b"by first"


async def test_when_a_replica_dies_a_repeat_takes_over_after_its_lease(
    replicas: tuple[Replica, Replica], store: Store, clock: FakeClock
) -> None:
    first, second = replicas
    asked = first.ask()
    await until(lambda: first.runs == 1)
    store.away.add("renew")  # what is left of the first is never heard of again
    joining = [second.ask(request_id="mine"), second.ask()]
    await pass_time(clock, LEASE_S - 1)
    assert second.runs == 0
    await pass_time(clock, 2)
    assert second.runs == 1
    assert second.ran[0].started > clock.monotonic() - 3  # its time begins with it, not with the waiting
    second.go.set()
    mine, other = await asyncio.gather(*joining)
    assert mine.body == other.body == b"by second"
    assert header(mine, "idempotent-replayed") is None
    assert header(other, "x-pulse-original-request-id") == "mine"
    store.away.clear()
    first.go.set()
    assert (
        await asked
    ).body == b"by first"  # it was only asleep: its client has its answer, and the key is not its own any more
    await turns()
    assert (await second.ask()).body == b"by second"


EVERYTHING = {"claim", "runs", "renew", "keep", "release"}


@pytest.mark.parametrize("away_s", [LEASE_S / 2, LEASE_S + 1, 10 * LEASE_S])
async def test_a_store_that_was_away_for_any_time_gives_no_key_of_a_living_process_to_another(
    replicas: tuple[Replica, Replica], store: Store, clock: FakeClock, away_s: float
) -> None:
    first, second = replicas
    asked = first.ask()
    await until(lambda: first.runs == 1)
    store.away |= EVERYTHING
    await pass_time(clock, away_s)
    store.away.clear()
    joining = second.ask()  # before the first can have renewed
    await turns()
    assert store.asked[-1] in ("claim", "runs")
    await pass_time(clock, 2 * LEASE_S)
    assert second.runs == 0
    first.go.set()
    assert (await asked).body == b"by first"
    await pass_time(clock, 1)
    assert (await joining).body == b"by first"
    assert (first.runs, second.runs) == (1, 0)


async def test_an_answer_that_came_while_the_store_was_away_is_everybodys_when_it_is_back(
    replicas: tuple[Replica, Replica], store: Store, clock: FakeClock
) -> None:
    first, second = replicas
    asked = first.ask()
    await until(lambda: first.runs == 1)
    store.away |= EVERYTHING
    first.go.set()
    assert (await asked).body == b"by first"
    await pass_time(clock, 3 * LEASE_S)
    store.away.clear()
    joining = second.ask()
    await pass_time(clock, LEASE_S)
    assert (await joining).body == b"by first"
    assert second.runs == 0


async def test_a_renewal_that_fails_is_tried_again_every_second(
    replicas: tuple[Replica, Replica], store: Store, clock: FakeClock
) -> None:
    first, _ = replicas
    asked = first.ask()
    await until(lambda: first.runs == 1)
    await turns()
    store.away.add("renew")
    await pass_time(clock, LEASE_S / 3)
    assert store.asked.count("renew") == 1
    await pass_time(clock, 10)
    assert store.asked.count("renew") == 11
    store.away.clear()
    await pass_time(clock, LEASE_S / 3)
    assert store.asked.count("renew") == 12
    first.go.set()
    await asked


async def test_a_dead_replicas_key_is_free_to_a_late_repeat_after_a_third_of_the_lease(
    replicas: tuple[Replica, Replica], store: Store, clock: FakeClock
) -> None:
    first, second = replicas
    first.ask()
    await until(lambda: first.runs == 1)
    store.away.add("renew")
    await pass_time(clock, 10 * LEASE_S, step_s=5)
    joining = second.ask()
    second.go.set()
    await pass_time(clock, LEASE_S / 3 - 1)
    assert second.runs == 0
    await pass_time(clock, 2)
    assert (await joining).body == b"by second"
    first.go.set()
    await turns()


async def test_a_failure_over_there_is_run_anew_over_here(replicas: tuple[Replica, Replica], clock: FakeClock) -> None:
    first, second = replicas
    first.failing = UpstreamFailed("it failed")
    asked, joining = first.ask(), second.ask()
    await until(lambda: first.runs == 1)
    first.go.set()
    second.go.set()
    assert (await asked).status == 502
    await pass_time(clock, 1)
    reply = await joining
    assert (reply.status, reply.body, second.runs) == (200, b"by second", 1)


async def test_nobody_waits_on_for_a_client_that_has_left(
    replicas: tuple[Replica, Replica], store: Store, clock: FakeClock
) -> None:
    first, second = replicas
    first.ask()
    await until(lambda: first.runs == 1)
    joining = second.ask()
    await until(lambda: "runs" in store.asked)
    await turns()
    joining.cancel()
    await pass_time(clock, 1)
    assert not second.executions.tasks
    assert [record.outcome for record in second.records] == ["cancelled"]
    first.go.set()
    await turns()


async def test_a_waiters_time_limit_holds(replicas: tuple[Replica, Replica], clock: FakeClock) -> None:
    first, second = replicas
    first.ask()
    await until(lambda: first.runs == 1)
    assert (await second.ask(timeout_s=0.01)).status == 504
    first.go.set()
    await turns()


async def test_another_body_is_a_conflict_on_every_replica(replicas: tuple[Replica, Replica], clock: FakeClock) -> None:
    first, second = replicas
    first.ask()
    await until(lambda: first.runs == 1)
    for replica in replicas:
        reply = await replica.ask(b'{"other":1}')
        assert reply.status == 409
        assert b'"idempotency_conflict"' in reply.body
        assert header(reply, "x-should-retry") == "false"
    first.go.set()
    await turns()
    assert (await second.ask(b'{"other":1}')).status == 409
    assert (await second.ask()).body == b"by first"


async def test_a_claim_whose_answer_is_lost_does_not_block_the_key(
    replicas: tuple[Replica, Replica], store: Store
) -> None:
    first, second = replicas
    store.lost.add("claim")
    assert (await first.ask()).status == 503
    assert first.runs == 0
    store.lost.clear()
    second.go.set()
    assert (await second.ask()).body == b"by second"


async def test_while_an_answer_cannot_be_kept_it_is_given_from_memory(
    replicas: tuple[Replica, Replica], store: Store, clock: FakeClock
) -> None:
    first, second = replicas
    store.away |= {"keep", "renew"}
    first.go.set()
    await first.ask()
    await pass_time(clock, 30)
    assert (await first.ask()).body == b"by first"
    assert first.runs == 1
    store.away.clear()
    await pass_time(clock, LEASE_S / 3 + 1)
    assert not first.executions.tasks
    assert (await second.ask()).body == b"by first"
    assert second.runs == 0


async def test_closing_gives_an_answer_one_more_chance_to_be_kept(
    replicas: tuple[Replica, Replica], store: Store
) -> None:
    first, second = replicas
    store.away.add("keep")
    first.go.set()
    await first.ask()
    await until(lambda: "keep" in store.asked)
    store.away.clear()
    await first.executions.aclose(0)
    assert (await second.ask()).body == b"by first"


async def test_closing_frees_the_key_of_what_it_breaks_off(replicas: tuple[Replica, Replica]) -> None:
    first, second = replicas
    asked = [first.ask() for _ in range(3)]
    await until(lambda: first.runs == 1)
    await first.executions.aclose(0)
    for reply in await asyncio.gather(*asked):
        assert reply.status == 503
    await first.supervisor.drain(1)
    assert sorted(record.outcome for record in first.records) == ["cancelled", "failed", "failed"]
    second.go.set()
    assert (await second.ask()).body == b"by second"


@pytest.mark.parametrize("turns_later", range(6))
async def test_a_stream_that_is_broken_off_as_it_begins_is_settled(
    replicas: tuple[Replica, Replica], turns_later: int
) -> None:
    first, second = replicas
    first.items = [b"data: 1\n\n", b"data: 2\n\n"]
    first.go.set()

    def break_off(turns_left: int = turns_later) -> None:
        if turns_left:
            asyncio.get_running_loop().call_soon(break_off, turns_left - 1)
        else:
            for task in first.executions.tasks:
                task.cancel()

    first.on_reply = break_off
    reply = await first.ask()
    async with reply:
        assert [item async for item in reply]
    await until(lambda: not first.executions.tasks and not len(first.supervisor))
    (record,) = first.records
    (ran,) = first.ran
    assert record.outcome == ran.outcome.value
    assert record.outcome in ("cancelled", "completed")
    second.go.set()
    assert (await second.ask()).status == 200
    assert second.runs == (record.outcome != "completed")


@pytest.mark.parametrize("what", ["claim", "runs"])
async def test_a_defect_of_the_store_is_told_to_everybody_at_once_and_to_nobody_in_detail(
    replicas: tuple[Replica, Replica], store: Store, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    first, second = replicas
    held = first.ask()
    await until(lambda: first.runs == 1)
    store.broken[what] = ZeroDivisionError("secret detail")
    with caplog.at_level(logging.ERROR, "pulse_gateway"):
        for reply in await asyncio.gather(*(second.ask() for _ in range(3))):
            assert reply.status == 500
            assert b"secret" not in reply.body
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["secret detail"]
    await until(lambda: not second.executions.tasks)
    assert [record.error_code for record in second.records] == ["internal_error"] * 3
    store.broken.clear()
    first.go.set()
    assert (await held).body == b"by first"
    await until(lambda: not first.executions.tasks)
    assert (await second.ask()).body == b"by first"


async def test_a_whole_answer_whose_settling_is_cut_short_is_not_kept_as_an_empty_one(
    replicas: tuple[Replica, Replica],
) -> None:
    first, second = replicas
    settling, settle = asyncio.Event(), asyncio.Event()

    async def slowly(exchange: Exchange) -> None:
        settling.set()
        await settle.wait()

    asked = first.ask()
    await until(lambda: first.runs == 1)
    first.ran[0].defer(slowly)
    first.go.set()
    await settling.wait()
    await first.executions.aclose(0)
    settle.set()
    assert (await asked).status == 503
    second.go.set()
    reply = await second.ask()
    assert (reply.status, reply.body) == (200, b"by second")


async def test_a_defect_is_told_to_everybody_and_frees_the_key(
    replicas: tuple[Replica, Replica], caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = replicas
    first.failing = ZeroDivisionError("secret detail")
    asked = [first.ask() for _ in range(3)]
    await until(lambda: first.runs == 1)
    first.go.set()
    with caplog.at_level(logging.CRITICAL, "pulse_gateway"):
        for reply in await asyncio.gather(*asked):
            assert reply.status == 500
            assert b"secret" not in reply.body
    first.failing = None
    assert (await first.ask()).status == 200


async def test_a_repeat_right_after_a_failure_is_never_given_that_failure(
    replicas: tuple[Replica, Replica], clock: FakeClock
) -> None:
    first, _ = replicas
    first.failing = UpstreamFailed("it failed")
    first.go.set()
    for expected_runs in range(1, 20):
        asked = first.ask()
        await turns()
        clock.advance(0.05)
        assert (await asked).status == 502
        assert first.runs == expected_runs


async def test_everybody_who_waited_reads_a_stream_that_is_too_large_and_nobody_later(
    replicas: tuple[Replica, Replica],
) -> None:
    first, second = replicas
    first.items = [b"a" * (17 << 20), b"b" * (17 << 20), b"c"]
    waiting = [first.ask() for _ in range(3)]
    await until(lambda: first.runs == 1)
    first.go.set()

    async def read(reply: Reply) -> int:
        async with reply:
            return sum([len(piece) async for piece in reply])

    found = await asyncio.gather(*(read(reply) for reply in await asyncio.gather(*waiting)))
    assert found == [(34 << 20) + 1] * 3
    await until(lambda: not first.executions.tasks)
    for replica in replicas:
        refused = await replica.ask()
        assert refused.status == 409
        assert b"16 MiB" in refused.body
    assert (first.runs, second.runs) == (1, 0)
