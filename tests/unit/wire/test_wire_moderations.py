"""Moderation: what a client may have judged, and what a verdict looks like."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter, UpstreamError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ImagePart, TextPart
from pulse_gateway.types.http import Payload
from pulse_gateway.types.moderations import ModerationReply, ModerationRequest, ModerationResult
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.moderations import OpenAIModerations
from pulse_gateway.wire.reading import Reading

CODEC = OpenAIModerations()
MODEL = Model(provider="p", name="m")
TEXT = {"type": "text", "text": "a"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}
NOTHING = Usage(input_tokens=0, output_tokens=0)


def payload(body: Any) -> Payload:
    return Payload(msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a", ((TextPart("a"),),)),
        (["a", "b"], ((TextPart("a"),), (TextPart("b"),))),
        ([TEXT, IMAGE], ((TextPart("a"), ImagePart(url="https://a.example/b.png")),)),
    ],
)
def test_a_text_texts_and_the_parts_of_one_thing(written: Any, read: Any) -> None:
    request = CODEC.decode_request(payload({"model": "m", "input": written}))
    assert request == ModerationRequest(model="m", input=read)
    assert CODEC.decode_request(CODEC.encode_request(request, MODEL).payload) == request


def test_without_a_model_it_is_openais_latest_and_costs_nothing() -> None:
    envelope = CODEC.read_envelope(payload({"input": "a"}))
    assert (envelope.model, envelope.expected, envelope.max_output_tokens) == ("omni-moderation-latest", NOTHING, 0)
    assert CODEC.rewrite_request(Payload(b'{"input": "a"}'), model="m").data == b'{"input": "a","model":"m"}'


def test_what_is_to_be_judged_is_no_prompt_to_our_own_moderators() -> None:
    assert CODEC.read_envelope(payload({"input": ["a", "b"]})).text == ""


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": ["a", TEXT]}, "input[1]"),
        ({"input": [TEXT, "a"]}, "input[1]"),
        ({"input": [{"type": "text"}]}, "input[0].text"),
        ({"input": [{"text": "a"}]}, "input[0].type"),
        ({"input": "a", "model": 1}, "model"),
    ],
)
def test_the_member_at_fault_is_named(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.decode_request(payload(body))
    assert caught.value.param == param


def test_kinds_and_members_nobody_knows_are_refused_by_name_elsewhere() -> None:
    request = CODEC.decode_request(payload({"input": [TEXT, {"type": "audio", "audio": {}}], "x": 1}))
    assert list(request.extra) == ["x", "input[1]"]
    with pytest.raises(UnsupportedParameter) as caught:
        CODEC.encode_request(request, MODEL)
    assert caught.value.param == "x"


def test_several_things_with_images_cannot_be_asked_at_once() -> None:
    image = ImagePart(url="https://a.example/b.png")
    with pytest.raises(UnsupportedParameter) as caught:
        CODEC.encode_request(ModerationRequest(model="m", input=((TextPart("a"),), (image,))), MODEL)
    assert caught.value.param == "input"


def test_a_verdict_survives_and_null_categories_do_not_count() -> None:
    answer = {
        "id": "modr-1",
        "model": "omni",
        "results": [
            {
                "flagged": True,
                "categories": {"violence": True, "hate": False, "illicit": None},
                "category_scores": {"violence": 0.9, "hate": 0, "illicit": None},
                "category_applied_input_types": {"violence": ["text", "image"], "hate": []},
            }
        ],
    }
    request = ModerationRequest(model="m", input=((TextPart("a"),),))
    reply = CODEC.decode_reply(payload(answer), request)
    assert reply == ModerationReply(
        id="modr-1",
        model="omni",
        results=(
            ModerationResult(
                flagged=True,
                categories={"violence": True, "hate": False},
                scores={"violence": 0.9, "hate": 0.0},
                input_types={"violence": ("text", "image"), "hate": ()},
            ),
        ),
        usage=NOTHING,
    )
    assert CODEC.decode_reply(CODEC.encode_reply(reply, request), request) == reply


@pytest.mark.parametrize("answer", [{}, {"error": {"message": "x"}}, {"results": []}, {"results": [{}]}])
def test_anything_else_is_an_error(answer: Any) -> None:
    with pytest.raises(UpstreamError):
        CODEC.decode_reply(payload(answer), ModerationRequest(model="m", input=((TextPart("a"),),)))


def test_a_verdict_that_passes_through_used_nothing() -> None:
    reading = Reading()
    CODEC.read_reply(payload({"results": [{"what": "ever"}]}), reading)
    assert (reading.usage, reading.usage_is_final) == (NOTHING, True)
    with pytest.raises(UpstreamError):
        CODEC.read_reply(payload({"error": "no"}), reading)
