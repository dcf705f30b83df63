"""Laws of the Chat Completions codec, whatever the content, the white space and the slices."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import InvalidRequest, UpstreamError, UpstreamProtocolError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    AudioPart,
    ChatReply,
    ChatRequest,
    Choice,
    DocumentPart,
    FinishReason,
    ImagePart,
    Logprob,
    Message,
    Part,
    ReasoningControl,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.types.events import (
    Ended,
    Event,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.openai_chat.errors import upstream_error
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder

CODEC = OpenAIChatCodec()
EXAMPLES = settings(max_examples=40)

texts = st.text(min_size=1, max_size=12)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
tokens = st.none() | st.integers(0, 10_000)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
schemas = st.dictionaries(names, values, max_size=3)
object_schemas = schemas.map(lambda schema: {"properties": {}, **schema, "type": "object"})

usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 10_000),
    cached_input_tokens=tokens,
    cache_write_tokens=tokens,
    audio_input_tokens=tokens,
    output_tokens=st.integers(0, 10_000),
    reasoning_tokens=tokens,
    audio_output_tokens=tokens,
    image_output_tokens=tokens,
)


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def arguments(draw: st.DrawFn) -> str:
    return json.dumps(draw(schemas), ensure_ascii=draw(st.booleans()))


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    """What one choice may hold, in the order in which chat can say it."""
    parts: list[Part] = [
        kind(text)
        for kind, text in zip(
            (ReasoningPart, TextPart, RefusalPart), draw(st.tuples(*[st.none() | texts] * 3)), strict=True
        )
        if text is not None
    ]
    calls = draw(st.lists(st.builds(ToolCallPart, st.none(), names, arguments(), st.none() | names), max_size=3))  # type: ignore[arg-type]
    parts += [
        ToolCallPart(f"call_{index}_{position}", call.name, call.arguments, call.signature)
        for position, call in enumerate(calls)
    ]
    reasons = [
        FinishReason.LENGTH,
        FinishReason.CONTENT_FILTER,
        FinishReason.TOOL_CALLS if calls else FinishReason.STOP,
    ]
    probability = st.floats(-20, 0)
    top = st.lists(st.tuples(texts, probability), max_size=2).map(tuple)
    logprobs = draw(
        st.none() | st.lists(st.builds(Logprob, texts, probability, top), min_size=1, max_size=3).map(tuple)
    )
    return Choice(index=index, parts=tuple(parts), finish_reason=draw(st.sampled_from(reasons)), logprobs=logprobs)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    count = draw(st.integers(1, 3))
    return ChatReply(
        id=draw(names),
        model=draw(names),
        created=draw(st.integers(1, 2**33)),
        choices=tuple(draw(choices(index)) for index in range(count)),
        usage=draw(usages),
    )


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=3)))
    return [piece for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if (piece := text[start:end])]


def events_of(draw: st.DrawFn, choice: Choice) -> list[Event]:
    """A stream of one choice, its texts cut anywhere."""
    events: list[Event] = []
    position = 0
    for part in choice.parts:
        match part:
            case TextPart():
                events += [TextDelta(piece, choice.index) for piece in pieces(draw, part.text)]
            case ReasoningPart():
                events += [ReasoningDelta(piece, choice.index) for piece in pieces(draw, part.text)]
            case RefusalPart():
                events += [RefusalDelta(piece, choice.index) for piece in pieces(draw, part.text)]
            case ToolCallPart():
                events.append(ToolCallStarted(position, part.id, part.name, part.signature, choice.index))
                events += [ToolArgumentsDelta(position, piece, choice.index) for piece in pieces(draw, part.arguments)]
                position += 1
    events += [LogprobsDelta((entry,), choice.index) for entry in choice.logprobs or ()]
    assert choice.finish_reason is not None
    return [*events, Finished(choice.finish_reason, choice=choice.index)]


@st.composite
def streams(draw: st.DrawFn) -> tuple[ChatReply, list[Event]]:
    """A reply and a stream of it, with its choices interleaved."""
    reply = draw(replies())
    queues = [events_of(draw, choice) for choice in reply.choices]
    events: list[Event] = [Started(reply.id, reply.model, reply.created)]
    while queues:
        queue = draw(st.sampled_from(queues))
        events.append(queue.pop(0))
        queues = [rest for rest in queues if rest]
    assert reply.usage is not None
    return reply, [*events, UsageReported(reply.usage), Ended()]


def fold(events: list[Event]) -> ChatReply:
    """The reply that a whole stream amounts to."""
    started = events[0]
    assert isinstance(started, Started)
    assert isinstance(events[-1], Ended)
    assert sum(isinstance(event, Ended) for event in events) == 1
    usage = None
    said: dict[int, dict[str, Any]] = {}
    for event in events[1:-1]:
        if isinstance(event, UsageReported):
            usage = event.usage
            continue
        heard = said.setdefault(event.choice, {"texts": {}, "calls": [], "logprobs": (), "finish": None})  # type: ignore[attr-defined]
        match event:
            case TextDelta():
                heard["texts"][TextPart] = heard["texts"].get(TextPart, "") + event.text
            case ReasoningDelta():
                heard["texts"][ReasoningPart] = heard["texts"].get(ReasoningPart, "") + event.reasoning
            case RefusalDelta():
                heard["texts"][RefusalPart] = heard["texts"].get(RefusalPart, "") + event.refusal
            case ToolCallStarted():
                assert event.index == len(heard["calls"])
                heard["calls"].append([event.id, event.name, "", event.signature])
            case ToolArgumentsDelta():
                heard["calls"][event.index][2] += event.fragment
            case LogprobsDelta():
                heard["logprobs"] += event.logprobs
            case Finished():
                assert heard["finish"] is None
                heard["finish"] = event.reason
    kinds = (ReasoningPart, TextPart, RefusalPart)
    return ChatReply(
        id=started.id,
        model=started.model,
        created=started.created,
        usage=usage,
        choices=tuple(
            Choice(
                index=index,
                parts=(
                    *(kind(heard["texts"][kind]) for kind in kinds if kind in heard["texts"]),
                    *(ToolCallPart(*call) for call in heard["calls"]),
                ),
                finish_reason=heard["finish"],
                logprobs=heard["logprobs"] or None,
            )
            for index, heard in sorted(said.items())
        ),
    )


def encode(events: list[Event], *, include_usage: bool) -> bytes:
    encoder = CODEC.encoder("asked", include_usage=include_usage)
    return b"".join(encoder.encode(event) for event in events)


def decode(slices: list[bytes]) -> list[Event]:
    decoder, sse = CODEC.decoder(), SSEDecoder()
    events = [event for data in slices for frame in sse.feed(data) for event in decoder.decode(frame)]
    events += [event for frame in sse.finish() for event in decoder.decode(frame)]
    return events + decoder.finish()


@EXAMPLES
@given(replies())
def test_a_reply_written_and_read_is_the_same_reply(reply: ChatReply) -> None:
    assert CODEC.decode_reply(CODEC.encode_reply(reply)) == reply


@EXAMPLES
@given(streams())
def test_a_stream_written_and_read_amounts_to_the_whole_reply(stream: tuple[ChatReply, list[Event]]) -> None:
    reply, events = stream
    assert fold(events) == reply
    told = decode([encode(events, include_usage=True)])
    assert fold(told) == reply
    assert fold(told) == CODEC.decode_reply(CODEC.encode_reply(reply))


@EXAMPLES
@given(streams())
def test_a_stream_whose_usage_is_hidden_is_the_stream_without(stream: tuple[ChatReply, list[Event]]) -> None:
    _, events = stream
    frames = SSEDecoder().feed(encode(events, include_usage=True))
    assert b"".join(CODEC.hide_usage(frame) for frame in frames) == encode(events, include_usage=False)


@EXAMPLES
@given(streams(), st.data())
def test_however_a_stream_is_sliced_it_tells_the_same(
    stream: tuple[ChatReply, list[Event]], data: st.DataObject
) -> None:
    _, events = stream
    sent = encode(events, include_usage=True)
    if data.draw(st.booleans()):
        sent = sent.replace(b"\n", b"\r\n")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)), max_size=20)))
    slices = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert decode(slices) == decode([sent])


@EXAMPLES
@given(streams(), st.data())
def test_a_stream_cut_anywhere_ends_only_if_every_choice_has(
    stream: tuple[ChatReply, list[Event]], data: st.DataObject
) -> None:
    reply, events = stream
    sent = encode(events, include_usage=True)
    try:
        told = decode([sent[: data.draw(st.integers(0, len(sent)))]])
    except UpstreamProtocolError:
        return  # cut inside a frame, after what might have been its end
    finished = {event.choice for event in told if isinstance(event, Finished)}
    begun = {choice for event in told if (choice := getattr(event, "choice", None)) is not None}
    if any(isinstance(event, Ended) for event in told):
        assert finished >= begun
        assert finished <= {choice.index for choice in reply.choices}
    else:
        assert not finished


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
