"""What is held for a call of which nobody knows yet what it will use."""

from __future__ import annotations

import calendar

import msgspec
import pytest

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.quote import quote
from pulse_gateway.pipeline.terms import Need
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.codec import Envelope

CATALOG = Catalog.load(now=lambda: calendar.timegm((2026, 11, 24, 12, 0, 0)))


def held(expected: Usage, *models: str) -> Need:
    exchange = Exchange(Inbound(), None, 0.0)
    exchange.envelope = Envelope(model="m", stream=False, expected=expected, max_output_tokens=1_000)
    exchange.candidates = tuple(
        Deployment(provider=provider, kind=provider, model=CATALOG.model(provider, name), base_url="https://x.example")
        for provider, name in (each.split(":") for each in models)
    )
    return quote(4_096)(exchange, priced=True)


@pytest.mark.parametrize(
    ("expected", "model", "nano_usd"),
    [
        (Usage(), "google:gemini-3-pro-image", 12_000_000),
        (Usage(images=1), "google:gemini-3-pro-image", 120_000_000),
        (Usage(video_ms=8_000), "google:gemini-omni-1.1-flash", 17_500_000),
        (Usage(images=2), "stability:ultra", 160_000_000),
        (Usage(video_ms=8_000, variant="4k"), "vertex:veo-3.1-generate-001", 4_800_000_000),
        (Usage(characters=1_000), "openai:tts-1", 15_000_000),
    ],
)
def test_what_is_made_is_held_at_what_it_costs(expected: Usage, model: str, nano_usd: int) -> None:
    assert held(expected, model).cost_nano_usd == nano_usd


def test_the_dearest_of_those_that_may_be_asked_is_held() -> None:
    need = held(Usage(images=1), "stability:core", "google:gemini-3-pro-image", "replicate:google/nano-banana-pro")
    assert (need.cost_nano_usd, need.images) == (120_000_000, 1)
    assert held(Usage(images=1), "replicate:google/nano-banana-pro").cost_nano_usd is None


@pytest.mark.parametrize(
    ("dialect", "body", "model", "tokens", "nano_usd"),
    [
        ("openai.images.generations", {"prompt": "a cat", "n": 4}, "google:gemini-3-pro-image", 4_250, 509_764_000),
        ("openai.images.generations", {"prompt": "a cat", "n": 4}, "stability:core", 0, 120_000_000),
        ("openai.speech", {"input": "hello " * 100, "voice": "x"}, "openai:gpt-4o-mini-tts", 990, 10_170_000),
        ("openai.speech", {"input": "hello " * 100, "voice": "x"}, "openai:tts-1", 0, 9_000_000),
    ],
)
def test_what_a_request_itself_expects_of_its_answer_is_held(
    dialect: str, body: dict[str, object], model: str, tokens: int, nano_usd: int
) -> None:
    """Of pictures nobody says how many tokens they may take at most. What is sold by the piece takes none."""
    exchange = Exchange(Inbound(operation=wire.face(dialect).operation), None, 0.0)
    exchange.envelope = wire.face(dialect).read_envelope(Payload(msgspec.json.encode({"model": "m", **body})))
    provider, name = model.split(":")
    exchange.candidates = (
        Deployment(provider=provider, kind=provider, model=CATALOG.model(provider, name), base_url="https://x.example"),
    )
    need = quote(4_096)(exchange, priced=True)
    assert (need.tokens, need.cost_nano_usd) == (tokens, nano_usd)
