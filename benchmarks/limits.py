"""What counting in Redis costs: `python -m benchmarks.limits [--json FILE]`.

Calls of `RedisLimiter` (admission, then settlement) by 32 callers at once, against what the same two scripts cost when called with
redis-py: one after the other, and as a pair in one pipeline. All of it in one process on uvloop, in turns, against one Valkey on
loopback TCP; CPU is that of this process alone. The default charges are a user's requests per minute and tokens per month; `windows`
has tokens per minute and calls at once as well; `everything` is a user's, a key's, a tenant's and a model's requests, tokens per
minute and calls at once, three budgets, and the tokens per month: sixteen counters.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from redis.asyncio import Redis
from tests.valkey_server import ValkeyProcess

from benchmarks.command import run
from pulse_gateway.clock import SystemClock
from pulse_gateway.ids import new_entry_id
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.asks import asks_of, holds_of
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.limits.scripts import room_of
from pulse_gateway.pipeline.terms import ModelTerms, Need, Terms
from pulse_gateway.transport.redis import RedisClient
from pulse_gateway.types.identity import Allowance, Plan, Principal

CALLERS = 32
USERS = 1_000
USED = {"tokens": 500, "cost_nano_usd": 1_000_000}
_FREE = 10**8
NEED = Need(1_000, 2_000_000)
_WINDOWS = Allowance(requests=(_FREE, 60.0), tokens=(10**10, 60.0), concurrency=10_000)
_ALL = Allowance(requests=(_FREE, 60.0), tokens=(10**10, 60.0), concurrency=10_000, budget_nano_usd=10**14)
TERMS = {
    "default": Terms(user=Allowance(requests=(_FREE, 60.0))),
    "windows": Terms(user=_WINDOWS),
    "everything": Terms(user=_ALL, key=_ALL, tenant=_ALL, models={"gpt-6": ModelTerms(_WINDOWS, per_user=True)}),
}
_LUA = Path(__file__).resolve().parent.parent / "src" / "pulse_gateway" / "limits" / "lua"

Call = Callable[[int], Awaitable[object]]


def principals(name: str) -> list[Principal]:
    plan = Plan(name="bench", tokens=10**12, allowance=_ALL if name == "everything" else Allowance())
    return [
        Principal(user_id=f"01990000-0000-7000-8000-{number:012d}", tenant_id="bench", key_id=f"key{number}", plan=plan)
        for number in range(USERS)
    ]


def charged_to(name: str, principal: Principal) -> list[Charge]:
    return TERMS[name].charges(principal, NEED, ("gpt-6",))


def charges(name: str) -> list[list[Charge]]:
    return [charged_to(name, each) for each in principals(name)]


async def at_once(call: Call, calls: int) -> None:
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*[caller() for _ in range(CALLERS)])


async def cpu_us(call: Call, calls: int) -> float:
    """µs of CPU of this process a call."""
    before = time.process_time()
    await at_once(call, calls)
    return (time.process_time() - before) / calls * 1e6


async def acquire_ms(
    limiter: RedisLimiter | MemoryLimiter, asked: list[list[Charge]], calls: int, callers: int
) -> list[float]:
    """How long each admission took, with `callers` of them going on at once, one after the other."""
    took: list[float] = []
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            begun = time.perf_counter()
            permit = await limiter.acquire(asked[number % USERS], tenant="bench")
            took.append((time.perf_counter() - begun) * 1000)
            await permit.settle(USED)

    await asyncio.gather(*[caller() for _ in range(callers)])
    return took


class PlainCalls:
    """The same two scripts, with arguments made ahead: nothing but redis-py."""

    def __init__(self, redis: Redis, shas: tuple[str, str], asked: list[list[Charge]]) -> None:
        self._redis, self._shas = redis, shas
        room, month = room_of("plain", "bench"), month_of(time.time())
        self._prepared = []
        for each in asked:
            asks = asks_of(room.prefix, each, month.period)
            keys = [room.leases, room.holds, *[ask.key for ask in asks]]
            begin: list[Any] = [60_000_000, month.starts_at * 1_000_000, month.resets_at * 1_000_000, holds_of(asks)]
            for ask in asks:
                begin += (ask.form, ask.amount, ask.cap, ask.window_us)
            end: list[Any] = ["settle", time.time_ns() // 1000]
            for ask in asks:
                end += (ask.form, ask.amount, USED.get(ask.kind, 0), ask.cap, ask.window_us)
            self._prepared.append((keys, begin, end))

    async def apart(self, number: int) -> None:
        keys, begin, end = self._prepared[number % USERS]
        permit = new_entry_id()
        await self._redis.evalsha(self._shas[0], len(keys), *keys, permit, *begin)
        await self._redis.evalsha(self._shas[1], len(keys), *keys, permit, *end)

    async def piped(self, number: int) -> None:
        keys, begin, end = self._prepared[number % USERS]
        permit = new_entry_id()
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.evalsha(self._shas[0], len(keys), *keys, permit, *begin)
            pipe.evalsha(self._shas[1], len(keys), *keys, permit, *end)
            await pipe.execute()

    async def warm(self) -> None:
        for keys, _, _ in self._prepared:
            for key in keys[2:]:
                if ":usage:" in key:
                    await self._redis.hset(key, "used", "0")


def limited(limiter: RedisLimiter | MemoryLimiter, asked: list[list[Charge]]) -> Call:
    async def call(number: int) -> None:
        permit = await limiter.acquire(asked[number % USERS], tenant="bench")
        await permit.settle(USED)

    return call


async def script_us(redis: Redis, limiter: RedisLimiter, asked: list[list[Charge]], calls: int) -> dict[str, float]:
    """µs that the server spends on each script."""
    await redis.config_resetstat()
    permits = [await limiter.acquire(asked[number % USERS], tenant="bench") for number in range(calls)]
    acquire = (await redis.info("commandstats"))["cmdstat_evalsha"]["usec_per_call"]
    await redis.config_resetstat()
    for permit in permits:
        await permit.settle(USED)
    settle = (await redis.info("commandstats"))["cmdstat_evalsha"]["usec_per_call"]
    return {"acquire": float(acquire), "settle": float(settle)}


async def measure(calls: int, rounds: int) -> dict[str, Any]:
    with ValkeyProcess() as server:
        clock = SystemClock()
        client = RedisClient(server.url, clock=clock, deadline_s=5.0)
        await client.open()
        limiter = RedisLimiter(client, ledger=MemoryLedger(), clock=clock)
        await limiter.open()
        in_memory = MemoryLimiter(clock)
        redis = Redis(host="127.0.0.1", port=server.port, protocol=2, max_connections=CALLERS)
        found: dict[str, Any] = {"calls_per_round": calls, "rounds": rounds}
        shas = [await redis.script_load((_LUA / f"{name}_v1.lua").read_text()) for name in ("acquire", "settle")]
        for name in TERMS:
            asked = charges(name)
            plain = PlainCalls(redis, (shas[0], shas[1]), asked)
            await plain.warm()
            kinds = {
                "limiter": limited(limiter, asked),
                "redis_py_apart": plain.apart,
                "redis_py_piped": plain.piped,
                "in_memory": limited(in_memory, asked),
            }
            figures: dict[str, list[float]] = {kind: [] for kind in kinds}
            for call in kinds.values():
                await at_once(call, max(USERS, calls // 4))
            for _ in range(rounds):
                for kind, call in kinds.items():
                    figures[kind].append(await cpu_us(call, calls))
            alone, busy = [await acquire_ms(limiter, asked, calls // 2, callers) for callers in (1, CALLERS)]
            found[name] = {
                "charges": len(asked[0]),
                "cpu_us": figures,
                "acquire_ms": {
                    "one caller": [statistics.median(alone), statistics.quantiles(alone, n=100)[98]],
                    f"{CALLERS} callers": [statistics.median(busy), statistics.quantiles(busy, n=100)[98]],
                },
                "script_us": await script_us(redis, limiter, asked, calls // 8),
            }
        await limiter.aclose()
        await client.aclose()
        await redis.aclose()
    return found


def lines(found: dict[str, Any]) -> list[str]:
    told = []
    for name in TERMS:
        own = found[name]
        told.append(f"limits in redis, {own['charges']} counters ({name}):")
        middle = {kind: statistics.median(values) for kind, values in own["cpu_us"].items()}
        for kind, values in own["cpu_us"].items():
            ratios = [mine / each for mine, each in zip(own["cpu_us"]["limiter"], values, strict=True)]
            told.append(
                f"  {kind:<16} {middle[kind]:>7.1f} µs of CPU a request ({min(values):.1f}, {max(values):.1f})"
                + ("" if kind == "limiter" else f"; the limiter is {statistics.median(ratios):.2f} of it")
            )
        for how, (p50, p99) in own["acquire_ms"].items():
            told.append(f"  admission, {how:<12} p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        scripts = own["script_us"]
        told.append(f"  the server itself  {scripts['acquire']:.1f} µs to acquire, {scripts['settle']:.1f} to settle")
    return told


if __name__ == "__main__":
    sys.exit(
        run("limits", __doc__, lambda calls, rounds: uvloop.run(measure(calls, rounds)), lines, calls=8_000, rounds=5)
    )
