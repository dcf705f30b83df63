"""Clients that ask without end, what they were answered and when, and gateways whose stores a test breaks meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from typing import Any, NamedTuple, Self

import httpx
import msgspec
from pulse_process import Pulse, Simulation, open_folder, run_pulse

__all__ = ["Answer", "Callers", "Load", "Told", "make_key", "metric", "percentile", "serving", "until"]

SPECS = ("", "chunks=6", "chunks=10,chunk-delay=0.01", "delay=0.03")
_TICK_S = 0.005
_users = itertools.count(1)


class Answer(NamedTuple):
    """`took_s` lasts until its last byte; status 0 is a connection that failed."""

    request_id: str
    began_s: float
    took_s: float
    status: int
    degraded: str | None


class Load:
    """Clients that ask one thing after another, half of it streamed, until the block ends.

    `lag_s` is how late this process itself has been, at worst: on a machine that is short of time, answers are late with it.
    """

    def __init__(
        self,
        urls: Sequence[str],
        keys: Sequence[str],
        *,
        prefix: str,
        clients: int = 12,
        pause_s: float = 0.03,
        specs: Sequence[str] = SPECS,
    ) -> None:
        self.urls, self.keys, self.prefix, self.specs = urls, keys, prefix, specs
        self.clients, self.pause_s = clients, pause_s
        self.answers: list[Answer] = []
        self.lag_s = 0.0
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        self._tasks.append(asyncio.create_task(self._watch()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    def since(self, began_s: float, until_s: float = math.inf) -> list[Answer]:
        """What was asked from one moment to another (monotonic)."""
        return [each for each in self.answers if began_s <= each.began_s < until_s]

    async def some_more(self, count: int = 30) -> None:
        """Wait for that many further answers."""
        goal = len(self.answers) + count
        await until(lambda: len(self.answers) >= goal, "clients are answered")

    async def all_is_well(self) -> bool:
        """Whether the next ones are all answered, with limits decided by Redis."""
        seen = len(self.answers)
        await self.some_more()
        return all((each.status, each.degraded) == (200, None) for each in self.answers[seen:])

    async def _watch(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            await asyncio.sleep(_TICK_S)
            self.lag_s = max(self.lag_s, time.monotonic() - began - _TICK_S)

    async def _client(self, number: int) -> None:
        draw = random.Random(f"{self.prefix}{number}")
        headers = {"authorization": f"Bearer {self.keys[number % len(self.keys)]}"}
        async with httpx.AsyncClient(timeout=30, trust_env=False, headers=headers) as http:
            for count in itertools.count():
                if self._stop.is_set():
                    return
                self.answers.append(await self._ask(http, draw, f"{self.prefix}{number}-{count}"))
                await asyncio.sleep(self.pause_s * draw.uniform(0.5, 1.5))

    async def _ask(self, http: httpx.AsyncClient, draw: random.Random, request_id: str) -> Answer:
        spec = draw.choice(self.specs)
        body = {
            "model": f"openai:gpt-5.2+{spec}" if spec else "openai:gpt-5.2",
            "messages": [{"role": "user", "content": "قل لي شيئاً عن عمّان"}],
            "max_completion_tokens": 100,
            "stream": draw.random() < 0.5,
        }
        url = f"{draw.choice(list(self.urls))}/v1/chat/completions"
        began = time.monotonic()
        try:
            response = await http.post(url, json=body, headers={"x-request-id": request_id})
        except httpx.TransportError:
            return Answer(request_id, began, time.monotonic() - began, 0, None)
        degraded = response.headers.get("x-pulse-limits")
        return Answer(request_id, began, time.monotonic() - began, response.status_code, degraded)


class Told(NamedTuple):
    """`body` is empty for a stream, of which nothing but the head was read."""

    status: int
    body: bytes
    took_s: float


class Callers:
    """Many connections that are open already, on each of which somebody asks the same in the same moment.

    In bytes, because a client that takes time for each of them is no crowd.
    """

    def __init__(self, urls: Sequence[str], key: str, body: dict[str, Any]) -> None:
        encoded = msgspec.json.encode(body)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
        )
        self._addresses = [url.removeprefix("http://").partition(":") for url in urls]
        self._request = head.encode() + encoded
        self._open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> Self:
        for host, _, port in self._addresses:
            self._open.append(await asyncio.open_connection(host, int(port)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for _, writer in self._open:
            writer.transport.abort()

    async def ask(self) -> list[Told]:
        """What each is told; of a stream, how it begins."""
        return await asyncio.gather(*(self._ask(*each) for each in self._open))

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Told:
        began = time.monotonic()
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, has_length, after = head.partition(b"content-length: ")
        body = await reader.readexactly(int(after.split(b"\r\n")[0])) if has_length else b""
        return Told(int(head.split(b" ", 2)[1]), body, time.monotonic() - began)


def percentile(values: Sequence[float], percent: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


async def until(holds: Callable[[], Any], why: str, *, within_s: float = 30.0) -> Any:
    """What `holds()`, or what it promises, is as soon as it is true."""
    end = time.monotonic() + within_s
    while True:
        found = holds()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"not within {within_s:g} s: {why}"
        await asyncio.sleep(0.05)


async def metric(http: httpx.AsyncClient, name: str) -> float:
    """The value of one series; 0 where there is none yet."""
    for line in (await http.get("/metrics")).text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


def make_key(database_url: str, *more: str) -> str:
    """A key of a new user."""
    user = f"pressure{next(_users)}@example.com"
    made = run_pulse("keys", "create", "--user", user, *more, env={"PULSE_DATABASE_URL": database_url})
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@asynccontextmanager
async def serving(
    database_url: str, redis_urls: Sequence[str], simulation: Simulation, config: str = ""
) -> AsyncIterator[list[Pulse]]:
    """A gateway for each address of Redis, with the same configuration and journals side by side.

    They are started and stopped in a thread: a proxy between them and their stores lives in the loop.
    """
    with ExitStack() as opened:
        folder = opened.enter_context(open_folder())
        (folder / "pulse.toml").write_text(config, encoding="utf-8")
        settings = {**simulation.provider_environment(), "PULSE_JOURNAL_DIR": str(folder / "journal")}
        try:
            yield [
                await asyncio.to_thread(
                    opened.enter_context,
                    Pulse.serve(database_url, {**settings, "PULSE_REDIS_URL": redis_url}, cwd=folder),
                )
                for redis_url in redis_urls
            ]
        finally:
            await asyncio.to_thread(opened.close)
