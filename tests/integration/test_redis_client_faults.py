"""The Redis client when Redis, or the way there, is slow, frozen, broken or gone."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import hiredis
import pytest
import uvloop
from redis_parts import BACK_S, COUNT, DEADLINE_S, ECHO, Lag, ScriptedRedis, echo, opened, until, works_again

from faults.proxy import FaultProxy
from pulse_gateway.transport.redis import RedisClient, RedisUnavailable
from valkey_server import ValkeyProcess

SLACK_S = 0.25  # how much later than its deadline an answer may be, and by what the loop itself was late


class Load:
    """Callers that go on calling, whatever they hear, until they are told to stop. `longest_s` is without what the loop was late."""

    def __init__(self, client: RedisClient, callers: int = 16) -> None:
        self._client, self._callers = client, callers
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False
        self.outcomes: Counter[str] = Counter()
        self._lag = Lag()
        self._longest_s = 0.0

    @property
    def longest_s(self) -> float:
        return self._longest_s - self._lag.worst_s

    async def __aenter__(self) -> Load:
        await self._lag.__aenter__()
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(self._callers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over = True
        await asyncio.gather(*self._tasks)
        await self._lag.__aexit__()

    async def _call(self, name: int) -> None:
        number = 0
        while not self._is_over:
            number += 1
            began = time.monotonic()
            try:
                assert await echo(self._client, f"{name}:{number}") == f"{name}:{number}"
                self.outcomes["answered"] += 1
            except RedisUnavailable as error:
                self.outcomes["maybe done" if error.maybe_done else "not done"] += 1
                await asyncio.sleep(0.001)  # a caller that fails at once would leave no time for anything else
            self._longest_s = max(self._longest_s, time.monotonic() - began)

    async def goes_on(self, outcome: str, calls: int = 50) -> None:
        """Until so many more calls have ended like that."""
        target = self.outcomes[outcome] + calls
        await until(lambda: self.outcomes[outcome] >= target, f"{outcome}: {self.outcomes}")


async def test_frozen_it_is_not_waited_for_and_thawed_it_is_back_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pulse_gateway")
    changes: list[bool] = []
    with ValkeyProcess() as server:
        async with opened(server.url) as client:
            client.on_change(changes.append)
            async with Load(client) as load:
                await load.goes_on("answered")
                server.freeze()
                async with Lag() as lag:
                    opened_after_s = await until(lambda: not client.available, "the breaker opens")
                    assert opened_after_s < 4 * DEADLINE_S + SLACK_S + lag.worst_s, "three calls one by one are enough"
                    began = time.monotonic()
                    with pytest.raises(RedisUnavailable) as refusal:
                        await echo(client, "at once")
                    refused_after_s = time.monotonic() - began
                assert refused_after_s < 0.02 + lag.worst_s
                assert not refusal.value.maybe_done
                await load.goes_on("not done", 500)
                server.thaw()
                assert await until(lambda: client.available, "it is back") < BACK_S
                await load.goes_on("answered")
            assert load.longest_s < DEADLINE_S + SLACK_S
            assert load.outcomes["maybe done"] >= 16
    assert changes == [False, True]
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in told] == ["WARNING", "INFO"], told
    assert f"127.0.0.1:{server.port}" in told[0][1]


async def test_a_frozen_server_may_have_done_what_was_sent_and_the_caller_is_told() -> None:
    with ValkeyProcess() as server:
        async with opened(server.url) as client:
            await client.run(COUNT, ["{t}:count"], [])
            server.freeze()
            with pytest.raises(RedisUnavailable) as refusal:
                await client.run(COUNT, ["{t}:count"], [])
            assert refusal.value.maybe_done
            server.thaw()
            await works_again(client)
            await until(lambda: server.command("GET", "{t}:count") == b"2", "it was done after all")


async def test_answers_of_a_connection_given_up_reach_nobody() -> None:
    """The server answers what timed out only after it has thawed; later callers on a new connection get their own words."""
    with ValkeyProcess() as server:
        async with opened(server.url) as client:
            await echo(client, "warm")
            for round_ in range(3):
                server.freeze()
                with pytest.raises(RedisUnavailable):
                    await echo(client, f"lost {round_}")
                server.thaw()
                await works_again(client)
                assert await asyncio.gather(*(echo(client, f"{round_}:{n}") for n in range(50))) == [
                    f"{round_}:{n}" for n in range(50)
                ]


async def test_paused_by_an_operator() -> None:
    with ValkeyProcess() as server:
        async with opened(server.url) as client, Load(client) as load:
            await load.goes_on("answered")
            server.command("CLIENT", "PAUSE", 1000, "ALL")
            await until(lambda: not client.available, "the breaker opens")
            await until(lambda: client.available, "it is back", within_s=1 + BACK_S)
            await load.goes_on("answered")
        assert load.longest_s < DEADLINE_S + SLACK_S


async def test_slower_than_the_deadline_counts_as_away_until_it_is_quick_again() -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            changes: list[bool] = []
            client.on_change(changes.append)
            async with Load(client) as load:
                await load.goes_on("answered")
                proxy.delay_s = 0.2
                await until(lambda: not client.available, "the breaker opens")
                accepted = proxy.accepted
                await until(lambda: proxy.accepted >= accepted + 2, "it was looked at twice")
                assert changes == [False], "connecting works, but is too slow"
                proxy.delay_s = 0.0
                assert await until(lambda: client.available, "it is back") < BACK_S
                await load.goes_on("answered")
            assert load.longest_s < DEADLINE_S + SLACK_S


async def test_slow_but_within_the_deadline_is_well() -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy:
            proxy.delay_s = 0.2
            async with opened(f"redis://127.0.0.1:{proxy.port}", deadline_s=1.0) as client:
                assert client.available
                async with Load(client) as load:
                    await load.goes_on("answered", 100)
                assert set(load.outcomes) == {"answered"}
                assert client.available


async def test_cut_at_every_fiftieth_answer() -> None:
    """Only calls that were under way on the connection fail, and all of them are known to be doubtful."""
    seen = 0

    def every_fiftieth(data: bytes) -> bytes | None:
        nonlocal seen
        parser = hiredis.Reader()
        parser.feed(data)
        while parser.gets() is not False:
            seen += 1
            if seen % 50 == 0:
                return None
        return data

    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            await client.run(ECHO, ["{t}:k"], ["known"])
            proxy.change_answer = every_fiftieth
            async with Load(client) as load:
                await load.goes_on("answered", 500)
                await load.goes_on("maybe done", 50)
            proxy.change_answer = None
            assert await works_again(client) < BACK_S
            assert load.longest_s < DEADLINE_S + SLACK_S
            assert load.outcomes["answered"] > load.outcomes["maybe done"]


@pytest.mark.parametrize("way", ["cut", "reset"])
async def test_a_connection_that_ends_while_idle_is_replaced_without_a_failure(way: str) -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            for number in range(5):
                assert await echo(client, str(number)) == str(number)
                await (proxy.cut() if way == "cut" else proxy.reset())
                await asyncio.sleep(0)
            assert client.available


async def test_a_server_that_crashes_and_comes_back_empty() -> None:
    with ValkeyProcess() as server:
        async with opened(server.url) as client, Load(client) as load:
            await load.goes_on("answered")
            await asyncio.to_thread(server.kill)
            await until(lambda: not client.available, "the breaker opens")
            await load.goes_on("not done")
            await asyncio.to_thread(server.start)
            assert await until(lambda: client.available, "it is back") < BACK_S
            await load.goes_on("answered")
        assert load.longest_s < DEADLINE_S + SLACK_S


async def test_opened_before_there_is_a_server() -> None:
    server = ValkeyProcess()
    changes: list[bool] = []
    try:
        async with opened(server.url) as client:
            client.on_change(changes.append)
            assert not client.available
            with pytest.raises(RedisUnavailable) as refusal:
                await echo(client, "nobody there")
            assert not refusal.value.maybe_done
            await asyncio.to_thread(server.start)
            assert await until(lambda: client.available, "it is found") < BACK_S
            assert await echo(client, "there") == "there"
        assert changes == [True]
    finally:
        server.close()


async def test_a_network_that_swallows_everything() -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            async with Load(client) as load:
                await load.goes_on("answered")
                proxy.is_black_hole = True
                await until(lambda: not client.available, "the breaker opens")
                await load.goes_on("not done")
                proxy.is_black_hole = False
                assert await until(lambda: client.available, "it is back") < BACK_S
                await load.goes_on("answered")
            assert load.longest_s < DEADLINE_S + SLACK_S


async def test_answers_in_slices_of_one_byte() -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy:
            proxy.writes_one_byte = True
            async with opened(f"redis://127.0.0.1:{proxy.port}", deadline_s=5.0) as client:
                texts = ["\r\n" * 20, "", "$5\r\nhello\r\n", "ن" * 50, *map(str, range(50))]
                assert await asyncio.gather(*(echo(client, text) for text in texts)) == texts


async def test_answers_that_flow_slowly_run_out_of_time_and_are_dropped() -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            await echo(client, "warm")
            proxy.bytes_per_s = 50_000
            with pytest.raises(RedisUnavailable) as refusal:
                await echo(client, "x" * 20_000)
            assert refusal.value.maybe_done
            proxy.bytes_per_s = None
            assert await works_again(client) < BACK_S


async def test_answers_that_make_no_sense_end_the_connection() -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            await echo(client, "warm")
            for garbage in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b":1\r\n:2\r\n"):
                accepted = proxy.accepted
                proxy.change_answer = lambda _, garbage=garbage: garbage  # type: ignore[misc]
                call = asyncio.create_task(client.command("GET", "k"))
                if garbage.startswith(b":"):
                    assert await call == 1, "the first answer is as good as any"
                else:
                    with pytest.raises(RedisUnavailable) as refusal:
                        await call
                    assert refusal.value.maybe_done
                proxy.change_answer = None
                await works_again(client)
                assert proxy.accepted == accepted + 1, "a new connection"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
async def test_a_loop_that_was_held_up_looks_for_answers_before_it_gives_up(run: Callable[[Any], None]) -> None:
    """What is late through our own fault is no fault of Redis, whether the loop was held up before it wrote or afterwards."""

    async def hold_up() -> None:
        loop = asyncio.get_running_loop()
        async with opened(server.url, deadline_s=0.2) as client:
            await echo(client, "warm")
            for number in range(3):
                call = asyncio.create_task(echo(client, str(number)))
                loop.call_soon(time.sleep, 0.4)  # between the call and its write
                assert await call == str(number)
                call = asyncio.create_task(echo(client, str(number)))
                await asyncio.sleep(0)
                await asyncio.sleep(0)  # it is sent
                time.sleep(0.4)
                assert await call == str(number)
            assert client.available

    with ValkeyProcess() as server:
        await asyncio.to_thread(run, hold_up())


async def test_a_server_that_is_well_only_when_it_is_looked_at_is_away() -> None:
    """Connecting works and calls are never answered: three of those in a row are enough."""
    async with ScriptedRedis() as fake, opened(f"redis://127.0.0.1:{fake.port}") as client:
        for number in range(3):
            assert client.available
            with pytest.raises(RedisUnavailable) as refusal:
                await client.command("GET", number)
            assert refusal.value.maybe_done
        assert not client.available


async def test_a_connection_that_is_cut_while_it_is_made_is_made_again() -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            await echo(client, "warm")
            await proxy.reset()
            is_first = True

            def cut_once(data: bytes) -> bytes | None:
                nonlocal is_first
                is_first, was_first = False, is_first
                return None if was_first else data

            proxy.change_answer = cut_once
            assert await echo(client, "all the same") == "all the same"
            assert proxy.accepted == 3


async def test_calls_that_wait_for_a_connection_end_in_time_and_are_known_not_to_be_done() -> None:
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            await echo(client, "warm")
            proxy.is_black_hole = True
            await proxy.reset()
            async with Lag() as lag:
                began = time.monotonic()
                with pytest.raises(RedisUnavailable) as refusal:
                    await echo(client, "waits")
                took_s = time.monotonic() - began
            assert DEADLINE_S <= took_s < DEADLINE_S + SLACK_S + lag.worst_s
            assert not refusal.value.maybe_done


async def test_callers_that_leave_while_everything_breaks() -> None:
    """Nobody hears another's answer, nothing is left behind, and no exception goes unheard."""
    chance = random.Random(7)
    with ValkeyProcess() as server:
        async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}") as client:
            ends: Counter[str] = Counter()
            is_over = False

            async def caller(name: int) -> None:
                number = 0
                while not is_over:
                    number += 1
                    call = asyncio.create_task(echo(client, f"{name}:{number}"))
                    await asyncio.sleep(chance.random() * 0.004)
                    if chance.random() < 0.5:
                        call.cancel()
                    try:
                        assert await call == f"{name}:{number}"
                        ends["answered"] += 1
                    except RedisUnavailable:
                        ends["unavailable"] += 1
                    except asyncio.CancelledError:
                        ends["left"] += 1

            callers = [asyncio.create_task(caller(name)) for name in range(20)]
            for _ in range(12):
                await asyncio.sleep(chance.random() * 0.15)
                match chance.randrange(4):
                    case 0:
                        await proxy.reset()
                    case 1:
                        server.command("SCRIPT", "FLUSH")
                    case 2:
                        proxy.delay_s = chance.choice([0.0, 0.003, 0.15])
                    case _:
                        proxy.writes_one_byte = not proxy.writes_one_byte
            proxy.delay_s, proxy.writes_one_byte = 0.0, False
            await works_again(client)
            is_over = True
            await asyncio.gather(*callers)
            assert all(ends[end] for end in ("answered", "left")), ends


async def test_closed_while_redis_is_away() -> None:
    with ValkeyProcess() as server:
        async with opened(server.url) as client:
            await echo(client, "warm")
            server.freeze()
            calls = [asyncio.create_task(echo(client, str(number))) for number in range(10)]
            await asyncio.sleep(0)
            await client.aclose()
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(end, RedisUnavailable) and end.maybe_done for end in ends)
        async with opened(server.url) as client:
            assert not client.available, "opening does not wait for long either"


async def test_what_fails_says_why_and_names_no_address() -> None:
    with ValkeyProcess() as server:
        async with opened(server.url) as client:
            await echo(client, "warm")
            server.freeze()
            with pytest.raises(RedisUnavailable, match=re.escape("did not answer within 100 ms")) as refusal:
                await echo(client, "late")
            assert str(server.port) not in str(refusal.value)
            assert refusal.value.status == 503
