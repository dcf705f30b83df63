"""What an answer is said to have used, when the provider says only a part of it."""

from __future__ import annotations

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound, UsageSource
from pulse_gateway.config import ProviderConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts


class Answer:
    status = 200
    headers: Headers = (("content-type", "application/json"),)

    def __init__(self, usage: dict[str, int]) -> None:
        message = {"role": "assistant", "content": "hello"}
        self._body = msgspec.json.encode(
            {
                "id": "c",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": usage,
            }
        )

    def read_now(self) -> bytes | None:
        return None

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        yield self._body

    async def aclose(self) -> None: ...


class Provider:
    def __init__(self, usage: dict[str, int]) -> None:
        self._usage = usage

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Answer:
        return Answer(self._usage)

    async def aclose(self) -> None: ...


@pytest.mark.parametrize(
    ("usage", "tokens", "source"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}, 8, UsageSource.PROVIDER),
        ({"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}, 3, UsageSource.PROVIDER),
        ({"completion_tokens": 3}, 1_000 + 3, UsageSource.ESTIMATED),  # the prompt was not given away
    ],
)
async def test_a_prompt_nobody_counted_is_charged_by_estimate(
    usage: dict[str, int], tokens: int, source: UsageSource
) -> None:
    ledger = MemoryLedger()
    config = Config(providers={"openai": ProviderConfig(key="k", base_url="http://openai.example")})
    body = {"model": "openai:m", "messages": [{"role": "user", "content": "word" * 1_000}]}
    async with Gateway(config, transport=Provider(usage), ledger=ledger, observers=()) as gateway:
        asked = Inbound(dialect="openai.chat", body=msgspec.json.encode(body), principal=gateway.principal("u"))
        assert (await gateway.handle(asked)).status == 200
    (entry,) = ledger.entries
    assert (entry.tokens, entry.source) == (tokens, source)
