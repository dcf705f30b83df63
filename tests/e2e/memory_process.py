"""A gateway with Redis, journal and ledger that answers so many requests; every so often it prints how large it has become.

python memory_process.py DATABASE_URL REDIS_URL JOURNAL_DIR REQUESTS

Half of the answers are streamed, one in twenty is left in the middle, one in fifty fails. The provider is scripted and in memory.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import psutil

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import LimitsConfig, PlanConfig, ProviderConfig, RetriesConfig
from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.transport.redis import RedisClient
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts
from pulse_host.database.pool import create_pool

USERS = 200
CLIENTS = 32
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def frame(**fields: object) -> bytes:
    return b"data: " + msgspec.json.encode({**CHUNK, **fields}) + b"\n\n"


def choice(finish: str | None, **delta: str) -> dict[str, object]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


STREAM = [
    frame(choices=[choice(None, role="assistant", content="hello")]),
    *[frame(choices=[choice(None, content=" again")]) for _ in range(4)],
    frame(choices=[choice("stop")]),
    frame(choices=[], usage=USAGE) + b"data: [DONE]\n\n",
]
MESSAGE = {"role": "assistant", "content": "hello"}
WHOLE = msgspec.json.encode(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
        "usage": USAGE,
    }
)
REFUSED = b'{"error":{"message":"no","type":"invalid_request_error","code":null}}'


class Answer:
    def __init__(self, status: int, kind: str, pieces: list[bytes]) -> None:
        self.status, self._pieces = status, pieces
        self.headers: Headers = (("content-type", kind),)

    def read_now(self) -> bytes | None:
        return None

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for piece in self._pieces:
            await asyncio.sleep(0)
            yield piece

    async def aclose(self) -> None: ...


class Provider:
    def __init__(self) -> None:
        self.asked = 0

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Answer:
        self.asked += 1
        if on_send is not None:
            on_send()
        if self.asked % 50 == 0:
            return Answer(400, "application/json", [REFUSED])
        if b'"stream":true' in request.body:
            return Answer(200, "text/event-stream", STREAM)
        return Answer(200, "application/json", [WHOLE])

    async def aclose(self) -> None: ...


def body(stream: bool) -> bytes:
    return msgspec.json.encode(
        {
            "model": "openai:gpt-5.2",
            "messages": [{"role": "user", "content": "مرحبا"}],
            "stream": stream,
            "max_completion_tokens": 16,
        }
    )


class Run:
    def __init__(self, gateway: Gateway, limiter: RedisLimiter, ledger: PostgresLedger, count: int) -> None:
        self.gateway, self.limiter, self.ledger, self.count = gateway, limiter, ledger, count
        self.done = 0
        self.statuses: Counter[int] = Counter()
        self._bodies = [body(stream=True), body(stream=False)]
        self._began = time.monotonic()
        self._next = 0

    async def client(self) -> None:
        while self._next < self.count:
            number, self._next = self._next, self._next + 1
            principal = self.gateway.principal(f"u{number % USERS}", "small")
            reply = await self.gateway.handle(
                Inbound(dialect="openai.chat", body=self._bodies[number % 2], principal=principal)
            )
            async with reply:
                async for _ in reply:
                    if number % 20 == 0:
                        break
            self.statuses[reply.status] += 1
            self.done += 1

    async def tell(self) -> None:
        """Once nothing is under way."""
        await self.ledger.flush()
        while self.limiter.outstanding or self.limiter.settlements_waiting:
            await asyncio.sleep(0.01)
        gc.collect()
        process = psutil.Process()
        figures = {
            "requests": self.done,
            "rss_bytes": process.memory_info().rss,
            "fds": process.num_fds(),
            "tasks": len(asyncio.all_tasks()),
            "permits": self.limiter.outstanding,
            "objects": len(gc.get_objects()),
            "seconds": round(time.monotonic() - self._began, 1),
            "statuses": self.statuses,
            "written": self.ledger.written,
        }
        print(json.dumps(figures), flush=True)


async def main(database_url: str, redis_url: str, folder: str, count: int) -> None:
    config = Config(
        providers={"openai": ProviderConfig(key="k", base_url="http://provider.example")},
        retries=RetriesConfig(base_s=0.01, max_wait_s=0.02),
        limits=LimitsConfig(requests="60000/60s", tokens="100000000/60s", concurrency=100),
        plans={"small": PlanConfig(tokens=1_000_000_000)},
    )
    clock = SystemClock()
    pool = await create_pool(database_url)
    ledger = PostgresLedger(pool, journal=Journal.take(Path(folder)), clock=clock)
    await ledger.start()
    client = RedisClient(redis_url, clock=clock, deadline_s=1.0)
    await client.open()
    limiter = RedisLimiter(client, ledger=ledger, clock=clock)
    await limiter.open()
    async with Gateway(config, limiter=limiter, ledger=ledger, transport=Provider(), observers=()) as gateway:
        run = Run(gateway, limiter, ledger, 0)
        for _ in range(20):
            run.count += count // 20
            await asyncio.gather(*[run.client() for _ in range(CLIENTS)])
            await run.tell()
    await limiter.aclose()
    await ledger.aclose()
    await client.aclose()
    await pool.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
