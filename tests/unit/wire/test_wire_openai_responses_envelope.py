"""What is read of a Responses request without decoding it, and the one thing that is changed in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.wire.openai_responses import OpenAIResponsesCodec

CODEC = OpenAIResponsesCodec()


def body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "input": "hi", **members}).encode()


def test_the_envelope_holds_what_the_gateway_acts_on() -> None:
    envelope = CODEC.read_envelope(
        body(
            instructions="Be brief.",
            input=[
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Look:"},
                        {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "auto"},
                        {"type": "input_file", "file_id": "f"},
                        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    ],
                },
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "42"}]},
                {"type": "function_call_output", "call_id": "d", "output": "43"},
                {"type": "message", "id": "m", "role": "assistant", "status": "completed",
                 "content": [{"type": "output_text", "text": "said", "annotations": []}, {"type": "refusal", "refusal": "No."}]},
                {"type": "computer_call_output", "call_id": "e", "output": {"type": "computer_screenshot", "file_id": "f"}},
                {"type": "invented_tomorrow", "content": {"anything": 1}},
                {"role": "developer", "content": "later"},
            ],
            stream=True,
            max_output_tokens=10,
        )
    )  # fmt: skip
    assert envelope.model == "m"
    assert envelope.stream
    assert envelope.include_usage
    assert envelope.text == "Be brief.\nLook:\n42\n43\nsaid\nNo.\nlater"
    assert envelope.attachments == 3
    assert (envelope.max_output_tokens, envelope.n) == (10, 1)


def test_the_least_there_can_be() -> None:
    envelope = CODEC.read_envelope(body())
    assert (envelope.text, envelope.stream, envelope.max_output_tokens) == ("hi", False, None)


@pytest.mark.parametrize(
    "state",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1"}},
    ],
)
def test_what_the_vendor_remembers_may_be_all_the_input(state: dict[str, Any]) -> None:
    assert CODEC.read_envelope(body(input=None, **state)).text == ""


def test_the_variables_of_a_stored_prompt_are_part_of_the_text() -> None:
    variables = {"a": "one", "b": {"type": "input_text", "text": "two"}, "c": {"type": "input_image", "file_id": "f"}}
    envelope = CODEC.read_envelope(body(input=None, prompt={"id": "p", "variables": variables}))
    assert (envelope.text, envelope.attachments) == ("one\ntwo", 1)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 1}, "model"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": [{"content": "hi"}]}, "input[0].type"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": 1}]}]}, "input[0].content[0].type"),
        ({"stream": "yes"}, "stream"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"tools": {}}, "tools"),
        ({"store": "no"}, "store"),
        ({"previous_response_id": 1}, "previous_response_id"),
        ({"temperature": "hot"}, "temperature"),
    ],
)
def test_a_bad_member_is_named_by_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_envelope(body(**members))
    assert caught.value.param == param


def test_nothing_is_answered_in_the_background_whoever_the_vendor_is() -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        CODEC.read_envelope(body(background=True))
    assert caught.value.param == "background"
    assert CODEC.read_envelope(body(background=False)).text == "hi"


def test_only_the_model_is_rewritten() -> None:
    raw = b'{ "model" : "alias",\n "input":"\\u0041", "stream": true, "x": 1.00 }'
    assert CODEC.rewrite_request(raw, model="gpt", show_usage=True) == raw.replace(b'"alias"', b'"gpt"')
    assert CODEC.rewrite_request(raw, model="alias", show_usage=True) is raw


@pytest.mark.parametrize("model", ["a", "b"])
def test_a_key_that_occurs_twice_is_refused(model: str) -> None:
    with pytest.raises(InvalidRequest):
        CODEC.rewrite_request(b'{"model":"b","input":"x","model":"a"}', model=model, show_usage=True)
