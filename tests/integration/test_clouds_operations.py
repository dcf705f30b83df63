"""What Azure, Vertex and Bedrock have beside chat, through the gateway, against their simulators."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import ProviderConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.identity import Principal

ROUTES = {
    "openai.embeddings": "embeddings",
    "openai.images.generations": "images",
    "openai.speech": "speech",
    "cohere.rerank": "rerank",
    "anthropic.count_tokens": "count_tokens",
}
TITAN, COHERE = "bedrock:amazon.titan-embed-text-v2:0", "bedrock:us.cohere.embed-v4:0"
TEXTS = ["مرحبا", "hello there", "third"]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
async def gateway(simulator: Simulator, ledger: MemoryLedger) -> AsyncIterator[Gateway]:
    url = simulator.url
    providers = {
        "azure": ProviderConfig(key="k", base_url=url),
        "azure-dated": ProviderConfig(kind="azure", key="k", base_url=f"{url}?api-version=2024-10-21"),
        "vertex": ProviderConfig(key="ya29.test", base_url=f"{url}/v1/projects/p/locations/global"),
        "bedrock": ProviderConfig(key="AKIASIMULATOR:simulator-secret", base_url=f"{url}?region=eu-west-1"),
    }
    async with Gateway(Config(providers=providers), ledger=ledger) as made:
        yield made


async def asked(gateway: Gateway, dialect: str, body: dict[str, Any], status: int = 200) -> Any:
    principal = Principal(user_id="u1", plan=gateway.plans["unlimited"])
    inbound = Inbound(dialect=dialect, operation=ROUTES[dialect], body=json.dumps(body).encode(), principal=principal)
    async with await gateway.handle(inbound) as reply:
        data = reply.body if reply.stream is None else b"".join([piece async for piece in reply])
        assert reply.status == status, data
        return json.loads(data) if data.startswith(b"{") else data


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("azure:text-embedding-3-small", 1536),
        ("azure-dated:text-embedding-3-small", 1536),
        ("vertex:gemini-embedding-2", 3072),
        ("vertex:gemini-embedding-001", 3072),
        ("vertex:text-embedding-005", 768),
        (TITAN, 1024),
        (COHERE, 1536),
    ],
)
async def test_texts_become_vectors_in_their_order(
    gateway: Gateway, ledger: MemoryLedger, model: str, size: int
) -> None:
    answer = await asked(gateway, "openai.embeddings", {"model": model, "input": TEXTS})
    assert [(each["index"], len(each["embedding"])) for each in answer["data"]] == [(n, size) for n in range(3)]
    alone = await asked(gateway, "openai.embeddings", {"model": model, "input": TEXTS[1], "dimensions": 256})
    assert len(alone["data"][0]["embedding"]) == 256
    usage = ledger.entries[0].usage
    assert usage.input_tokens and usage.input_tokens == answer["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("model", "more", "param"),
    [
        (TITAN, {"input": [[1, 2]]}, "input"),
        (COHERE, {"input": [""]}, "input"),
        ("vertex:gemini-embedding-2", {"input": [[1, 2]]}, "input"),
        ("bedrock:anthropic.claude-x", {"input": "a"}, "model"),
    ],
)
async def test_what_makes_no_vector_is_refused_by_name(
    gateway: Gateway, model: str, more: dict[str, Any], param: str
) -> None:
    answer = await asked(gateway, "openai.embeddings", {"model": model, **more}, status=400)
    assert answer["error"]["param"] == param


@pytest.mark.parametrize("model", ["vertex:gemini-3.8-flash", "bedrock:eu.anthropic.claude-sonnet-4-5-20250929-v1:0"])
async def test_a_prompt_is_counted_as_the_vendor_would(gateway: Gateway, ledger: MemoryLedger, model: str) -> None:
    chat = {"model": model, "system": "be brief", "messages": [{"role": "user", "content": "مرحبا"}]}
    counted = (await asked(gateway, "anthropic.count_tokens", chat))["input_tokens"]
    with_tool = {**chat, "tools": [{"name": "f", "input_schema": {"type": "object"}}]}
    assert (await asked(gateway, "anthropic.count_tokens", with_tool))["input_tokens"] > counted > 0
    assert ledger.entries[0].tokens == 0


async def test_documents_are_ranked(gateway: Gateway, ledger: MemoryLedger) -> None:
    body = {
        "model": "bedrock:cohere.rerank-v3-5:0",
        "query": "red car",
        "documents": ["a blue car", "the red car", "a dog"],
        "top_n": 2,
    }
    answer = await asked(gateway, "cohere.rerank", body)
    assert [each["index"] for each in answer["results"]] == [1, 0]
    assert ledger.entries[0].usage.searches == 1
    refused = await asked(gateway, "cohere.rerank", {**body, "model": "bedrock:amazon.rerank-v1:0"}, status=400)
    assert refused["error"]["param"] == "model"


@pytest.mark.parametrize(
    "model",
    [
        "azure:gpt-image-1.5",
        "azure-dated:gpt-image-1.5",
        "vertex:gemini-3.1-flash-image",
        "vertex:imagen-4.0-generate-001",
    ],
)
async def test_images_are_made(gateway: Gateway, ledger: MemoryLedger, model: str) -> None:
    answer = await asked(
        gateway, "openai.images.generations", {"model": model, "prompt": "بيت", "n": 2, "size": "1024x1024"}
    )
    assert len(answer["data"]) == 2 and all(each["b64_json"] for each in answer["data"])
    usage = ledger.entries[0].usage
    assert usage.images == 2 or usage.image_output_tokens


async def test_azure_speaks(gateway: Gateway) -> None:
    for model in ("azure:gpt-4o-mini-tts", "azure-dated:tts-1"):
        sound = await asked(gateway, "openai.speech", {"model": model, "input": "مرحبا", "voice": "alloy"})
        assert isinstance(sound, bytes) and len(sound) > 100
