"""What the tests of limits share: a client whose scripts see a clock of the test's, a ledger that can be counted and taken away, and
limiters that leave nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.errors import AdmissionError, StoreUnavailable
from pulse_gateway.limits.limiter import Charge, Limiter, Permit
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.transport.redis import RedisClient, Script
from valkey_server import ValkeyProcess

TENANT = "acme"
_TIME_KEY = "test:time"
_open: list[str] = []  # limiters; the last to close looks whether a task was left behind


def requests(cap: int | None = 60, account: str = "u1", amount: int = 1, window_s: float = 60.0) -> Charge:
    return Charge(account=account, kind="requests", amount=amount, cap=cap, window_s=window_s)


def token_rate(amount: int, cap: int | None = 1_000, account: str = "u1", window_s: float = 60.0) -> Charge:
    return Charge(account=account, kind="tokens", amount=amount, cap=cap, window_s=window_s)


def at_once(cap: int | None = 2, account: str = "u1") -> Charge:
    return Charge(account=account, kind="concurrency", amount=1, cap=cap)


def tokens(amount: int, cap: int | None = 1_000, account: str = "u1") -> Charge:
    return Charge(account=account, kind="tokens", amount=amount, cap=cap)


def money(amount: int, cap: int | None = 1_000, account: str = "key/k1") -> Charge:
    return Charge(account=account, kind="cost_nano_usd", amount=amount, cap=cap)


async def taken(limiter: Limiter, *charges: Charge) -> Permit | None:
    """The permit, or None for a refusal."""
    try:
        return await limiter.acquire(charges, tenant=TENANT)
    except AdmissionError:
        return None


class Books:
    """A ledger: balances by account, month and kind, that a test writes; the look-ups are counted, and it can be away."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, int], dict[str, int]] = {}
        self.asked: list[tuple[str, tuple[str, ...], int]] = []
        self.is_away = False
        self.waits: asyncio.Event | None = None

    async def balances(self, tenant_id: str, accounts: Sequence[str], period: int, /) -> dict[str, dict[str, int]]:
        self.asked.append((tenant_id, tuple(accounts), period))
        if self.waits is not None:
            await self.waits.wait()
        await asyncio.sleep(0)
        if self.is_away:
            raise StoreUnavailable("the ledger is away", retry_after_s=1.0)
        return {account: dict(self.used[account, period]) for account in accounts if (account, period) in self.used}

    def write(self, account: str, period: int, **used: int) -> None:
        kinds = self.used.setdefault((account, period), {})
        for kind, amount in used.items():
            kinds[kind] = kinds.get(kind, 0) + amount


class ClockedRedis(RedisClient):
    """The scripts ask `clock` what time it is, on a real server: where they would ask it for `TIME`, they read a key instead."""

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__(url, clock=SystemClock(), deadline_s=1.0)
        self._handed_in = clock
        self._rewritten: dict[str, Script] = {}

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        now_us = round(self._handed_in.now() * 1e6)
        setting = super().command("HSET", _TIME_KEY, "s", now_us // 1_000_000, "us", now_us % 1_000_000)
        if script.name not in self._rewritten:
            source = script.source.replace("redis.call('TIME')", f"redis.call('HMGET', '{_TIME_KEY}', 's', 'us')")
            self._rewritten[script.name] = Script(script.name, source)
        _, reply = await asyncio.gather(setting, super().run(self._rewritten[script.name], keys, args))
        return reply


@contextlib.asynccontextmanager
async def opened(client: RedisClient) -> AsyncIterator[RedisClient]:
    await client.open()
    try:
        yield client
    finally:
        await client.aclose()


def limiting(server: ValkeyProcess, ledger: Any = None, **settings: Any) -> Any:
    """A limiter with a client of its own, as in a process of its own; afterwards no task of it may be left."""
    return limiting_at(server.url, ledger, **settings)


@contextlib.asynccontextmanager
async def limiting_at(
    url: str, ledger: Any = None, *, deadline_s: float = 0.2, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[RedisLimiter]:
    _open.append(url)
    clock = clock or SystemClock()
    async with opened(RedisClient(url, clock=SystemClock(), deadline_s=deadline_s)) as client:
        limiter = RedisLimiter(client, ledger=ledger or Books(), clock=clock, **settings)
        await limiter.open()
        try:
            yield limiter
        finally:
            await limiter.aclose()
            _open.remove(url)
    await asyncio.sleep(0)
    ours = [task for task in asyncio.all_tasks() if "pulse_gateway" in task.get_coro().cr_code.co_filename]  # type: ignore[union-attr]
    assert _open or not ours, f"tasks were left behind: {ours}"


async def until(holds: Callable[[], Any], why: str, *, within_s: float = 15.0) -> Any:
    """What `holds()` is as soon as it is true."""
    end = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {within_s} s: {why}"
        await asyncio.sleep(0.01)
    return found


def quota(server: ValkeyProcess, charge: Charge, field: str = "used", period: int | None = None) -> int | None:
    """What the server has of a monthly counter; None where it is cold."""
    month = time.strftime("%Y-%m", time.gmtime()) if period is None else f"{period // 100}-{period % 100:02d}"
    found = server.command("HGET", f"pulse:v1:{{{TENANT}}}:usage:{charge.kind}:{charge.account}:{month}", field)
    return None if found is None else int(found)


def running(server: ValkeyProcess, account: str = "u1") -> int:
    return int(server.command("GET", f"pulse:v1:{{{TENANT}}}:ratelimit:{account}:concurrency") or 0)


def held_permits(server: ValkeyProcess) -> int:
    """Permits that the server keeps, has not taken back and does not merely remember to have ended."""
    held = server.command("HVALS", f"pulse:v1:{{{TENANT}}}:holds")
    return sum(each not in {b"X", b"E||0"} for each in held)
