"""Embeddings, moderation, rerank and counting through the whole pipeline: what reaches a vendor, a client, the ledger and the limits."""

from __future__ import annotations

import base64
import struct
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from vendor_stub import Vendor

from pulse_gateway import Config, Gateway, Inbound, Outcome, UsageSource
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import LimitsConfig, ModerationConfig, PlanConfig, ProviderConfig, RetriesConfig
from pulse_gateway.errors import ContentBlocked, QuotaExceeded, RateLimited, UnsupportedParameter, UpstreamRateLimited
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.usage import Usage

OPENAI, GOOGLE = "openai:text-embedding-3-small", "google:gemini-embedding-001"
COUNTED = ["openai:gpt-5.2", "anthropic:claude-opus-5", "google:gemini-3.8-flash"]
COMPATIBLE = {
    "mistral": "mistral-embed",
    "together": "intfloat/multilingual-e5-large-instruct",
    "fireworks": "nomic-ai/nomic-embed-text-v1.5",
    "openrouter": "openai/text-embedding-3-small",
    "ollama": "nomic-embed-text",
    "vllm": "intfloat/e5-small",
    "lmstudio": "nomic-embed",
}
ARABIC = "ما هي عاصمة الأردن؟"


class Kept:
    """Everything that was recorded."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.limiter = MemoryLimiter(SystemClock())

    @property
    def entry(self) -> Any:
        return self.ledger.entries[-1]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


def made(kept: Kept, url: str = "http://vendor.test", transport: Any = None, **settings: Any) -> Gateway:
    providers = {
        "openai": ProviderConfig(key="x", base_url=f"{url}/v1"),
        **{name: ProviderConfig(key="x", base_url=f"{url}/as/{name}/v1") for name in COMPATIBLE},
        "anthropic": ProviderConfig(key="x", base_url=url),
        "google": ProviderConfig(key="x", base_url=url),
    }
    config = Config(providers=providers, retries=RetriesConfig(attempts=1), **settings)
    return Gateway(config, ledger=kept.ledger, limiter=kept.limiter, transport=transport, observers=())


@pytest.fixture
async def gateway(simulator: Simulator, kept: Kept) -> AsyncIterator[Gateway]:
    async with made(kept, simulator.url) as opened:
        yield opened
    assert kept.limiter.outstanding == 0


class Said:
    def __init__(self, reply: Any) -> None:
        self.status, self.raw, self.headers = reply.status, reply.body, dict(reply.headers)
        self.body: Any = msgspec.json.decode(reply.body)


_OPERATIONS = {
    "openai.embeddings": "embeddings",
    "gemini.embed_content": "embeddings",
    "gemini.batch_embed_contents": "embeddings",
    "openai.moderations": "moderation",
    "cohere.rerank": "rerank",
    "anthropic.count_tokens": "count_tokens",
    "gemini.count_tokens": "count_tokens",
    "openai.responses.input_tokens": "count_tokens",
}


async def ask(gateway: Gateway, dialect: str, model: str, body: Any, **more: Any) -> Said:
    """As the host hands it over; `body` is bytes, or members without the model."""
    in_path = dialect.startswith("gemini.")
    if not isinstance(body, bytes):
        body = msgspec.json.encode(body if in_path else {"model": model, **body})
    inbound = Inbound(
        dialect=dialect,
        operation=_OPERATIONS[dialect],
        body=body,
        model=model if in_path else None,
        principal=gateway.principal("u"),
        **more,
    )
    return Said(await gateway.handle(inbound))


def contents(model: str, *texts: str, **members: Any) -> dict[str, Any]:
    """As the official SDK writes them: each request names the model again."""
    named = f"models/{model}"
    return {"requests": [{"model": named, "content": {"parts": [{"text": text}]}, **members} for text in texts]}


# ── over real sockets, against vendors that refuse what theirs refuse ─────────────────────────────────────────────────


@pytest.mark.parametrize("model", [OPENAI, GOOGLE])
async def test_every_dialect_gets_the_same_vectors_and_pays_the_same(
    gateway: Gateway, simulator: Simulator, kept: Kept, model: str
) -> None:
    floats = await ask(gateway, "openai.embeddings", model, {"input": ["one", ARABIC], "dimensions": 256})
    packed = await ask(
        gateway, "openai.embeddings", model, {"input": ["one", ARABIC], "dimensions": 256, "encoding_format": "base64"}
    )
    batch = await ask(
        gateway, "gemini.batch_embed_contents", model, contents(model, "one", ARABIC, outputDimensionality=256)
    )
    native = await gateway.embed(model=model, input=["one", ARABIC], user="u", dimensions=256)
    vectors = [each["embedding"] for each in floats.body["data"]]
    assert [len(vector) for vector in vectors] == [256, 256]
    unpacked = [struct.unpack("<256f", base64.b64decode(each["embedding"])) for each in packed.body["data"]]
    assert [list(vector) for vector in unpacked] == vectors
    assert [each["values"] for each in batch.body["embeddings"]] == vectors
    assert list(native.vectors) == vectors
    usage = {(entry.tokens, entry.usage, entry.cost_nano_usd, entry.source) for entry in kept.ledger.entries}
    assert len(usage) == 1
    assert {(entry.operation, entry.outcome) for entry in kept.ledger.entries} == {("embeddings", Outcome.COMPLETED)}
    assert kept.entry.source is UsageSource.PROVIDER
    assert kept.entry.cost_nano_usd > 0
    assert floats.body["usage"]["prompt_tokens"] == kept.entry.tokens
    (billed,) = [each.billed for each in simulator.stats().providers.values()]
    assert billed.total == sum(entry.tokens for entry in kept.ledger.entries)
    (tokens,) = [each for each in await gateway.usage(gateway.principal("u")) if each.kind == "tokens"]
    assert (tokens.used, tokens.reserved) == (billed.total, 0)


@pytest.mark.parametrize("model", [OPENAI, GOOGLE])
async def test_one_content_of_gemini_is_one_vector(gateway: Gateway, model: str) -> None:
    body = {"content": {"parts": [{"text": "one"}]}, "output_dimensionality": 8}
    said = await ask(gateway, "gemini.embed_content", model, body)
    assert len(said.body["embedding"]["values"]) == 8


async def test_lists_of_tokens_go_where_they_are_understood(gateway: Gateway, kept: Kept) -> None:
    said = await ask(gateway, "openai.embeddings", OPENAI, {"input": [[1, 2, 3], [4]]})
    assert (len(said.body["data"]), kept.entry.tokens) == (2, 4)
    for model in (GOOGLE, "ollama:nomic"):
        refused = await ask(gateway, "openai.embeddings", model, {"input": [1, 2, 3]})
        assert (refused.status, refused.body["error"]["code"]) == (400, "unsupported_parameter")
        assert refused.body["error"]["param"] == "input"
    assert len(kept.ledger.entries) == 1


async def test_what_has_no_place_is_refused_by_the_clients_path_or_named(gateway: Gateway, kept: Kept) -> None:
    refused = await ask(gateway, "gemini.batch_embed_contents", OPENAI, contents(OPENAI, "a", task_type="CLUSTERING"))
    (info,) = [each for each in refused.body["error"]["details"] if "reason" in each]
    assert (refused.status, info["reason"], info["metadata"]["param"]) == (
        400,
        "UNSUPPORTED_PARAMETER",
        "requests[].task_type",
    )
    unknown = await ask(gateway, "openai.embeddings", GOOGLE, {"input": "a", "truncate": True})
    assert (unknown.status, unknown.body["error"]["param"]) == (400, "truncate")
    dropped = await ask(gateway, "openai.embeddings", GOOGLE, {"input": "a", "user": "layla"})
    assert (dropped.status, dropped.headers["x-pulse-dropped"]) == (200, "user")
    with pytest.raises(UnsupportedParameter):
        await gateway.embed(model=GOOGLE, input=[[1]], user="u")
    assert len(kept.ledger.entries) == 1


@pytest.mark.parametrize("dialect", ["openai.embeddings", "gemini.batch_embed_contents"])
@pytest.mark.parametrize("model", [OPENAI, GOOGLE])
async def test_a_vendors_refusal_is_said_in_the_clients_dialect(
    gateway: Gateway, kept: Kept, dialect: str, model: str
) -> None:
    broken = f"{model}+status=429,retry-after=7"
    body = {"input": "a"} if dialect.startswith("openai") else contents(broken, "a")
    said = await ask(gateway, dialect, broken, body)
    assert (said.status, said.headers["retry-after"]) == (429, "7")
    error = said.body["error"]
    assert error.get("code") == ("upstream_rate_limited" if dialect.startswith("openai") else 429)
    assert (kept.entry.outcome, kept.entry.tokens, kept.entry.error_code) == (
        Outcome.FAILED,
        0,
        "upstream_rate_limited",
    )
    with pytest.raises(UpstreamRateLimited):
        await gateway.embed(model=f"{model}+status=429", input="a", user="u")


@pytest.mark.parametrize("vendor", COMPATIBLE)
async def test_vendors_that_copied_openai_embed_for_every_dialect(gateway: Gateway, kept: Kept, vendor: str) -> None:
    model = f"{vendor}:{COMPATIBLE[vendor]}"
    body = {"input": ["one", ARABIC], "encoding_format": "base64", "dimensions": 8, "user": "layla"}
    same = await ask(gateway, "openai.embeddings", model, body)
    other = await ask(
        gateway, "gemini.batch_embed_contents", model, contents(model, "one", ARABIC, outputDimensionality=8)
    )
    vectors = [list(struct.unpack("<8f", base64.b64decode(each["embedding"]))) for each in same.body["data"]]
    assert [each["values"] for each in other.body["embeddings"]] == vectors
    first, second = kept.ledger.entries
    assert first.usage == second.usage
    assert first.tokens > 0


@pytest.mark.parametrize("vendor", ["together", "vllm", "openrouter"])
async def test_vendors_that_took_over_coheres_rerank_rank(gateway: Gateway, kept: Kept, vendor: str) -> None:
    documents = ["Berlin is a city", {"text": "Amman is the capital of Jordan"}]
    reply = await gateway.rerank(
        model=f"{vendor}:a/b", query="capital of Jordan", documents=documents, user="u", top_n=1
    )
    assert [result.index for result in reply.results] == [1]
    body = {"query": "capital of Jordan", "documents": documents, "return_documents": True}
    said = await ask(gateway, "cohere.rerank", f"{vendor}:a/b", body)
    assert said.body["results"][0]["document"]["text"] == "Amman is the capital of Jordan"
    assert (kept.entry.operation, kept.entry.source, kept.entry.outcome) == (
        "rerank",
        UsageSource.PROVIDER,
        Outcome.COMPLETED,
    )


async def test_what_a_copy_of_the_shape_refuses_is_left_out_and_told(gateway: Gateway) -> None:
    for body, told in (({"input": "a", "user": "u"}, "user"), ({"input": "a"}, None)):
        said = await ask(gateway, "openai.embeddings", "mistral:mistral-embed", body)
        assert (said.status, said.headers.get("x-pulse-dropped")) == (200, told)


async def test_mistral_judges_in_its_own_categories(gateway: Gateway, kept: Kept) -> None:
    said = await ask(
        gateway, "openai.moderations", "mistral:mistral-moderation-latest", {"input": ["I will kill you", "a"]}
    )
    assert [result["flagged"] for result in said.body["results"]] == [True, False]
    assert "pii" in said.body["results"][0]["categories"]
    image = [{"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}]
    refused = await ask(gateway, "openai.moderations", "mistral:mistral-moderation-latest", {"input": image})
    assert (refused.status, refused.body["error"]["param"]) == (400, "input")


async def test_judging_is_free_and_says_what_openai_says(gateway: Gateway, kept: Kept) -> None:
    said = await ask(
        gateway, "openai.moderations", "openai:omni-moderation-latest", {"input": ["I will kill you", "a"]}
    )
    assert [result["flagged"] for result in said.body["results"]] == [True, False]
    judged = await gateway.moderate(model="openai:omni-moderation-latest", input=["I will kill you", "a"], user="u")
    assert [result.flagged for result in judged.results] == [True, False]
    assert judged.results[0].categories == said.body["results"][0]["categories"]
    for entry in kept.ledger.entries:
        assert (entry.operation, entry.tokens, entry.cost_nano_usd) == ("moderation", 0, 0)


@pytest.mark.parametrize("model", COUNTED)
async def test_every_dialect_of_chat_counts_alike_and_for_nothing(gateway: Gateway, kept: Kept, model: str) -> None:
    whole = {"contents": [{"parts": [{"text": ARABIC}]}], "generationConfig": {"temperature": 0.5}}
    named = {"generateContentRequest": {"model": f"models/{model}", **whole}}
    said = [
        await ask(gateway, "anthropic.count_tokens", model, {"messages": [{"role": "user", "content": ARABIC}]}),
        await ask(gateway, "gemini.count_tokens", model, {"contents": whole["contents"]}),
        await ask(gateway, "gemini.count_tokens", model, named),
        await ask(gateway, "openai.responses.input_tokens", model, {"input": ARABIC}),
    ]
    count = await gateway.count_tokens(model=model, messages=[{"role": "user", "content": ARABIC}], user="u")
    told = [each.body.get("input_tokens", each.body.get("totalTokens")) for each in said]
    assert told == [count.input_tokens] * 4
    assert not count.estimated
    assert all("x-pulse-usage" not in each.headers for each in said)
    dropped = "generateContentRequest.generationConfig.temperature"
    assert said[2].headers.get("x-pulse-dropped") == (None if model.startswith("google") else dropped)
    for entry in kept.ledger.entries:
        assert (entry.operation, entry.tokens, entry.cost_nano_usd) == ("count_tokens", 0, 0)


# ── a vendor that says what a test wants ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dialect", "model", "body", "answer"),
    [
        (
            "openai.embeddings",
            "vllm:m",
            b'{ "input":"a" , "model": "vllm:m","truncate_prompt_tokens" :1e2}',
            b'{"data" : [ {"embedding":[1.00]}],"usage":{"prompt_tokens":2}, "x":null}',
        ),
        (
            "gemini.embed_content",
            "google:m",
            b'{ "content":{"parts": [{"inline_data":{"mimeType":"image/png","data":"AA=="}}]}, "x" :1.0}',
            b'{"embedding": {"values":[1.00] } }',
        ),
        (
            "gemini.batch_embed_contents",
            "google:m",
            b'{"requests":[ {"model":"models/google:m","content":{"parts":[{"text":"a"}]},"autoTruncate":true} ]}',
            b'{"embeddings": [{"values":[1.00] } ], "usageMetadata":{"promptTokenCount":2}}',
        ),
        (
            "openai.moderations",
            "openai:m",
            b'{"input": [ "a"],"model":"openai:m"}',
            b'{"results": [ {"flagged":false}]}',
        ),
        (
            "cohere.rerank",
            "vllm:m",
            b'{"query":"q", "documents":["a" ], "model":"vllm:m","truncation_side":"left"}',
            b'{"results" :[ ],"usage":{"total_tokens": 3}}',
        ),
        (
            "anthropic.count_tokens",
            "anthropic:m",
            b'{"model":"anthropic:m", "messages":[{"role":"user","content":"a"}] , "container":"c"}',
            b'{ "input_tokens":3, "x":1 }',
        ),
        (
            "gemini.count_tokens",
            "google:m",
            b'{"generate_content_request": {"model":"models/google:m", "contents" :[{"parts":[{"text":"a"}]}],"x":[]} }',
            b'{ "totalTokens":3 }',
        ),
        (
            "openai.responses.input_tokens",
            "openai:m",
            b'{"model":"openai:m" ,"input":"a","previous_response_id":"resp_1"}',
            b'{"object":"response.input_tokens" ,"input_tokens":3}',
        ),
    ],
)
async def test_within_a_dialect_not_a_byte_changes_but_the_model(
    kept: Kept, dialect: str, model: str, body: bytes, answer: bytes
) -> None:
    vendor = Vendor(answer)
    async with made(kept, transport=vendor) as gateway:
        said = await ask(gateway, dialect, model, body)
    (request,) = vendor.requests
    assert request.body == body.replace(model.encode(), b"m")
    assert (said.status, said.raw) == (200, answer)
    assert kept.entry.dialect == dialect


RANKED = {
    "id": "r",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
    "meta": {"billed_units": {"search_units": 1}},
}


async def test_documents_are_ranked_and_charged_by_the_search(kept: Kept) -> None:
    vendor = Vendor(RANKED)
    async with made(kept, transport=vendor) as gateway:
        reply = await gateway.rerank(
            model="vllm:m", query="q", documents=["a", {"text": "b"}], user="u", top_n=2, return_documents=True
        )
        said = await ask(gateway, "cohere.rerank", "vllm:m", {"query": "q", "documents": ["a", "b"]})
    assert [(result.index, result.score) for result in reply.results] == [(1, 0.9), (0, 0.1)]
    assert msgspec.json.decode(vendor.requests[0].body) == {
        "model": "m",
        "query": "q",
        "documents": ["a", {"text": "b"}],
        "top_n": 2,
        "return_documents": True,
    }
    assert said.body == RANKED
    for entry in kept.ledger.entries:
        assert (entry.operation, entry.usage, entry.source) == (
            "rerank",
            Usage(input_tokens=0, searches=1),
            UsageSource.PROVIDER,
        )


async def test_what_nobody_counted_is_estimated_and_says_so(kept: Kept) -> None:
    vendor = Vendor({"embeddings": [{"values": [1.0]}]})
    async with made(kept, transport=vendor) as gateway:
        passed = await ask(gateway, "gemini.batch_embed_contents", "google:m", contents("google:m", "x" * 40))
        translated = await ask(gateway, "openai.embeddings", "google:m", {"input": "x" * 40})
    for said in (passed, translated):
        assert said.headers["x-pulse-usage"] == "estimated"
    assert translated.body["usage"]["prompt_tokens"] == 10
    for entry in kept.ledger.entries:
        assert (entry.tokens, entry.source) == (10, UsageSource.ESTIMATED)


async def test_an_answer_that_cannot_be_said_is_an_error_that_is_charged_once(kept: Kept) -> None:
    vendor = Vendor({"embeddings": [{"values": [1e300]}], "usageMetadata": {"promptTokenCount": 5}})
    async with made(kept, transport=vendor) as gateway:
        said = await ask(gateway, "openai.embeddings", "google:m", {"input": "a", "encoding_format": "base64"})
    assert (said.status, said.body["error"]["code"]) == (502, "upstream_bad_response")
    (entry,) = kept.ledger.entries
    assert (entry.outcome, entry.tokens) == (Outcome.FAILED, 5)


COUNT = {"messages": [{"role": "user", "content": ARABIC}]}


async def test_where_a_vendor_does_not_count_nobody_is_asked_and_the_estimate_says_so(kept: Kept) -> None:
    vendor = Vendor(b"")
    async with made(kept, transport=vendor) as gateway:
        said = await ask(gateway, "anthropic.count_tokens", "vllm:m", COUNT)
        native = await gateway.count_tokens(model="vllm:m", user="u", **COUNT)
        refused = await ask(gateway, "anthropic.count_tokens", "vllm:m", {**COUNT, "container": "c"})
    assert not vendor.requests
    assert said.body["input_tokens"] > 5
    assert (said.headers["x-pulse-usage"], said.headers["x-pulse-provider"]) == ("estimated", "vllm")
    assert "request-id" in said.headers
    assert (native.input_tokens, native.estimated) == (said.body["input_tokens"], True)
    assert (refused.status, refused.body["error"]["type"]) == (400, "invalid_request_error")
    assert [(entry.tokens, entry.cost_nano_usd, entry.source) for entry in kept.ledger.entries] == [
        (0, 0, UsageSource.NONE)
    ] * 2
    assert kept.limiter.outstanding == 0


async def test_counting_needs_no_quota_but_is_a_request_like_any_other(kept: Kept) -> None:
    """Neither tokens in a window, nor those of a month, nor money: all of them are used up here by one embedding."""
    plans = {"small": PlanConfig(tokens=1, budget_usd=0.000001)}
    limits = LimitsConfig(requests="4/60s", tokens="1/60s")
    vendor = Vendor({"data": [{"embedding": [1.0]}], "usage": {"prompt_tokens": 90}, "input_tokens": 5})
    async with made(kept, transport=vendor, plans=plans, default_plan="small", limits=limits) as gateway:
        await gateway.embed(model=OPENAI, input="a", user="u")
        with pytest.raises((QuotaExceeded, RateLimited)):
            await gateway.embed(model=OPENAI, input="a", user="u")
        for _ in range(3):
            await gateway.count_tokens(model="openai:gpt-5.2", user="u", **COUNT)
        with pytest.raises(RateLimited, match="request"):
            await gateway.count_tokens(model="openai:gpt-5.2", user="u", **COUNT)
        standings = {each.kind: each.used for each in await gateway.usage(gateway.principal("u"))}
    assert standings["tokens"] == 90


async def test_texts_are_reviewed_but_what_is_to_be_judged_is_not(kept: Kept) -> None:
    hooks = msgspec.convert(
        {"hooks": [{"name": "terms", "on": ["prompt"], "extra_terms": ["zanzibar"]}]}, ModerationConfig
    )
    judged = {"results": [{"flagged": False, "categories": {}, "category_scores": {}}]}
    vendor = Vendor(judged)
    async with made(kept, transport=vendor, moderation=hooks) as gateway:
        for refused in (
            gateway.embed(model="openai:m", input=["a", "Zanzibar"], user="u"),
            gateway.rerank(model="vllm:m", query="q", documents=[{"text": "zanzibar"}], user="u"),
            gateway.count_tokens(model="vllm:m", messages=[{"role": "user", "content": "zanzibar"}], user="u"),
        ):
            with pytest.raises(ContentBlocked):
                await refused
        assert not vendor.requests
        await gateway.moderate(model="openai:m", input="zanzibar", user="u")
    assert len(vendor.requests) == 1
