"""What holds for every request and answer of embeddings, moderation, rerank and counting."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter, UpstreamError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ImagePart, TextPart
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.moderations import ModerationReply, ModerationRequest, ModerationResult
from pulse_gateway.types.rerank import RerankReply, RerankRequest, RerankResult
from pulse_gateway.types.token_counts import NOTHING_USED
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.registry import operation_codec

MODEL = Model(provider="p", name="m")
EMBEDDINGS = ("openai.embeddings", "gemini.embed_content", "gemini.batch_embed_contents")
COUNTS = ("anthropic.count_tokens", "gemini.count_tokens", "openai.responses.input_tokens")
DIALECTS = (*EMBEDDINGS, "openai.moderations", "cohere.rerank", *COUNTS)
quick = settings(deadline=None, max_examples=50)

text = st.text(max_size=8)
counts = st.integers(1, 1000)
some_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)


def payload(body: Any) -> Payload:
    return Payload(body if isinstance(body, bytes) else msgspec.json.encode(body))


def in_path(dialect: str) -> str | None:
    return "alias" if dialect.startswith("gemini.") else None


def decoded(dialect: str, body: Any) -> Any:
    return operation_codec(dialect).decode_request(payload(body), model=in_path(dialect))


# ── neutral requests ──────────────────────────────────────────────────────────────────────────────────────────────────

texts = st.builds(EmbeddingInput, text)
tokens = st.builds(EmbeddingInput, tokens=st.lists(st.integers(0, 99), min_size=1, max_size=3).map(tuple))
titled = st.builds(EmbeddingInput, text, title=text)
embeddings = st.builds(
    EmbeddingRequest,
    model=st.just("m"),
    input=(
        st.lists(texts, min_size=1, max_size=3)
        | st.lists(tokens, min_size=1, max_size=3)
        | st.lists(titled, min_size=1, max_size=2)
    ).map(tuple),
    dimensions=st.none() | counts,
    task=st.none() | st.sampled_from(["RETRIEVAL_QUERY", "CLUSTERING"]),
    user=st.none() | text,
)
parts = st.builds(TextPart, text) | st.builds(ImagePart, url=text)
moderations = st.builds(
    ModerationRequest,
    model=st.just("m"),
    input=(
        st.lists(st.builds(TextPart, text).map(lambda part: (part,)), min_size=1, max_size=3).map(tuple)
        | st.lists(parts, min_size=1, max_size=3).map(lambda each: (tuple(each),))
    ),
)
reranks = st.builds(
    RerankRequest,
    model=st.just("m"),
    query=text,
    documents=st.lists(text | st.fixed_dictionaries({"text": text, "id": counts}), min_size=1, max_size=3).map(tuple),
    top_n=st.none() | counts,
    return_documents=st.none() | st.booleans(),
    max_tokens_per_doc=st.none() | counts,
)


@quick
@given(request=embeddings, dialect=st.sampled_from(EMBEDDINGS))
def test_an_embedding_keeps_its_meaning_or_is_refused_by_a_field_that_it_has(
    request: EmbeddingRequest, dialect: str
) -> None:
    codec = operation_codec(dialect)
    try:
        encoded = codec.encode_request(request, MODEL)
    except UnsupportedParameter as refusal:
        assert refusal.param in {
            *(("input",) if request.has_tokens or len(request.input) > 1 else ()),
            *(("task",) if request.task else ()),
            *(("title",) if any(each.title is not None for each in request.input) else ()),
        }
        assert "p:m" in refusal.message
        return
    again = codec.decode_request(encoded.payload, model="m")
    assert encoded.dropped == (() if request.user is None or again.user is not None else ("user",))
    assert again == msgspec.structs.replace(request, user=again.user)


@quick
@given(request=moderations)
def test_what_is_judged_keeps_its_meaning(request: ModerationRequest) -> None:
    codec = operation_codec("openai.moderations")
    assert codec.decode_request(codec.encode_request(request, MODEL).payload) == request


@quick
@given(request=reranks)
def test_what_is_ranked_keeps_its_meaning(request: RerankRequest) -> None:
    codec = operation_codec("cohere.rerank")
    assert codec.decode_request(codec.encode_request(request, MODEL).payload) == request


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

floats32 = st.floats(-(2.0**100), 2.0**100, width=32)
usages = st.builds(Usage, input_tokens=st.integers(0, 10**6))


@quick
@given(
    vectors=st.lists(st.lists(floats32, min_size=1, max_size=3), min_size=1, max_size=3),
    usage=usages,
    encoding=st.sampled_from(["float", "base64"]),
    dialect=st.sampled_from(EMBEDDINGS),
)
def test_vectors_and_their_usage_survive_in_any_encoding(
    vectors: list[list[float]], usage: Usage, encoding: Any, dialect: str
) -> None:
    codec = operation_codec(dialect)
    given_ = vectors[:1] if dialect == "gemini.embed_content" else vectors
    request = EmbeddingRequest(model="m", input=(EmbeddingInput("x"),) * len(given_), encoding=encoding)
    reply = EmbeddingReply(model="m", vectors=tuple(given_), usage=usage)
    said = codec.encode_reply(reply, request)
    assert codec.decode_reply(said, request) == reply
    reading = Reading()
    codec.read_reply(said, reading)
    assert reading.usage == usage


@quick
@given(
    flagged=st.booleans(),
    categories=st.dictionaries(text, st.booleans(), max_size=3),
    scores=st.dictionaries(text, st.floats(0, 1), max_size=3),
)
def test_verdicts_survive(flagged: bool, categories: dict[str, bool], scores: dict[str, float]) -> None:
    codec = operation_codec("openai.moderations")
    kinds = dict.fromkeys(categories, ("text",))
    result = ModerationResult(flagged=flagged, categories=categories, scores=scores, input_types=kinds)
    reply = ModerationReply(id="i", model="m", results=(result,), usage=NOTHING_USED)
    request = ModerationRequest(model="m", input=((TextPart("a"),),))
    assert codec.decode_reply(codec.encode_reply(reply, request), request) == reply


@quick
@given(scores=st.lists(st.floats(-5, 5), min_size=1, max_size=3), searches=st.integers(0, 9))
def test_rankings_survive(scores: list[float], searches: int) -> None:
    codec = operation_codec("cohere.rerank")
    results = tuple(RerankResult(index=index, score=score) for index, score in enumerate(scores))
    usage = Usage(input_tokens=0, searches=searches)
    reply = RerankReply(id="i", model="m", results=results, usage=usage)
    request = RerankRequest(model="m", query="q", documents=("a",) * len(scores))
    assert codec.decode_reply(codec.encode_reply(reply, request), request) == reply


# ── bytes that pass through ───────────────────────────────────────────────────────────────────────────────────────────

BODIES: dict[str, dict[str, Any]] = {
    "openai.embeddings": {"model": "alias", "input": ["a"]},
    "gemini.embed_content": {"model": "models/alias", "content": {"parts": [{"text": "a"}]}},
    "gemini.batch_embed_contents": {
        "requests": [
            {"model": "models/alias", "content": {"parts": [{"text": "a"}]}},
            {"content": {"parts": [{"text": "alias"}]}, "model": "models/alias"},
        ]
    },
    "openai.moderations": {"input": "a", "model": "alias"},
    "cohere.rerank": {"query": "q", "model": "alias", "documents": ["a"]},
    "anthropic.count_tokens": {"messages": [{"role": "user", "content": "a"}], "model": "alias"},
    "gemini.count_tokens": {
        "generateContentRequest": {"model": "models/alias", "contents": [{"parts": [{"text": "a"}]}]}
    },
    "openai.responses.input_tokens": {"model": "alias", "input": "a"},
}


@quick
@given(
    dialect=st.sampled_from(DIALECTS),
    unknown=st.dictionaries(st.text("xyz", min_size=1, max_size=3), some_json, max_size=2),
    spaces=st.sampled_from([(",", ":"), (" ,\n", "\t: ")]),
    is_first=st.booleans(),
)
def test_the_model_is_all_that_changes_in_a_body_that_passes_through(
    dialect: str, unknown: dict[str, Any], spaces: tuple[str, str], is_first: bool
) -> None:
    codec, known = operation_codec(dialect), BODIES[dialect]
    members = {**unknown, **known} if is_first else {**known, **unknown}
    body = json.dumps(members, separators=spaces, ensure_ascii=False).encode("utf-8", "surrogatepass")
    codec.read_envelope(Payload(body), model=in_path(dialect))
    sent = codec.rewrite_request(Payload(body), model="m").data
    old, new = (b'"models/alias"', b'"models/m"') if in_path(dialect) else (b'"alias"', b'"m"')
    assert sent == body.replace(old, new)
    same = codec.rewrite_request(Payload(body), model="alias").data
    assert same == body


# ── whatever may come ─────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def bodies(draw: st.DrawFn, whole: dict[str, Any]) -> bytes:
    """`whole` with something in it replaced by anything at all, or cut off."""
    body = json.loads(json.dumps(whole))
    at: Any = body
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = draw(st.sampled_from(keys))
        if draw(st.booleans()) or not isinstance(at[key], dict | list) or not at[key]:
            at[key] = draw(some_json)
            break
        at = at[key]
    written = msgspec.json.encode(body)
    return written[: draw(st.integers(0, len(written)))] if draw(st.integers(0, 5)) == 0 else written


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_a_client_sends_is_read_or_refused_as_an_invalid_request(dialect: str) -> None:
    codec = operation_codec(dialect)

    @settings(deadline=None, max_examples=60)
    @given(body=bodies(BODIES[dialect]))
    def check(body: bytes) -> None:
        for read in (codec.read_envelope, codec.decode_request):
            try:
                read(Payload(body), model=in_path(dialect))
            except InvalidRequest:
                continue

    check()


ANSWERS: dict[str, dict[str, Any]] = {
    "openai.embeddings": {
        "data": [{"index": 0, "embedding": [0.5]}],
        "model": "m",
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
    "gemini.embed_content": {"embedding": {"values": [0.5]}, "usageMetadata": {"promptTokenCount": 1}},
    "gemini.batch_embed_contents": {
        "embeddings": [{"values": [0.5]}],
        "usageMetadata": {"promptTokenCount": 1, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]},
    },
    "openai.moderations": {
        "id": "i",
        "model": "m",
        "results": [{"flagged": True, "categories": {"x": True}, "category_scores": {"x": 1}}],
    },
    "cohere.rerank": {
        "id": "i",
        "results": [{"index": 0, "relevance_score": 0.5, "document": {"text": "a"}}],
        "meta": {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 1}},
    },
    "anthropic.count_tokens": {"input_tokens": 1},
    "gemini.count_tokens": {"totalTokens": 1, "cachedContentTokenCount": 1},
    "openai.responses.input_tokens": {"object": "response.input_tokens", "input_tokens": 1},
}
ASKED: dict[str, Any] = {
    **dict.fromkeys(EMBEDDINGS, EmbeddingRequest(model="m", input=(EmbeddingInput("a"),))),
    "openai.moderations": ModerationRequest(model="m", input=((TextPart("a"),),)),
    "cohere.rerank": RerankRequest(model="m", query="q", documents=("a",)),
    **dict.fromkeys(COUNTS),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_a_vendor_answers_is_read_or_an_error_of_its_own(dialect: str) -> None:
    codec, request = operation_codec(dialect), ASKED[dialect]
    codec.decode_reply(payload(ANSWERS[dialect]), request)

    @settings(deadline=None, max_examples=60)
    @given(body=bodies(ANSWERS[dialect]))
    def check(body: bytes) -> None:
        with contextlib.suppress(UpstreamError):
            codec.encode_reply(codec.decode_reply(Payload(body), request), request)
        with contextlib.suppress(UpstreamError):
            codec.read_reply(Payload(body), Reading())

    check()
