"""What the tests of the Redis client share: an opened client, a script that answers with what it was given, and patience."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from pulse_gateway.clock import SystemClock
from pulse_gateway.transport.redis import RedisClient, RedisUnavailable, Script

ECHO = Script("echo", "return ARGV[1]")
COUNT = Script("count", "return redis.call('INCR', KEYS[1])")
DEADLINE_S = 0.1
BACK_S = 5.0  # how soon after a fault everything is to be as before


@contextlib.asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[RedisClient]:
    """An open client; afterwards no task of it may be left."""
    client = RedisClient(url, clock=SystemClock(), **settings)
    await client.open()
    try:
        yield client
    finally:
        began = time.monotonic()
        await client.aclose()
        assert time.monotonic() - began < 2, "closing takes too long"
    await asyncio.sleep(0)
    left = [task for task in asyncio.all_tasks() if "/transport/redis" in task.get_coro().cr_code.co_filename]  # type: ignore[union-attr]
    assert not left, "a task was left behind"


async def echo(client: RedisClient, text: str) -> str:
    return str((await client.run(ECHO, ["{t}:key"], [text])).decode())


async def until(holds: Callable[[], bool], why: str, *, within_s: float = 15.0) -> float:
    """The seconds until `holds()`."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, f"not within {within_s} s: {why}"
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def works_again(client: RedisClient, *, within_s: float = BACK_S) -> float:
    """The seconds until a call is answered."""
    began = time.monotonic()
    while True:
        try:
            assert await echo(client, "back") == "back"
            return time.monotonic() - began
        except RedisUnavailable:
            assert time.monotonic() - began < within_s, f"not back within {within_s} s"
            await asyncio.sleep(0.01)
