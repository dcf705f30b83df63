"""Laws of Chat Completions requests, and of whatever else is sent."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai_chat_values import CODEC, EXAMPLES, arguments, names, object_schemas, schemas, texts, values

from pulse_gateway.errors import InvalidRequest, UpstreamError, UpstreamProtocolError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningControl,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.wire.openai_chat.errors import upstream_error
from pulse_gateway.wire.sse import ServerSentEvent

# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────

space = st.text(" \t\n\r", max_size=3)


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> str:
    """`value` as JSON with white space anywhere it may stand."""
    if isinstance(value, dict):
        members = [
            draw(space) + json.dumps(key) + draw(space) + ":" + draw(space) + draw(spelled(entry)) + draw(space)
            for key, entry in value.items()
        ]
        return "{" + (",".join(members) or draw(space)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(draw(space) + draw(spelled(entry)) + draw(space) for entry in value) + "]"
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@EXAMPLES
@given(st.data())
def test_rewriting_keeps_every_byte_but_the_model(data: st.DataObject) -> None:
    others = data.draw(st.dictionaries(st.text(max_size=6), values, max_size=4))
    for name in ("model", "stream", "stream_options"):
        others.pop(name, None)
    members = [*others.items(), ("messages", [{"role": "user", "content": "hi"}])]
    pieces = [
        json.dumps(key) + data.draw(space) + ":" + data.draw(space) + data.draw(spelled(value))
        for key, value in dict(members).items()
    ]
    position = data.draw(st.integers(0, len(pieces)))
    old, new = data.draw(texts), data.draw(texts)
    key = '"model"' + data.draw(space) + ":" + data.draw(space)
    gaps = [data.draw(space) for _ in range(2 * len(pieces) + 4)]

    def written(model: str) -> bytes:
        told = [*pieces[:position], key + model, *pieces[position:]]
        inside = ",".join(gaps[2 * index] + piece + gaps[2 * index + 1] for index, piece in enumerate(told))
        return (gaps[-2] + "{" + inside + "}" + gaps[-1]).encode()

    sent = written(json.dumps(old))
    expected = sent if old == new else written(msgspec.json.encode(new).decode())
    rewritten = CODEC.rewrite_request(sent, model=new, show_usage=True)
    assert rewritten == expected
    assert (rewritten is sent) is (old == new)


base64s = st.binary(min_size=1, max_size=8).map(lambda raw: base64.b64encode(raw).decode())
user_parts = st.one_of(
    st.builds(TextPart, texts),
    st.builds(
        ImagePart, st.sampled_from(["image/png", "image/jpeg"]), base64s, st.none(), st.sampled_from([None, "low"])
    ),
    st.builds(ImagePart, url=st.just("https://example.com/a.png"), detail=st.sampled_from([None, "high"])),
    st.builds(AudioPart, st.sampled_from(["audio/wav", "audio/mp3"]), base64s),
    st.builds(DocumentPart, st.just("application/pdf"), base64s, st.none(), st.none(), names),
)


@st.composite
def turns(draw: st.DrawFn) -> list[tuple[str, tuple[Part, ...]]]:
    """A user's turn and what follows it; every result answers a call."""
    user: tuple[Part, ...] = tuple(draw(st.lists(user_parts, min_size=1, max_size=3)))
    told: list[tuple[str, tuple[Part, ...]]] = [("user", user)]
    if not draw(st.booleans()):
        return told
    calls = draw(st.lists(st.tuples(names, names, arguments()), max_size=2, unique_by=lambda call: call[0]))
    said: list[Part] = [TextPart(text) for text in draw(st.lists(texts, max_size=2))]
    told.append(("assistant", (*said, *(ToolCallPart(*call) for call in calls))))
    for call_id, _, _ in calls:
        result = tuple(TextPart(text) for text in draw(st.lists(texts, min_size=1, max_size=2)))
        told.append(("tool", (ToolResultPart(call_id, result),)))
    return told


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    tools = tuple(
        draw(
            st.lists(
                st.builds(Tool, names, st.none() | texts, st.none() | object_schemas, st.sampled_from([None, True])),
                max_size=3,
                unique_by=lambda tool: tool.name,
            )
        )
    )
    chosen: st.SearchStrategy[ToolChoice | None] = st.none()
    if tools:
        some = st.lists(st.sampled_from([tool.name for tool in tools]), max_size=2, unique=True).map(tuple)
        chosen |= st.builds(ToolChoice, st.sampled_from(["auto", "required"]), some) | st.just(ToolChoice("none"))
    system: list[tuple[str, tuple[Part, ...]]] = [
        ("system", (TextPart(text),)) for text in draw(st.lists(texts, max_size=2))
    ]
    told = system + [turn for block in draw(st.lists(turns(), min_size=1, max_size=3)) for turn in block]
    streamed = draw(st.booleans())
    logprobs = draw(st.sampled_from([None, True]))
    return ChatRequest(
        model="gpt-x",
        messages=tuple(
            Message(role, parts, path=f"messages[{position}]")  # type: ignore[arg-type]
            for position, (role, parts) in enumerate(told)
        ),
        stream=streamed,
        include_usage=streamed,
        max_output_tokens=draw(st.none() | st.integers(1, 10_000)),
        temperature=draw(st.none() | st.floats(0, 2)),
        top_p=draw(st.none() | st.floats(0, 1)),
        stop=tuple(draw(st.lists(texts, max_size=4))),
        n=draw(st.none() | st.integers(2, 4)),
        seed=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        presence_penalty=draw(st.none() | st.floats(0.1, 2)),
        frequency_penalty=draw(st.none() | st.floats(-2, -0.1)),
        logprobs=logprobs,
        top_logprobs=draw(st.integers(1, 20)) if logprobs else None,
        tools=tools,
        tool_choice=draw(chosen),
        parallel_tool_calls=False if tools and draw(st.booleans()) else None,
        response_format=draw(
            st.none()
            | st.just(ResponseFormat("json_object"))
            | st.builds(ResponseFormat, st.just("json_schema"), schemas, names, st.none() | texts, st.sampled_from([None, True]))
        ),
        reasoning=draw(st.none() | st.sampled_from(["none", "low", "high", "max"]).map(lambda effort: ReasoningControl(effort=effort))),
        user=draw(st.none() | texts),
    )  # fmt: skip


@settings(max_examples=100)
@given(requests())
def test_a_request_written_and_read_means_the_same(request: ChatRequest) -> None:
    encoded = CODEC.encode_request(request, Model(provider="openai", name="gpt-x"))
    assert encoded.dropped == ()
    assert CODEC.decode_request(encoded.body) == request
    envelope = CODEC.read_envelope(encoded.body)
    assert (envelope.stream, envelope.include_usage) == (request.stream, request.include_usage)
    assert envelope.max_output_tokens == request.max_output_tokens


@EXAMPLES
@given(schemas)
def test_no_unknown_member_is_ever_lost(unknown: dict[str, Any]) -> None:
    told = {f"x_{name}": value for name, value in unknown.items()}
    message = {"role": "user", "content": [{"type": "text", "text": "hi", **told}], **told}
    request = CODEC.decode_request(json.dumps({"model": "m", "messages": [message], **told}).encode())
    places = ("", "messages[0].", "messages[0].content[0].")
    assert request.extra == {
        f"{place}{name}": value for place in places for name, value in told.items() if value is not None
    }


# ── whatever is sent ──────────────────────────────────────────────────────────────────────────────────────────────────

REQUEST: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "x"}]},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:text/plain;base64,AAAA", "filename": "a"}},
            ],
        },
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "x"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "stream_options": {"include_usage": True},
    "stop": ["x"],
    "n": 1,
    "logprobs": True,
    "top_logprobs": 1,
    "reasoning_effort": "low",
}
CHUNK: dict[str, Any] = {
    "id": "1",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "delta": {
                "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}],
                "reasoning": "x",
                "tool_calls": [
                    {
                        "index": 0,
                        "id": "c",
                        "function": {"name": "f", "arguments": "{}"},
                        "extra_content": {"google": {}},
                    }
                ],
                "function_call": {"name": "f", "arguments": ""},
            },
            "message": {"content": "x"},
            "finish_reason": "",
            "logprobs": {"content": [{"token": "a", "logprob": -1, "top_logprobs": []}]},
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
    "x_groq": {"usage": None},
    "error": None,
}


@st.composite
def spoilt(draw: st.DrawFn, value: Any) -> Any:
    """`value` with something anywhere inside it replaced or removed."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: entry for name, entry in value.items() if name != key}
        return rest if not draw(st.integers(0, 5)) else {**rest, key: draw(spoilt(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], draw(spoilt(value[index])), *value[index + 1 :]]
    return draw(values)


@settings(max_examples=150)
@given(spoilt(REQUEST))
def test_a_malformed_request_is_an_invalid_request_and_nothing_else(request: Any) -> None:
    body = json.dumps(request).encode()
    for read in (CODEC.read_envelope, CODEC.decode_request):
        with contextlib.suppress(InvalidRequest):
            read(body)


@settings(max_examples=150)
@given(st.lists(spoilt(CHUNK), min_size=1, max_size=3))
def test_a_malformed_answer_is_the_providers_fault_and_nothing_else(chunks: list[Any]) -> None:
    decoder = CODEC.decoder()
    with contextlib.suppress(UpstreamProtocolError):
        for chunk in chunks:
            decoder.decode(ServerSentEvent(json.dumps(chunk).encode(), "", b""))
        decoder.finish()
    with contextlib.suppress(UpstreamError):
        CODEC.decode_reply(json.dumps(chunks[0]).encode())


@EXAMPLES
@given(
    st.integers(300, 599),
    st.binary(max_size=40) | spoilt({"error": {"message": "m", "code": 1}}).map(lambda told: json.dumps(told).encode()),
)
def test_every_error_answer_means_something(status: int, body: bytes) -> None:
    error = upstream_error(status, (), body)
    assert error.message
    assert error.upstream_status == status
    assert json.loads(CODEC.encode_error(error, "r"))["error"]["code"] == error.code
