"""`Server-Timing`: what an answer took, by the stages that may wait."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

import msgspec

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import ProviderConfig
from pulse_gateway.limits.limiter import Charge, Permit, Ready
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.moderation.moderator import ALLOWED, Content, Verdict
from pulse_gateway.testing import FakeClock
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

BODY = msgspec.json.encode({"model": "openai:m", "messages": [{"role": "user", "content": "hi"}]})
ANSWER = msgspec.json.encode(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8},
    }
)


class _Answer:
    status = 200
    headers: Headers = (("content-type", "application/json"),)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield ANSWER

    def read_now(self) -> bytes | None:
        return ANSWER

    async def aclose(self) -> None:
        return


class _Provider:
    """Takes two seconds."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> _Answer:
        if on_send is not None:
            on_send()
        self._clock.advance(2.0)
        return _Answer()

    async def aclose(self) -> None:
        return


class _Moderator:
    """Takes a quarter of one."""

    name = "slow"

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    async def review(self, content: Content, /) -> Verdict:
        self._clock.advance(0.25)
        return ALLOWED


class _Limiter(MemoryLimiter):
    """Takes half of one."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self._slow = clock

    def acquire(self, charges: Sequence[Charge], *, tenant: str) -> Ready[Permit]:
        self._slow.advance(0.5)
        return super().acquire(charges, tenant=tenant)


async def timing_of(*, reviewed: bool = False) -> dict[str, float]:
    clock = FakeClock()
    async with Gateway(
        Config(providers={"openai": ProviderConfig(key="k", base_url="http://127.0.0.1:1/v1")}),
        transport=_Provider(clock),
        limiter=_Limiter(clock),
        moderators=[_Moderator(clock)] if reviewed else [],
        clock=clock,
        observers=(),
    ) as gateway:
        reply = await gateway.handle(Inbound(dialect="openai.chat", body=BODY, principal=gateway.principal("u1")))
    (told,) = [value for name, value in reply.headers if name == "server-timing"]
    return {name: float(ms) for name, ms in re.findall(r"(\w+);dur=([0-9.]+)(?:, |$)", told)}


async def test_an_answer_tells_what_the_provider_took_and_what_the_gateway_did() -> None:
    assert await timing_of() == {"gateway": 500.0, "upstream": 2000.0, "limits": 500.0}


async def test_reviews_of_the_prompt_and_the_answer_are_a_stage_where_there_are_some() -> None:
    assert await timing_of(reviewed=True) == {
        "gateway": 1000.0,
        "upstream": 2000.0,
        "limits": 500.0,
        "moderation": 500.0,
    }
