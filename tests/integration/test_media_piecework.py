"""What is sold by the minute or the character uses no tokens, in whichever form it comes, and says at once what it costs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from media_parts import gateway_to, listen, speak

from pulse_gateway import Gateway
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator

_SPOKEN = "Good morning, fox."


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
async def gateway(simulator: Simulator, ledger: MemoryLedger) -> AsyncIterator[Gateway]:
    async with gateway_to(simulator.url, ledger) as running:
        yield running


def last(ledger: MemoryLedger) -> UsageEntry:
    return list(ledger.entries)[-1]


@pytest.mark.parametrize("form", ["json", "verbose_json", "text", "srt", "vtt"])
@pytest.mark.parametrize("translate", [False, True])
async def test_a_recording_sold_by_the_minute_is_charged_alike_in_every_form(
    gateway: Gateway, ledger: MemoryLedger, form: str, translate: bool
) -> None:
    reply = await listen(gateway, "whisper-1", translate=translate, response_format=form)
    assert reply.status == 200, reply.body
    entry = last(ledger)
    assert (entry.tokens, entry.usage.audio_ms, entry.cost_nano_usd) == (0, 2_000, 200_000)


@pytest.mark.parametrize(
    ("model", "voice", "nano_usd"),
    [
        ("openai:tts-1", "alloy", 270_000),
        ("xai:grok-tts", "eve", 270_000),
        ("together:cartesia/sonic-2", "laidback woman", None),
        ("mistral:voxtral-mini-tts-2603", "en_paul_neutral", 288_000),
    ],
)
async def test_speech_sold_by_the_character_uses_no_tokens_and_tells_its_cost(
    gateway: Gateway, ledger: MemoryLedger, model: str, voice: str, nano_usd: int | None
) -> None:
    reply = await speak(gateway, model, voice)
    assert reply.status == 200, reply.body
    async with reply:
        async for _ in reply:
            pass
    entry = last(ledger)
    assert (entry.tokens, entry.usage.characters, entry.cost_nano_usd) == (0, len(_SPOKEN), nano_usd)
    told = dict(reply.headers).get("x-pulse-cost-usd")
    assert told == (None if nano_usd is None else f"{nano_usd / 10**9:f}".rstrip("0"))


async def test_speech_sold_by_the_token_uses_as_many_as_it_may_have_taken(
    gateway: Gateway, ledger: MemoryLedger
) -> None:
    reply = await speak(gateway, "gpt-4o-mini-tts", "alloy")
    async with reply:
        async for _ in reply:
            pass
    assert last(ledger).tokens > 0
    headers = dict(reply.headers)
    assert headers["x-pulse-usage"] == "estimated"
    assert round(float(headers["x-pulse-cost-usd"]) * 10**9) == last(ledger).cost_nano_usd
