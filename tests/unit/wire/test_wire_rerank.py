"""Rerank: the shape that Cohere made, and how each vendor of it counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, ModelNotFound, UnsupportedParameter, UpstreamError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.http import Payload
from pulse_gateway.types.rerank import RerankReply, RerankRequest, RerankResult
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.rerank import CohereRerank

CODEC = CohereRerank()
MODEL = Model(provider="p", name="m")
LEAST = {"model": "m", "query": "q", "documents": ["a", {"text": "b", "id": 7}]}
REQUEST = RerankRequest(model="m", query="q", documents=("a", {"text": "b", "id": 7}))
RESULTS = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]


def payload(body: Any) -> Payload:
    return Payload(msgspec.json.encode(body))


def test_a_request_is_read_and_said_again() -> None:
    body = {**LEAST, "top_n": 1, "return_documents": True, "max_tokens_per_doc": 100}
    request = CODEC.decode_request(payload(body))
    assert request == msgspec.structs.replace(REQUEST, top_n=1, return_documents=True, max_tokens_per_doc=100)
    assert msgspec.json.decode(CODEC.encode_request(request, MODEL).payload.data) == body
    assert CODEC.decode_request(payload(LEAST)) == REQUEST
    envelope = CODEC.read_envelope(payload(body))
    assert (envelope.text, envelope.max_output_tokens, envelope.expected) == ("q\na\nb", 0, Usage(searches=1))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": ["a", 1]}, "documents[1]"),
        ({"top_n": 0}, "top_n"),
        ({"return_documents": "yes"}, "return_documents"),
    ],
)
def test_the_member_at_fault_is_named(change: dict[str, Any], param: str) -> None:
    for read in (CODEC.read_envelope, CODEC.decode_request):
        with pytest.raises(InvalidRequest) as caught:
            read(payload({**LEAST, **change}))
        assert caught.value.param == param


def test_members_nobody_knows_are_refused_by_name_elsewhere() -> None:
    request = CODEC.decode_request(payload({**LEAST, "rank_fields": ["text"]}))
    with pytest.raises(UnsupportedParameter) as caught:
        CODEC.encode_request(request, MODEL)
    assert caught.value.param == "rank_fields"


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"meta": {"billed_units": {"search_units": 2}}}, Usage(input_tokens=0, searches=2)),
        ({"usage": {"search_units": 1, "total_tokens": 9}}, Usage(input_tokens=0, searches=1)),
        ({"usage": {"prompt_tokens": 7, "total_tokens": 9}}, Usage(input_tokens=7)),
        ({"usage": {"total_tokens": 9}}, Usage(input_tokens=9)),
        ({"meta": {"tokens": {"input_tokens": 5}}}, Usage(input_tokens=5)),
        ({"meta": {}, "usage": None}, Usage(searches=1)),
        ({}, Usage(searches=1)),
    ],
)
def test_searches_or_tokens_as_the_vendor_counts(counts: dict[str, Any], usage: Usage) -> None:
    answer = payload({"id": "r", "results": RESULTS, **counts})
    assert CODEC.decode_reply(answer, REQUEST).usage == usage
    reading = Reading()
    CODEC.read_reply(answer, reading)
    assert (reading.usage, reading.usage_is_final) == (usage, True)


def test_documents_come_back_where_they_are_asked_for() -> None:
    reply = RerankReply(
        id="r",
        model="m",
        results=(RerankResult(index=1, score=0.9), RerankResult(index=0, score=0.1, document={"text": "A"})),
        usage=Usage(input_tokens=4, searches=1),
    )
    plain = msgspec.json.decode(CODEC.encode_reply(reply, REQUEST).data)
    assert plain["results"] == RESULTS
    assert plain["meta"]["billed_units"] == {"search_units": 1}
    assert plain["meta"]["tokens"] == {"input_tokens": 4}
    wanted = msgspec.structs.replace(REQUEST, return_documents=True)
    shown = msgspec.json.decode(CODEC.encode_reply(reply, wanted).data)
    assert [result["document"] for result in shown["results"]] == [{"text": "b", "id": 7}, {"text": "A"}]


@pytest.mark.parametrize(
    "answer",
    [{}, {"detail": "no"}, {"results": [{"index": 2, "relevance_score": 1}]}, {"results": [{"index": 0}]}],
)
def test_anything_else_is_an_error(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        CODEC.decode_reply(payload(answer), REQUEST)


def test_errors_are_said_as_either_kind_of_client_reads_them() -> None:
    said = msgspec.json.decode(CODEC.encode_error(ModelNotFound("none such", param="model"), "req_1"))
    assert said["message"] == "none such"
    assert (said["error"]["code"], said["error"]["param"], said["error"]["request_id"]) == (
        "model_not_found",
        "model",
        "req_1",
    )
