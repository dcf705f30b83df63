"""What the gateway reads of a Messages request before anything else, and how little it changes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec

CODEC = AnthropicMessagesCodec()
USER = {"role": "user", "content": "hello"}


def body(**fields: Any) -> bytes:
    return msgspec.json.encode({"model": "claude-opus-5", "max_tokens": 100, "messages": [USER]} | fields)


def test_the_essentials_are_read() -> None:
    envelope = CODEC.read_envelope(body(stream=True, system="Be brief."))
    assert envelope.model == "claude-opus-5"
    assert envelope.stream
    assert envelope.max_output_tokens == 100
    assert envelope.text == "Be brief.\nhello"
    assert (envelope.attachments, envelope.n, envelope.include_usage) == (0, 1, True)


@pytest.mark.parametrize(
    ("tools", "searches"),
    [
        ([{"type": "web_search_20260318", "name": "web_search", "max_uses": 2}], 2),
        ([{"type": "web_search_20250305", "name": "web_search"}], 5),
        ([{"type": "web_search_20250305", "name": "web_search", "max_uses": 10**20}], 5),
        ([{"name": "web_search_of_mine", "input_schema": {}}], None),
        ([{"type": ["x"], "max_uses": {}}], None),
    ],
)
def test_searches_of_the_web_that_may_come_are_told_to_whoever_holds_what_they_cost(
    tools: list[dict[str, Any]], searches: int | None
) -> None:
    assert CODEC.read_envelope(body(tools=tools)).expected.searches == searches


def test_every_text_that_the_model_reads_is_in_the_text() -> None:
    content = [
        {"type": "text", "text": "one"},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "two"}]},
        {"type": "tool_result", "tool_use_id": "t", "content": "three"},
        {"type": "document", "title": "four", "source": {"type": "text", "media_type": "text/plain", "data": "five"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "six"}]}},
        {"type": "search_result", "source": "s", "title": "seven", "content": [{"type": "text", "text": "eight"}]},
    ]
    envelope = CODEC.read_envelope(
        body(system=[{"type": "text", "text": "zero"}], messages=[{"role": "user", "content": content}])
    )
    assert envelope.text.split("\n") == ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight"]


def test_images_and_documents_are_counted_inside_tool_results_too() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}}
    document = {"type": "document", "source": {"type": "url", "url": "https://example.test/a.pdf"}}
    content = [image, document, {"type": "tool_result", "tool_use_id": "t", "content": [image, document]}]
    assert CODEC.read_envelope(body(messages=[{"role": "user", "content": content}])).attachments == 4


def test_unknown_fields_blocks_and_settings_pass() -> None:
    content = [{"type": "hologram", "text": {"deep": 1}, "content": 7, "source": []}, {"type": "text", "text": "hi"}]
    envelope = CODEC.read_envelope(body(messages=[{"role": "user", "content": content, "mood": 1}], novelty={"x": 1}))
    assert envelope.text == "hi"


def test_a_host_may_keep_model_and_stream_outside_the_body() -> None:
    envelope = CODEC.read_envelope(
        b'{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}', model="m", stream=True
    )
    assert (envelope.model, envelope.stream) == ("m", True)


def test_no_output_tokens_at_all_is_allowed_since_it_warms_the_cache() -> None:
    assert CODEC.read_envelope(body(max_tokens=0)).max_output_tokens == 0


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 10**30}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [USER, {"role": "wizard", "content": "x"}]}, "messages[1].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text"}]}]}]},
            "messages[0].content[0].content[0].text",
        ),
        ({"system": 1}, "system"),
        ({"system": [{"type": "text", "text": 1}]}, "system[0].text"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": ["END", 1]}, "stop_sequences[1]"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"temperature": "hot"}, "temperature"),
    ],
)
def test_what_is_malformed_is_refused_by_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_envelope(body(**fields))
    assert caught.value.param == path


@pytest.mark.parametrize(
    "junk", [b"", b"[]", b"nonsense", b'{"model":', b'"text"', b"[" * 100_000, b'{"model":"\xff"}']
)
def test_what_is_no_json_object_is_refused(junk: bytes) -> None:
    with pytest.raises(InvalidRequest):
        CODEC.read_envelope(junk)


def test_results_nested_without_end_are_not_followed() -> None:
    content: Any = "x"
    for _ in range(200):
        content = [{"type": "tool_result", "tool_use_id": "t", "content": content}]
    assert CODEC.read_envelope(body(messages=[{"role": "user", "content": content}])).text == ""


def test_only_the_model_is_rewritten() -> None:
    raw = b'{ "max_tokens" : 1.0e0,\t"model":"alias" , "messages":[{"role":"user","content":"\\u0041"}], "x":1e5 }'
    assert CODEC.rewrite_request(raw, model="claude-opus-5", show_usage=True) == raw.replace(
        b'"alias"', b'"claude-opus-5"'
    )


def test_a_request_for_the_right_model_is_returned_as_it_is() -> None:
    raw = body()
    assert CODEC.rewrite_request(raw, model="claude-opus-5", show_usage=False) is raw


@pytest.mark.parametrize("name", ["model", "messages", "max_tokens"])
def test_a_key_that_occurs_twice_is_refused(name: str) -> None:
    raw = body()
    with pytest.raises(InvalidRequest):
        CODEC.rewrite_request(raw[:-1] + b',"%b":1}' % name.encode(), model="claude-opus-5", show_usage=False)
