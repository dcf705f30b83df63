"""Embeddings: what a client of each dialect may write, what a vendor of each is sent, and what is made of its answer."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter, UpstreamError, UpstreamProtocolError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.embeddings.gemini import GeminiBatchEmbedContents, GeminiEmbedContent
from pulse_gateway.wire.embeddings.openai import OpenAIEmbeddings
from pulse_gateway.wire.reading import Reading

OPENAI, SINGLE, BATCH = OpenAIEmbeddings(), GeminiEmbedContent(), GeminiBatchEmbedContents()
MODEL = Model(provider="p", name="m")


def payload(body: Any) -> Payload:
    return Payload(body if isinstance(body, bytes) else msgspec.json.encode(body))


def loads(said: Payload) -> Any:
    return msgspec.json.decode(said.data)


def one(text: str, **members: Any) -> dict[str, Any]:
    return {"content": {"parts": [{"text": text}]}, **members}


# ── OpenAI's ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a", [EmbeddingInput("a")]),
        (["a", "ب"], [EmbeddingInput("a"), EmbeddingInput("ب")]),
        ([1, 2], [EmbeddingInput(tokens=(1, 2))]),
        ([[1], [2, 3]], [EmbeddingInput(tokens=(1,)), EmbeddingInput(tokens=(2, 3))]),
    ],
)
def test_openai_takes_a_text_texts_and_tokens(written: Any, read: list[EmbeddingInput]) -> None:
    request = OPENAI.decode_request(payload({"model": "m", "input": written}))
    assert request == EmbeddingRequest(model="m", input=tuple(read))
    sent = loads(OPENAI.encode_request(request, MODEL).payload)
    assert OPENAI.decode_request(payload(sent)) == request


def test_what_is_held_is_the_text_by_estimate_and_tokens_as_they_are_counted() -> None:
    text = OPENAI.read_envelope(payload({"model": "m", "input": ["a", "b"]}))
    assert (text.text, text.max_output_tokens, text.expected.input_tokens) == ("a\nb", 0, None)
    tokens = OPENAI.read_envelope(payload({"model": "m", "input": [[1, 2], [3]]}))
    assert (tokens.text, tokens.expected.input_tokens) == ("", 3)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "m"}, "input"),
        ({"input": "a"}, "model"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": ["a", 1]}, "input[1]"),
        ({"model": "m", "input": [[1], []]}, "input[1]"),
        ({"model": "m", "input": [[-1]]}, "input[0][0]"),
        ({"model": "m", "input": [1.5]}, "input[0]"),
        ({"model": "m", "input": "a", "dimensions": 0}, "dimensions"),
        ({"model": 1, "input": "a"}, "model"),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_openai_names_the_member_at_fault(body: Any, param: str | None) -> None:
    for read in (OPENAI.read_envelope, OPENAI.decode_request):
        with pytest.raises(InvalidRequest) as caught:
            read(payload(body))
        assert caught.value.param == param


def test_members_nobody_knows_and_inputs_that_are_no_texts_are_kept_for_their_own_dialect_alone() -> None:
    request = OPENAI.decode_request(payload({"model": "m", "input": [{"image": "x"}], "truncate": True}))
    assert request.extra == {"input": [{"image": "x"}], "truncate": True}
    for codec in (OPENAI, BATCH, SINGLE):
        with pytest.raises(UnsupportedParameter) as caught:
            codec.encode_request(request, MODEL)
        assert caught.value.param == "input"


def test_vectors_are_written_as_floats_or_as_base64_as_the_client_asked() -> None:
    reply = EmbeddingReply(model="m", vectors=([0.5, -1.0], [0.25, 0.0]), usage=Usage(input_tokens=3))
    for encoding in ("float", "base64"):
        body = {"model": "m", "input": ["a", "b"], "encoding_format": encoding}
        said = loads(OPENAI.encode_reply(reply, OPENAI.decode_request(payload(body))))
        written = [each["embedding"] for each in said["data"]]
        if encoding == "base64":
            written = [list(struct.unpack("<2f", base64.b64decode(each))) for each in written]
        assert written == [[0.5, -1.0], [0.25, 0.0]]
        assert [each["index"] for each in said["data"]] == [0, 1]
        assert said["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
        read = OPENAI.decode_reply(payload(said), OPENAI.decode_request(payload(body)))
        assert read == reply


def test_a_number_beyond_32_bits_cannot_be_said_in_base64() -> None:
    request = EmbeddingRequest(model="m", input=(EmbeddingInput("a"),), encoding="base64")
    with pytest.raises(UpstreamProtocolError):
        OPENAI.encode_reply(EmbeddingReply(model="m", vectors=([1e300],)), request)


def test_usage_that_no_vendor_told_is_estimated_for_the_client() -> None:
    request = EmbeddingRequest(model="m", input=(EmbeddingInput("x" * 40), EmbeddingInput(tokens=(1, 2, 3))))
    said = loads(OPENAI.encode_reply(EmbeddingReply(model="m", vectors=([1.0], [2.0])), request))
    assert said["usage"] == {"prompt_tokens": 13, "total_tokens": 13}


def test_vectors_are_put_in_the_order_of_their_indices() -> None:
    request = EmbeddingRequest(model="m", input=(EmbeddingInput("a"), EmbeddingInput("b")))
    answer = {"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}], "model": "n"}
    assert OPENAI.decode_reply(payload(answer), request).vectors == ([1.0], [2.0])


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        {"data": []},
        {"data": [{"embedding": "@@"}]},
        {"data": [{"embedding": "AAA="}]},
        {"data": [{"embedding": base64.b64encode(struct.pack("<f", float("nan"))).decode()}]},
        {"data": [{"embedding": ["x"]}]},
        {},
    ],
)
def test_an_answer_of_no_vectors_is_a_broken_protocol(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        OPENAI.decode_reply(payload(answer), EmbeddingRequest(model="m", input=(EmbeddingInput("a"),)))


def test_an_error_sent_with_status_200_is_an_error() -> None:
    answer = payload({"error": {"code": 429, "message": "slow down"}})
    for read in (lambda: OPENAI.read_reply(answer, Reading()), lambda: OPENAI.decode_reply(answer, one_text())):
        with pytest.raises(UpstreamError) as caught:
            read()
        assert caught.value.status == 429


def one_text() -> EmbeddingRequest:
    return EmbeddingRequest(model="m", input=(EmbeddingInput("a"),))


def test_settling_reads_the_usage_of_an_answer_that_passes_through() -> None:
    reading = Reading()
    OPENAI.read_reply(payload({"data": [{"embedding": "AAAA"}], "usage": {"total_tokens": 5}}), reading)
    assert (reading.usage, reading.usage_is_final, reading.ended) == (Usage(input_tokens=5), True, True)
    OPENAI.read_reply(payload({"data": []}), reading)
    assert (reading.usage, reading.usage_is_final) == (None, False)


def test_only_the_model_is_rewritten() -> None:
    body = b'{ "input" : ["a"],\n"model":"alias", "x": 1e2 }'
    assert OPENAI.rewrite_request(Payload(body), model="m").data == b'{ "input" : ["a"],\n"model":"m", "x": 1e2 }'


# ── Gemini's ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("snake", [False, True], ids=["camel", "snake"])
def test_gemini_takes_either_spelling(snake: bool) -> None:
    more: dict[str, Any] = (
        {"task_type": "RETRIEVAL_DOCUMENT", "output_dimensionality": "8"}
        if snake
        else {"taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 8}
    )
    body = one("a", model="models/m", title="t", **more)
    read = EmbeddingRequest(model="m", input=(EmbeddingInput("a", title="t"),), dimensions=8, task="RETRIEVAL_DOCUMENT")
    assert SINGLE.decode_request(payload(body), model="m") == read
    assert BATCH.decode_request(payload({"requests": [body]}), model="m") == read
    sent = loads(BATCH.encode_request(read, MODEL).payload)
    assert sent == {
        "requests": [
            one("a", model="models/m", title="t", taskType="RETRIEVAL_DOCUMENT", outputDimensionality=8),
        ]
    }
    assert loads(SINGLE.encode_request(read, MODEL).payload) == sent["requests"][0]


def test_a_vector_for_each_text_even_where_parts_of_one_content_become_one_vector() -> None:
    """gemini-embedding-2 makes one vector of all parts of a content."""
    request = OPENAI.decode_request(payload({"model": "m", "input": ["a", "b"], "user": "u"}))
    encoded = BATCH.encode_request(request, Model(provider="google", name="gemini-embedding-2"))
    assert loads(encoded.payload) == {
        "requests": [one("a", model="models/gemini-embedding-2"), one("b", model="models/gemini-embedding-2")]
    }
    assert encoded.dropped == ("user",)
    with pytest.raises(UnsupportedParameter, match="one input at a time"):
        SINGLE.encode_request(request, MODEL)


def test_tokens_of_another_vocabulary_are_refused() -> None:
    request = EmbeddingRequest(model="m", input=(EmbeddingInput(tokens=(1,)),))
    with pytest.raises(UnsupportedParameter) as caught:
        BATCH.encode_request(request, MODEL)
    assert caught.value.param == "input"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "requests"),
        ({"requests": []}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        ({"requests": [one("a"), {"content": {}}]}, "requests[1].content.parts"),
        ({"requests": [one("a", model="models/other")]}, "requests[0].model"),
    ],
)
def test_gemini_names_the_member_at_fault(body: Any, param: str) -> None:
    for read in (BATCH.read_envelope, BATCH.decode_request):
        with pytest.raises(InvalidRequest) as caught:
            read(payload(body), model="m")
        assert caught.value.param == param


def test_requests_of_a_batch_that_differ_in_what_all_share_go_to_their_own_dialect_alone() -> None:
    body = {"requests": [one("a", taskType="CLUSTERING"), one("b")]}
    BATCH.read_envelope(payload(body), model="m")
    with pytest.raises(UnsupportedParameter) as caught:
        BATCH.decode_request(payload(body), model="m")
    assert caught.value.param == "requests[1].taskType"


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"parts": [{"text": "a"}, {"text": "b"}]}, "content"),
        ({"parts": [{"inline_data": {"mimeType": "image/png", "data": "AAAA"}}]}, "content.parts[0].inlineData"),
        ({"parts": [{"text": "a", "x": 1}]}, "content.parts[0].x"),
    ],
)
def test_a_content_that_is_not_one_text_goes_to_its_own_dialect_alone(content: Any, path: str) -> None:
    assert list(SINGLE.decode_request(payload({"content": content}), model="m").extra) == [path]
    batch = BATCH.decode_request(payload({"requests": [{"content": content}]}), model="m")
    assert list(batch.extra) == [f"requests[0].{path}"]


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (EmbeddingRequest(model="m", input=(EmbeddingInput("a"),), task="CLUSTERING"), "task"),
        (EmbeddingRequest(model="m", input=(EmbeddingInput("a", title="t"),)), "title"),
    ],
)
def test_openai_is_told_neither_task_nor_title(request_: EmbeddingRequest, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        OPENAI.encode_request(request_, MODEL)
    assert caught.value.param == param


def test_gemini_says_usage_by_modality_and_so_it_is_charged() -> None:
    details = [{"modality": "TEXT", "tokenCount": 4}, {"modality": "IMAGE", "tokenCount": 258}]
    metadata = {"promptTokenCount": 262, "promptTokensDetails": details}
    answer = payload({"embedding": {"values": [1, 0.5]}, "usageMetadata": metadata})
    reply = SINGLE.decode_reply(answer, one_text())
    assert reply.vectors == ([1.0, 0.5],)
    assert reply.usage == Usage(input_tokens=4, image_input_tokens=258)
    reading = Reading()
    SINGLE.read_reply(answer, reading)
    assert reading.usage == reply.usage
    assert loads(BATCH.encode_reply(reply, one_text()))["usageMetadata"]["promptTokenCount"] == 262
    assert "usageMetadata" not in loads(SINGLE.encode_reply(EmbeddingReply(model="", vectors=([1.0],)), one_text()))


def test_every_place_that_names_the_model_is_rewritten_and_nothing_else() -> None:
    body = b'{ "requests" : [ {"model":"models/alias", "x":1.0} ,\n{ "content":{} },{"model": "alias"}] }'
    sent = BATCH.rewrite_request(Payload(body), model="m").data
    assert sent == b'{ "requests" : [ {"model":"models/m", "x":1.0} ,\n{ "content":{} },{"model": "models/m"}] }'
    untouched = b'{"requests":[{"content":{}}]}'
    assert BATCH.rewrite_request(Payload(untouched), model="m").data == untouched
    assert SINGLE.rewrite_request(Payload(b'{"content":{} , "model":"models/a"}'), model="m").data == (
        b'{"content":{} , "model":"models/m"}'
    )


@pytest.mark.parametrize("answer", [b"[]", {}, {"embeddings": [{"values": ["x"]}]}, {"embeddings": []}])
def test_gemini_answers_of_no_vectors_are_a_broken_protocol(answer: Any) -> None:
    with pytest.raises(UpstreamProtocolError):
        BATCH.decode_reply(payload(answer), one_text())


def test_gemini_errors_sent_with_status_200_are_errors() -> None:
    answer = payload({"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}})
    for read in (lambda: BATCH.read_reply(answer, Reading()), lambda: BATCH.decode_reply(answer, one_text())):
        with pytest.raises(UpstreamError) as caught:
            read()
        assert caught.value.code == "upstream_overloaded"
