"""What each vendor offers of embeddings, moderation, rerank and counting: where it is asked, how, and what it refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UnsupportedParameter, UpstreamError, UpstreamProtocolError
from pulse_gateway.providers.offer import Offer, OfferCall
from pulse_gateway.providers.offers import own_offer
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import ChatRequest, ImagePart, Message, TextPart
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Payload
from pulse_gateway.types.moderations import ModerationReply, ModerationRequest
from pulse_gateway.types.rerank import RerankRequest
from pulse_gateway.types.token_counts import NOTHING_USED, TokenCount
from pulse_gateway.types.usage import Usage

EMBED = EmbeddingRequest(model="alias", input=(EmbeddingInput("a"),))
JUDGE = ModerationRequest(model="alias", input=((TextPart("a"),), (TextPart("b"),)))
RANK = RerankRequest(model="alias", query="q", documents=("a",))
COUNT = ChatRequest(model="alias", messages=(Message("user", (TextPart("hi"),), path="messages[0]"),))
REQUESTS: dict[str, Any] = {"embeddings": EMBED, "moderation": JUDGE, "rerank": RANK, "count_tokens": COUNT}

OFFERED = [
    ("openai", "embeddings", "https://api.openai.com/v1/embeddings"),
    ("openai", "moderation", "https://api.openai.com/v1/moderations"),
    ("openai", "count_tokens", "https://api.openai.com/v1/responses/input_tokens"),
    ("mistral", "embeddings", "https://api.mistral.ai/v1/embeddings"),
    ("mistral", "moderation", "https://api.mistral.ai/v1/moderations"),
    ("together", "embeddings", "https://api.together.ai/v1/embeddings"),
    ("together", "rerank", "https://api.together.ai/v1/rerank"),
    ("fireworks", "embeddings", "https://api.fireworks.ai/inference/v1/embeddings"),
    ("openrouter", "embeddings", "https://openrouter.ai/api/v1/embeddings"),
    ("openrouter", "rerank", "https://openrouter.ai/api/v1/rerank"),
    ("ollama", "embeddings", "http://localhost:11434/v1/embeddings"),
    ("vllm", "embeddings", "http://localhost:8000/v1/embeddings"),
    ("vllm", "rerank", "http://localhost:8000/v1/rerank"),
    ("lmstudio", "embeddings", "http://localhost:1234/v1/embeddings"),
    ("google", "embeddings", "https://generativelanguage.googleapis.com/v1beta/models/m:batchEmbedContents"),
    ("google", "gemini.embed_content", "https://generativelanguage.googleapis.com/v1beta/models/m:embedContent"),
    ("google", "count_tokens", "https://generativelanguage.googleapis.com/v1beta/models/m:countTokens"),
    ("anthropic", "count_tokens", "https://api.anthropic.com/v1/messages/count_tokens"),
]
LACKING = [
    ("xai", "embeddings"),
    ("groq", "embeddings"),
    ("deepseek", "embeddings"),
    ("cerebras", "embeddings"),
    ("anthropic", "embeddings"),
    ("openai", "rerank"),
    ("google", "rerank"),
    ("google", "moderation"),
    ("together", "moderation"),
    ("vllm", "count_tokens"),
]


def deployment(kind: str, **more: Any) -> Deployment:
    return Deployment(provider=kind, kind=kind, model=Model(provider=kind, name="m"), base_url="", key="k", **more)


def offer(kind: str, operation: str) -> Offer:
    found = provider(kind).offer(operation, deployment(kind))
    assert found is not None
    return found


def asked(kind: str, operation: str, request: Any) -> HttpRequest:
    first = next(offer(kind, operation).steps(request, OfferCall(deployment=deployment(kind))))
    assert isinstance(first, HttpRequest)
    return first


def answered(kind: str, operation: str, request: Any, answer: Any) -> Any:
    steps = offer(kind, operation).steps(request, OfferCall(deployment=deployment(kind)))
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.send(HttpAnswer(200, (("content-type", "application/json"),), msgspec.json.encode(answer)))
    return end.value.value


@pytest.mark.parametrize(("kind", "operation", "url"), OFFERED)
def test_it_is_asked_at_its_address_with_its_key(kind: str, operation: str, url: str) -> None:
    request = asked(kind, operation, REQUESTS.get(operation, EMBED))
    assert (request.method, request.url) == ("POST", url)
    headers = dict(request.headers)
    assert headers["content-type"] == "application/json"
    keys = {"google": ("x-goog-api-key", "k"), "anthropic": ("x-api-key", "k")}
    name, value = keys.get(kind, ("authorization", "Bearer k"))
    assert headers[name] == value
    body = msgspec.json.decode(request.body)
    assert "alias" not in str(body)


@pytest.mark.parametrize(("kind", "operation"), LACKING)
def test_what_a_vendor_lacks_it_does_not_offer(kind: str, operation: str) -> None:
    assert provider(kind).offer(operation, deployment(kind)) is None


def test_any_base_url_may_have_all_of_it() -> None:
    for operation in ("embeddings", "moderation", "rerank"):
        assert provider("openai_compatible").offer(operation, deployment("openai_compatible")) is not None


@pytest.mark.parametrize("kind", ["mistral", "together", "ollama", "google"])
@pytest.mark.parametrize("tokens", [(1, 2), ()], ids=["some", "none"])
def test_tokens_are_refused_where_only_texts_are_embedded(kind: str, tokens: tuple[int, ...]) -> None:
    request = EmbeddingRequest(model="alias", input=(EmbeddingInput(tokens=tokens),))
    with pytest.raises(UnsupportedParameter, match=kind) as caught:
        asked(kind, "embeddings", request)
    assert caught.value.param == "input"


@pytest.mark.parametrize("kind", ["mistral", "together", "ollama"])
@pytest.mark.parametrize(
    ("written", "refused"),
    [('"a"', False), ('[ "a"]', False), ("[1]", True), ("[\n [1]]", True)],
)
def test_and_likewise_in_a_body_that_passes_through(kind: str, written: str, refused: bool) -> None:
    spoken: Any = offer(kind, "embeddings")
    body = Payload(b'{"input": %b, "model": "m"}' % written.encode())
    call = OfferCall(deployment=deployment(kind))
    if refused:
        with pytest.raises(UnsupportedParameter) as caught:
            spoken.forward(body, call)
        assert caught.value.param == "input"
    else:
        assert spoken.forward(body, call).body == body.data


def test_mistral_knows_dimensions_by_another_name_and_no_user() -> None:
    request = msgspec.structs.replace(EMBED, dimensions=8, user="u")
    assert msgspec.json.decode(asked("mistral", "embeddings", request).body) == {
        "model": "m",
        "input": ["a"],
        "output_dimension": 8,
    }
    assert msgspec.json.decode(asked("openai", "embeddings", request).body) == {
        "model": "m",
        "input": ["a"],
        "dimensions": 8,
        "user": "u",
    }


def test_mistrals_categories_are_its_own_and_one_of_them_flags() -> None:
    results = [
        {"categories": {"pii": True, "law": False}, "category_scores": {"pii": 0.9, "law": 0.1}},
        {"categories": {"pii": False, "law": False}, "category_scores": {"pii": 0.0, "law": 0.1}},
    ]
    answer = {"id": "x", "model": "mistral-moderation-latest", "results": results}
    reply: ModerationReply = answered("mistral", "moderation", JUDGE, answer)
    assert [result.flagged for result in reply.results] == [True, False]
    assert reply.results[0].categories == {"pii": True, "law": False}
    assert reply.usage == NOTHING_USED
    told = answered("mistral", "moderation", JUDGE, {**answer, "usage": {"prompt_tokens": 4}})
    assert told.usage == Usage(input_tokens=4)
    image = ModerationRequest(model="alias", input=((ImagePart(url="https://a.example/b.png"),),))
    with pytest.raises(UnsupportedParameter) as caught:
        offer("mistral", "moderation").check(image, deployment("mistral"))
    assert caught.value.param == "input"
    for broken in ({}, {**answer, "results": results[:1]}):
        steps = offer("mistral", "moderation").steps(JUDGE, OfferCall(deployment=deployment("mistral")))
        next(steps)
        with pytest.raises(UpstreamProtocolError):
            steps.send(HttpAnswer(200, (), msgspec.json.encode(broken)))


def test_vectors_come_back() -> None:
    openai = {"data": [{"index": 0, "embedding": [0.5]}], "model": "n", "usage": {"prompt_tokens": 2}}
    assert answered("openai", "embeddings", EMBED, openai) == EmbeddingReply(
        model="n", vectors=([0.5],), usage=Usage(input_tokens=2)
    )
    google = {"embeddings": [{"values": [0.5]}]}
    assert answered("google", "embeddings", EMBED, google).vectors == ([0.5],)


def test_anthropic_is_asked_for_a_count_in_the_version_of_its_chat() -> None:
    spoken: Any = offer("anthropic", "count_tokens")
    call = OfferCall(deployment=deployment("anthropic"), client_headers=(("anthropic-version", "2023-06-01"),))
    sent = spoken.forward(Payload(b'{"model":"m"}'), call)
    assert dict(sent.headers)["anthropic-version"] == "2023-06-01"
    assert dict(asked("anthropic", "count_tokens", COUNT).headers)["anthropic-version"] == "2026-10-21"
    assert answered("anthropic", "count_tokens", COUNT, {"input_tokens": 7}) == TokenCount(input_tokens=7)


def test_google_counts_a_whole_request_and_addresses_it_where_the_deployment_is() -> None:
    body = msgspec.json.decode(asked("google", "count_tokens", COUNT).body)
    assert body == {
        "generateContentRequest": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "model": "models/m"}
    }
    elsewhere = msgspec.structs.replace(deployment("google"), base_url="http://proxy.test/v1")
    spoken: Any = offer("google", "gemini.embed_content")
    assert spoken.forward(Payload(b"{}"), OfferCall(deployment=elsewhere)).url == (
        "http://proxy.test/v1/models/m:embedContent"
    )


def test_where_no_vendor_counts_nobody_is_asked() -> None:
    own = own_offer("count_tokens")
    assert own is not None
    assert own.dialect is None
    vllm = deployment("vllm")
    request = msgspec.structs.replace(COUNT, temperature=0.5, hints={"metadata": {}})
    assert own.check(request, vllm) == ("temperature", "metadata")
    with pytest.raises(StopIteration) as end:
        next(own.steps(request, OfferCall(deployment=vllm)))
    assert end.value.value.estimated
    assert end.value.value.input_tokens > 0
    with pytest.raises(UnsupportedParameter) as caught:
        own.check(msgspec.structs.replace(COUNT, extra={"container": "c"}), vllm)
    assert caught.value.param == "container"
    assert own_offer("embeddings") is None


def test_errors_of_a_vendor_come_out_of_its_steps() -> None:
    steps = offer("openai", "embeddings").steps(EMBED, OfferCall(deployment=deployment("openai")))
    next(steps)
    with pytest.raises(UpstreamError, match="gone"):
        steps.throw(UpstreamError("gone"))
