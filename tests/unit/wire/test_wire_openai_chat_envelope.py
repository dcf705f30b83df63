"""What is read of a Chat Completions request without decoding it, and the little that is changed in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.errors import InvalidRequest, UpstreamProtocolError
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder

CODEC = OpenAIChatCodec()
USER = {"role": "user", "content": "hi"}


def body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [USER], **members}).encode()


def frame(raw: bytes) -> ServerSentEvent:
    (event,) = SSEDecoder().feed(raw)
    return event


def test_the_envelope_holds_what_the_gateway_acts_on() -> None:
    envelope = CODEC.read_envelope(
        body(
            messages=[
                {"role": "developer", "content": "Be brief."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look:"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                        {"type": "file", "file": {"file_id": "file-1"}},
                    ],
                },
                {"role": "assistant", "content": None, "tool_calls": []},
                {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "42"}]},
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
                {"role": "function", "name": "f", "content": None},
            ],
            stream=True,
            stream_options={"include_usage": True},
            max_tokens=10,
            n=3,
        )
    )
    assert envelope.model == "m"
    assert envelope.stream
    assert envelope.include_usage
    assert envelope.text == "Be brief.\nLook:\n42\nNo."
    assert envelope.attachments == 3
    assert envelope.max_output_tokens == 10
    assert envelope.n == 3


def test_defaults_of_a_small_request() -> None:
    envelope = CODEC.read_envelope(body())
    assert (envelope.stream, envelope.include_usage, envelope.max_output_tokens, envelope.n) == (False, False, None, 1)


def test_the_newer_token_limit_wins() -> None:
    assert CODEC.read_envelope(body(max_tokens=10, max_completion_tokens=20)).max_output_tokens == 20


def test_model_and_stream_of_the_path_win() -> None:
    envelope = CODEC.read_envelope(json.dumps({"messages": [USER]}).encode(), model="deployed", stream=True)
    assert (envelope.model, envelope.stream) == ("deployed", True)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": 3}, "model"),
        ({"model": ""}, "model"),
        ({"model": None}, "model"),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [3]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "wizard", "content": "hi"}]}, "messages[1].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_tokens": "10"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": []}, "top_p"),
        ({"stop": 3}, "stop"),
        ({"stop": ["a", 3]}, "stop[1]"),
        ({"tools": {}}, "tools"),
        ({"tools": ["search"]}, "tools[0]"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"response_format": "json"}, "response_format"),
        ({"seed": "x"}, "seed"),
        ({"user": 3}, "user"),
    ],
)
def test_a_wrong_member_is_named_by_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_envelope(body(**members))
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_what_the_caller_wrote_is_not_repeated_in_the_error() -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_envelope(body(messages=[{"role": "my secret", "content": "hi"}]))
    assert "secret" not in caught.value.message


def test_unknown_members_and_vendors_own_spellings_pass() -> None:
    CODEC.read_envelope(
        body(
            logprobs=1,
            reasoning={"effort": "high"},
            messages=[{"role": "user", "content": [{"type": "video_url", "video_url": {}}], "cache": 1}],
            tools=None,
            stop=None,
            n=None,
        )
    )


@pytest.mark.parametrize(
    "broken", [b"", b"[]", b"3", b"null", b"{", b'{"model":"m"} x', b"\xff", b'{"model":"\xff","messages":[]}']
)
def test_what_is_no_json_object_is_an_invalid_request(broken: bytes) -> None:
    with pytest.raises(InvalidRequest):
        CODEC.read_envelope(broken)


def test_a_deeply_nested_body_is_an_invalid_request() -> None:
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(InvalidRequest):
        CODEC.read_envelope(deep)
    with pytest.raises(InvalidRequest):
        CODEC.decode_request(deep)


# ── rewriting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_model_changes() -> None:
    sent = b'{ "model" : "alias",\n "messages": [{"role":"user","content":"h\\u00e9"}], "x": 1.0e2 }'
    expected = sent.replace(b'"alias"', b'"gpt-x"')
    assert CODEC.rewrite_request(sent, model="gpt-x", show_usage=True) == expected


def test_a_request_that_needs_no_change_is_the_same_object() -> None:
    plain = body()
    assert CODEC.rewrite_request(plain, model="m", show_usage=True) is plain
    asked = body(stream=True, stream_options={"include_usage": True})
    assert CODEC.rewrite_request(asked, model="m", show_usage=True) is asked
    hidden = body(stream=True)
    assert CODEC.rewrite_request(hidden, model="m", show_usage=False) is hidden


def test_a_stream_is_made_to_report_usage() -> None:
    sent = b'{"model":"m","stream":true}'
    rewritten = CODEC.rewrite_request(sent, model="m", show_usage=True)
    assert rewritten == b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"null", b'{"include_usage":true}'),
        (b"{}", b'{"include_usage":true}'),
        (b'{"include_usage":false, "x" : [ 1 ]}', b'{"include_usage":true, "x" : [ 1 ]}'),
        (b'{ "include_obfuscation" : false }', b'{ "include_obfuscation" : false ,"include_usage":true}'),
    ],
)
def test_the_clients_own_stream_options_stay(options: bytes, expected: bytes) -> None:
    sent = b'{"model":"m","stream":true,"stream_options":' + options + b',"z":0}'
    rewritten = CODEC.rewrite_request(sent, model="m", show_usage=True)
    assert rewritten == b'{"model":"m","stream":true,"stream_options":' + expected + b',"z":0}'


def test_a_key_that_occurs_twice_is_refused_whether_or_not_anything_changes() -> None:
    smuggled = (
        b'{"model":"m","messages":[{"role":"user","content":"bad"}],"messages":[{"role":"user","content":"good"}]}'
    )
    for model in ("m", "other"):
        with pytest.raises(InvalidRequest):
            CODEC.rewrite_request(smuggled, model=model, show_usage=True)


# ── hiding usage ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_usage_chunk_disappears() -> None:
    assert CODEC.hide_usage(frame(b'data: {"id":"1","choices":[],"usage":{"prompt_tokens":1}}\n\n')) == b""


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b'data: {"choices":[{"index":0,"delta":{}}],"usage":null}\n\n',
            b'data: {"choices":[{"index":0,"delta":{}}]}\n\n',
        ),
        (
            b'data:{"usage" : null , "choices":[{}],"obfuscation":"x"}\r\n\r\n',
            b'data:{"choices":[{}],"obfuscation":"x"}\r\n\r\n',
        ),
        (
            b': note\ndata: {"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n',
            b': note\ndata: {"choices":[{"finish_reason":"stop"}]}\n\n',
        ),
        (b'data: {"choices":[],"usage":null,"prompt_filter_results":[]}\n\n', b'data: {"choices":[],"prompt_filter_results":[]}\n\n'),
        (b'data: {"choices":[],\ndata: "usage":null}\n\n', b'data: {"choices":[]}\n\n'),
        (
            b'data: {"choices":[{}],"x_groq":{"usage":null},"usage":null}\n\n',
            b'data: {"choices":[{}],"x_groq":{"usage":null}}\n\n',
        ),
        (b'data: {"choices":[{}] , "usage" : null }\n\n', b'data: {"choices":[{}]  }\n\n'),
        (b'data: { "usage" : null , "choices":[{}] }\n\n', b'data: { "choices":[{}] }\n\n'),
        (b'data: {"choices":[],"moderation":{},"usage":{}}\n\n', b'data: {"choices":[],"moderation":{}}\n\n'),
    ],
)  # fmt: skip
def test_only_the_usage_member_goes_from_other_chunks(raw: bytes, expected: bytes) -> None:
    assert CODEC.hide_usage(frame(raw)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"data: [DONE]\n\n",
        b": ping\n\n",
        b'data: {"choices":[{"delta":{"content":"hi"}}]}\r\n\r\n',
        b'data: {"choices":[{"delta":{"content":"\\"usage\\" of it"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"the \\u0022usage\\u0022"}}],"x":{"usage":1}}\n\n',
        b'data: {"error":{"message":"no"}}\n\n',
    ],
)
def test_everything_else_passes_as_it_is(raw: bytes) -> None:
    assert CODEC.hide_usage(frame(raw)) == raw


@pytest.mark.parametrize("raw", [b'data: {"usage"\n\n', b'data: ["usage"]\n\n', b'data: {"usage":1,"usage":null}\n\n'])
def test_a_frame_that_is_no_chunk_is_the_providers_fault(raw: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        CODEC.hide_usage(frame(raw))
