"""The Redis client on a server that is well: batches, order, scripts, callers that leave, errors, addresses."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_parts import COUNT, ECHO, ScriptedRedis, echo, opened, until

from faults.proxy import FaultProxy
from pulse_gateway.clock import SystemClock
from pulse_gateway.errors import ConfigError, InternalError, StoreUnavailable
from pulse_gateway.transport.redis import RedisClient, RedisRefused, RedisUnavailable, Script
from valkey_server import ValkeyProcess

CERTIFICATE = Path(__file__).parent.parent / "faults" / "localhost.pem"


@pytest.fixture(scope="module")
def shared() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


@pytest.fixture
def server(shared: ValkeyProcess) -> ValkeyProcess:
    shared.command("FLUSHALL")
    shared.command("SCRIPT", "FLUSH")
    return shared


async def test_calls_of_one_turn_go_out_in_one_write(server: ValkeyProcess) -> None:
    async with opened(server.url) as client:
        await echo(client, "warm")
        reads = server.command("INFO", "stats")["total_reads_processed"]
        answers = await asyncio.gather(*(echo(client, str(number)) for number in range(100)))
        after = server.command("INFO", "stats")["total_reads_processed"]
    assert answers == [str(number) for number in range(100)]
    assert after - reads - 1 == 1, "one read for a hundred calls, besides the one for INFO"


async def test_at_most_so_many_writes_wait_for_answers_and_further_calls_gather() -> None:
    async with ScriptedRedis() as fake, opened(f"redis://127.0.0.1:{fake.port}", max_in_flight=3) as client:
        calls = []
        for turn in range(10):
            calls += [asyncio.create_task(client.command("GET", f"{turn}:{number}")) for number in range(2)]
            await asyncio.sleep(0)
            if turn < 3:
                await until(lambda: len(fake.batches) == turn + 1, "the batch has arrived")  # noqa: B023
        assert [len(batch) for batch in fake.batches] == [2, 2, 2]
        fake.writers[-1].write(b":1\r\n")
        await asyncio.wait({calls[0]})
        assert len(fake.batches) == 3, "half a batch is answered"
        fake.writers[-1].write(b":2\r\n")
        await until(lambda: len(fake.batches) == 4, "there is room again")
        assert len(fake.batches[3]) == 14, "all that had gathered"
        fake.writers[-1].write(b"".join(b":%d\r\n" % number for number in range(3, 21)))
        assert await asyncio.gather(*calls) == list(range(1, 21))


async def test_calls_are_executed_in_the_order_in_which_they_were_made(server: ValkeyProcess) -> None:
    async with opened(server.url) as client:
        calls = []
        for number in range(500):
            calls.append(asyncio.create_task(client.command("RPUSH", "order", number)))
            if number % 7 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*calls)
        assert await client.command("LRANGE", "order", 0, -1) == [b"%d" % number for number in range(500)]


async def test_a_script_that_the_server_has_forgotten_is_told_again(server: ValkeyProcess) -> None:
    """SCRIPT FLUSH under load: nothing is lost, nothing is done twice."""
    async with opened(server.url) as client:

        async def count() -> None:
            for _ in range(100):
                await client.run(COUNT, ["{t}:count"], [])

        async def flush() -> None:
            for _ in range(50):
                await client.command("SCRIPT", "FLUSH")

        await asyncio.gather(*(count() for _ in range(20)), flush())
        assert await client.command("GET", "{t}:count") == b"2000"
        assert client.available


async def test_calls_of_a_forgotten_script_keep_their_order_among_themselves(server: ValkeyProcess) -> None:
    push = Script("push", "return redis.call('RPUSH', KEYS[1], ARGV[1])")
    async with opened(server.url) as client:
        await asyncio.gather(*(client.run(push, ["order"], [number]) for number in range(100)))
        assert await client.command("LRANGE", "order", 0, -1) == [b"%d" % number for number in range(100)]


async def test_a_script_is_sent_by_its_digest_once_it_is_known(server: ValkeyProcess) -> None:
    async with opened(server.url) as client:
        await echo(client, "first")
        server.command("CONFIG", "RESETSTAT")
        await asyncio.gather(*(echo(client, str(number)) for number in range(50)))
        assert (server.calls("evalsha"), server.calls("eval")) == (50, 0)


@pytest.mark.parametrize("seed", range(3))
async def test_callers_that_leave_take_nobody_elses_answer(server: ValkeyProcess, seed: int) -> None:
    """Every caller gets its own words back, whoever around it is cancelled, and whenever."""
    chance = random.Random(seed)
    async with FaultProxy(server.port) as proxy, opened(f"redis://127.0.0.1:{proxy.port}", deadline_s=5.0) as client:
        proxy.delay_s = 0.002
        answered = left = 0

        async def caller(name: int) -> None:
            nonlocal answered, left
            for number in range(40):
                call = asyncio.create_task(echo(client, f"{name}:{number}"))
                if chance.random() < 0.4:
                    for _ in range(chance.randrange(12)):
                        await asyncio.sleep(0)
                    call.cancel()
                try:
                    assert await call == f"{name}:{number}"
                    answered += 1
                except asyncio.CancelledError:
                    left += 1

        await asyncio.gather(*(caller(name) for name in range(50)))
        assert answered + left == 2000
        assert left > 300
        assert proxy.accepted == 1, "nobody who left cost the others their connection"


async def test_a_call_whose_caller_left_before_it_was_sent_is_not_made(server: ValkeyProcess) -> None:
    async with opened(server.url) as client:
        call = asyncio.create_task(client.run(COUNT, ["{t}:count"], []))
        other = asyncio.create_task(echo(client, "other"))
        asyncio.get_running_loop().call_soon(call.cancel)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await other == "other"
        assert await client.command("GET", "{t}:count") is None


async def test_values_come_back_as_redis_has_them(server: ValkeyProcess) -> None:
    async with opened(server.url) as client:
        assert await client.command("SET", "k", "نص") == b"OK"
        assert await client.command("GET", "k") == "نص".encode()
        assert await client.command("GET", "none") is None
        assert await client.command("HSET", "h", "field", b"\x00\xff") == 1
        assert await client.command("HGETALL", "h") == [b"field", b"\x00\xff"]
        assert await client.run(Script("lists", "return {1, {'a', false}, ARGV[1]}"), [], [7]) == [
            1,
            [b"a", None],
            b"7",
        ]


async def test_a_defect_of_ours_is_told_from_a_server_that_is_away(server: ValkeyProcess) -> None:
    broken = Script("broken", "return redis.call('LPUSH', KEYS[1], 1)")
    async with opened(server.url) as client:
        await client.command("SET", "{t}:text", "x")
        for _ in range(5):
            with pytest.raises(RedisRefused, match="refused a command") as refusal:
                await client.run(broken, ["{t}:text"], [])
            assert "WRONGTYPE" in refusal.value.reply
            assert isinstance(refusal.value, InternalError)
            assert not isinstance(refusal.value, StoreUnavailable)
        with pytest.raises(RedisRefused):
            await client.command("NONSENSE")
        assert await echo(client, "still here") == "still here"
        assert client.available, "a server that refuses nonsense is well"


async def test_errors_do_not_spoil_the_batch_they_are_in(server: ValkeyProcess) -> None:
    async with opened(server.url) as client:
        results = await asyncio.gather(
            echo(client, "a"), client.command("NONSENSE"), echo(client, "b"), return_exceptions=True
        )
    assert results[0] == "a"
    assert isinstance(results[1], RedisRefused)
    assert results[2] == "b"


async def test_a_full_server_is_unavailable_and_comes_back_by_itself() -> None:
    with ValkeyProcess(maxmemory="1kb", maxmemory_policy="noeviction") as server:
        async with opened(server.url) as client:
            assert not client.available, "it takes no writes"
            with pytest.raises(RedisUnavailable) as refusal:
                await client.run(COUNT, ["{t}:count"], [])
            assert not refusal.value.maybe_done
            server.command("CONFIG", "SET", "maxmemory", 0)
            assert await until(lambda: client.available, "there is room again") < 5
            assert await client.run(COUNT, ["{t}:count"], []) == 1
            server.command("CONFIG", "SET", "maxmemory", "1kb")
            for _ in range(3):
                with pytest.raises(RedisUnavailable, match="OOM"):
                    await client.run(COUNT, ["{t}:count"], [])
            assert not client.available


async def test_a_socket_of_the_machine(server: ValkeyProcess) -> None:
    async with opened(server.socket_url) as client:
        assert await echo(client, "by file") == "by file"


async def test_another_database(server: ValkeyProcess) -> None:
    async with opened(server.url.removesuffix("/0") + "/3") as client:
        await client.command("SET", "only", "here")
    assert server.command("GET", "only") is None


async def test_a_password_is_given_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ValkeyProcess(requirepass="sesam-open") as server:
        async with opened(server.url) as client:
            assert await echo(client, "let in") == "let in"
        async with opened(server.url.replace("sesam-open", "sesam-shut")) as client:
            assert not client.available
            with pytest.raises(RedisUnavailable) as refusal:
                await echo(client, "not let in")
            assert not refusal.value.maybe_done
        async with opened(f"redis://127.0.0.1:{server.port}") as client:
            assert not client.available
    assert "not asked again" in caplog.text
    assert "sesam" not in caplog.text
    assert "sesam" not in str(refusal.value)


async def test_a_password_that_is_changed_is_a_fault_until_it_is_changed_back() -> None:
    with ValkeyProcess(requirepass="sesam") as server:
        async with opened(server.url) as client:
            await echo(client, "in")
            server.command("CONFIG", "SET", "requirepass", "other")
            server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            for _ in range(10):
                with pytest.raises(RedisUnavailable):
                    await echo(client, "out")
            assert not client.available
            server.command("CONFIG", "SET", "requirepass", "sesam")
            await until(lambda: client.available, "it is let in again", within_s=5)
            assert await echo(client, "in") == "in"


async def test_an_address_that_cannot_be_read_is_refused_when_opened() -> None:
    client = RedisClient("redis://:sesam@localhost:port", clock=SystemClock())
    with pytest.raises(ConfigError) as refusal:
        await client.open()
    assert "sesam" not in str(refusal.value)
    await client.aclose()
    with pytest.raises(ConfigError, match="TLS"):
        await RedisClient("rediss://localhost?ssl_ca_certs=/nowhere.pem", clock=SystemClock()).open()


async def test_over_tls(server: ValkeyProcess) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    async with FaultProxy(server.port, tls=context) as proxy:
        url = f"rediss://localhost:{proxy.port}"
        async with opened(f"{url}?ssl_ca_certs={CERTIFICATE}", deadline_s=1.0) as client:
            answers = await asyncio.gather(*(echo(client, str(number)) for number in range(200)))
            assert answers == [str(number) for number in range(200)]
            await proxy.reset()
            assert await echo(client, "again") == "again"
        async with opened(url) as client:
            assert not client.available, "nobody vouches for that certificate"


async def test_one_client_after_another_in_loops_of_their_own(server: ValkeyProcess) -> None:
    async def once() -> str:
        async with opened(server.url) as client:
            return await echo(client, "other loop")

    for _ in range(3):
        assert await asyncio.to_thread(lambda: asyncio.run(once())) == "other loop"


async def test_closed_it_refuses_calls_and_may_be_closed_again(server: ValkeyProcess) -> None:
    client = RedisClient(server.url, clock=SystemClock())
    with pytest.raises(RuntimeError, match="open the client"):
        await client.command("PING")
    await client.open()
    under_way = asyncio.create_task(echo(client, "under way"))
    await asyncio.sleep(0)
    await client.aclose()
    assert await under_way == "under way", "what was sent is waited for"
    with pytest.raises(RedisUnavailable):
        await echo(client, "late")
    await client.aclose()


async def test_a_script_answers_through_eval_when_it_is_flushed_between(server: ValkeyProcess) -> None:
    async with opened(server.url) as client:
        server.command("CONFIG", "RESETSTAT")
        assert await client.run(ECHO, ["{t}:k"], ["x"]) == b"x"
        assert (server.calls("evalsha"), server.calls("eval")) == (1, 1)
