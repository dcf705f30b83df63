"""What the tests of the Redis client share: an opened client, a script that answers with what it was given, and patience."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import hiredis

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


class ScriptedRedis:
    """Speaks the protocol's framing, keeps what it was sent slice by slice, and answers when a test says so."""

    def __init__(self) -> None:
        self.port = 0
        self.batches: list[list[list[bytes]]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ScriptedRedis:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self.writers:
            writer.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.writers.append(writer)
        parser = hiredis.Reader()
        try:
            while data := await reader.read(65_536):
                parser.feed(data)
                commands = []
                while command := parser.gets():
                    commands.append(command)
                if commands[0][0] in {b"CLIENT", b"SET"}:  # what a connection begins with
                    writer.write(b"+OK\r\n" * len(commands))
                else:
                    self.batches.append(commands)
        except OSError:
            pass
        finally:
            writer.close()


class Lag:
    """How late this process's loop has been at worst, while the block lasted: what is measured in it may be late by as much, on a machine that
    has other things to do."""

    worst_s = 0.0
    _TICK_S = 0.005

    async def __aenter__(self) -> Lag:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(2 * self._TICK_S)  # the last look too
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(self._TICK_S)
            self.worst_s = max(self.worst_s, time.monotonic() - began - self._TICK_S)


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
