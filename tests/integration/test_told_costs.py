"""What vendors say that a call costs is what the ledger has, in whole nano-dollars, and what the client is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from media_parts import PNG, asked, edit, edit_form, gateway_to, image
from vendor_stub import Vendor

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.catalog.settings import ModelConfig, PriceConfig
from pulse_gateway.config import ProviderConfig
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator

OPENROUTER, PERPLEXITY, PICTURES = "openrouter:org/some-model", "perplexity:sonar-pro", "openrouter:openai/gpt-5-image"
ONE_AT_A_TIME = "openrouter:google/gemini-3.1-flash-image"
HI = [{"role": "user", "content": "Hello"}]
NANO_USD_PER_TOKEN = 2_000  # of the simulated OpenRouter
NANO_USD_PER_IMAGE_TOKEN = 30_000
NANO_USD_PER_XAI_IMAGE = 20_000_000


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


async def chat(gateway: Gateway, dialect: str, model: str, **fields: Any) -> dict[str, str]:
    """The head of the answer, once all of it has been read."""
    body = {"model": model, "messages": HI, **({"max_tokens": 64} if dialect == "anthropic.messages" else {}), **fields}
    reply = await gateway.handle(
        Inbound(dialect=dialect, operation="chat", body=json.dumps(body).encode(), principal=gateway.principal("u"))
    )
    assert reply.status == 200, reply.body
    async with reply:
        if reply.stream is not None:
            assert [piece async for piece in reply]
    return dict(reply.headers)


def only(ledger: MemoryLedger) -> UsageEntry:
    [entry] = ledger.entries
    return entry


@pytest.mark.parametrize("dialect", ["openai.chat", "anthropic.messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_costs_what_openrouter_says(simulator: Simulator, dialect: str, stream: bool) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        head = await chat(gateway, dialect, OPENROUTER, stream=stream)
    entry = only(ledger)
    assert entry.cost_nano_usd == entry.tokens * NANO_USD_PER_TOKEN > 0
    assert (entry.price_source, entry.price_version) == ("openrouter: usage.cost", None)
    if not stream:
        assert int(head["x-pulse-cost-usd"].replace("0.", "").ljust(9, "0")) == entry.cost_nano_usd


@pytest.mark.parametrize("stream", [False, True])
async def test_a_search_of_perplexitys_is_paid_for_beside_its_tokens(simulator: Simulator, stream: bool) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        await chat(gateway, "openai.chat", PERPLEXITY, stream=stream)
    entry = only(ledger)
    used = entry.usage
    assert entry.cost_nano_usd == 6_000_000 + 3_000 * used.input_total + 15_000 * used.output_total


async def test_images_cost_what_openrouter_says_over_all_calls(simulator: Simulator) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        assert (await image(gateway, PICTURES, n=3)).status == 200
        assert (await edit(gateway, edit_form(PICTURES, PNG))).status == 200
        assert len(json.loads((await image(gateway, ONE_AT_A_TIME, n=2)).body)["data"]) == 2
    assert [entry.images for entry in ledger.entries] == [3, 1, 2]
    for entry in ledger.entries:
        assert entry.cost_nano_usd == entry.tokens * NANO_USD_PER_IMAGE_TOKEN > 0


async def test_what_came_without_an_image_costs_what_openrouter_says_all_the_same(simulator: Simulator) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        assert (await image(gateway, f"{PICTURES}+blocked")).status == 502
    entry = only(ledger)
    assert (entry.images, entry.cost_nano_usd) == (0, entry.tokens * NANO_USD_PER_IMAGE_TOKEN)
    assert entry.price_source == "openrouter: usage.cost"


async def test_what_xais_filter_held_back_costs_nothing_though_it_is_told_of(simulator: Simulator) -> None:
    ledger, model = MemoryLedger(), "xai:grok-imagine-image+filtered=1"
    async with gateway_to(simulator.url, ledger) as gateway:
        assert (await image(gateway, model, n=3)).status == 200
        assert len(json.loads((await edit(gateway, edit_form(model, PNG, n="3"))).body)["data"]) == 2
    for entry in ledger.entries:
        assert entry.images == 2
        assert (entry.cost_nano_usd, entry.price_source) == (2 * NANO_USD_PER_XAI_IMAGE, "xai: usage.cost_in_usd_ticks")


@pytest.mark.parametrize("edits", [False, True], ids=["images", "edits"])
@pytest.mark.parametrize(("kind", "cost"), [("xai", NANO_USD_PER_XAI_IMAGE), ("openai_compatible", 0)])
async def test_an_image_that_is_held_back_costs_what_xai_says(edits: bool, kind: str, cost: int) -> None:
    words = "Generated image rejected by content moderation."
    told = {"code": "invalid", "error": words, "usage": {"cost_in_usd_ticks": 10 * NANO_USD_PER_XAI_IMAGE}}
    provider = ProviderConfig(kind=kind, key="x", base_url="https://vendor.example/v1")
    ledger, vendor = MemoryLedger(), Vendor(told, status=400)
    price = ModelConfig(price=PriceConfig(image={"": 5.0})) if kind != "xai" else ModelConfig()
    config = Config(providers={"v": provider}, catalog={"v:grok-imagine-image": price})
    async with Gateway(config, transport=vendor, ledger=ledger, observers=()) as gateway:
        model = "v:grok-imagine-image"
        reply = await (edit(gateway, edit_form(model, PNG)) if edits else image(gateway, model))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "content_blocked")
    entry = only(ledger)
    assert (entry.images, entry.cost_nano_usd, len(vendor.requests)) == (0, cost, 1)


async def test_a_program_reads_what_its_image_has_cost(simulator: Simulator) -> None:
    async with gateway_to(simulator.url) as gateway:
        request = asked(gateway, "openai.images.generations", "images", {"model": PICTURES, "prompt": "a fox"})
        assert dict((await gateway.handle(request)).headers)["x-pulse-cost-usd"] != "0"
        made = await gateway.image(model=PICTURES, prompt="a fox", user="u")
        assert made.cost == made.usage.total * NANO_USD_PER_IMAGE_TOKEN  # type: ignore[union-attr]


async def test_what_is_not_said_is_not_made_up(simulator: Simulator) -> None:
    """A model without a price, of which this time nothing is told."""
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        await chat(gateway, "openai.chat", f"{OPENROUTER}+no-usage")
    entry = only(ledger)
    assert (entry.cost_nano_usd, entry.price_source) == (None, None)


async def test_an_address_that_nobody_knows_cannot_make_its_calls_free_or_dear(simulator: Simulator) -> None:
    ledger, address = MemoryLedger(), f"{simulator.url}/as/openrouter/api/v1"
    config = Config(providers={"mine": ProviderConfig(kind="openai_compatible", base_url=address, key="x")})
    async with Gateway(config, ledger=ledger, observers=()) as gateway:
        await chat(gateway, "openai.chat", "mine:org/some-model")
    assert only(ledger).cost_nano_usd is None
