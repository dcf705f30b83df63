"""What holds for every Gemini request, answer and stream."""

from __future__ import annotations

import base64
import re
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import InvalidRequest, PulseError, UpstreamError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    ChatReply,
    ChatRequest,
    Choice,
    DocumentPart,
    FinishReason,
    ImagePart,
    Message,
    Part,
    ReasoningControl,
    ReasoningPart,
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
    ReasoningDelta,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.gemini import GeminiCodec
from pulse_gateway.wire.gemini.errors import upstream_error
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder

CODEC = GeminiCodec()
MODEL = Model(provider="google", name="gemini-2.5-flash")

quick = settings(max_examples=40)
text = st.text(st.characters(codec="utf-8"), max_size=12)
some_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.from_regex(r"[a-z_][a-zA-Z0-9_.:-]{0,9}", fullmatch=True)
keys = st.sampled_from(["a", "a_b", "any_of", "inline_data", "system_instruction", "é"])
numbers = st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(keys, json_values, max_size=3)
encoded = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
counts = st.none() | st.integers(0, 10_000)


def dumps(value: Any) -> bytes:
    return msgspec.json.encode(value)


# ── requests as a client writes them ──────────────────────────────────────────────────────────────────────────────────


class Proto(dict[str, Any]):
    """An object whose keys are the protocol's own; a plain dict is the caller's data."""


def spelled(value: Any, choose: Any) -> Any:
    """`value` with each key of the protocol in the spelling that `choose` picks."""
    if isinstance(value, Proto):
        return {
            re.sub(r"[A-Z]", lambda upper: "_" + upper[0].lower(), name) if choose() else name: spelled(member, choose)
            for name, member in value.items()
        }
    return [spelled(item, choose) for item in value] if isinstance(value, list) else value


def proto(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[Proto]:
    return st.fixed_dictionaries(required, optional=optional or {}).map(Proto)


openapi_schemas: st.SearchStrategy[Any] = st.recursive(
    proto({"type": st.sampled_from(["STRING", "NUMBER"])}, {"nullable": st.booleans(), "maxLength": st.just("4")}),
    lambda inner: (
        proto(
            {"type": st.just("OBJECT"), "properties": st.dictionaries(keys, inner, max_size=2)},
            {"additionalProperties": st.booleans(), "propertyOrdering": st.lists(keys, unique=True, max_size=2)},
        )
        | proto({"anyOf": st.lists(inner, min_size=1, max_size=2)}, {"minItems": st.integers(0, 3)})
    ),
    max_leaves=3,
)
blobs = proto({"mimeType": st.sampled_from(["image/png", "audio/wav", "application/pdf"]), "data": encoded})
files = proto({"fileUri": st.just("https://a.example/b.png")}, {"mimeType": st.just("image/png")})
user_parts = (
    proto({"text": text})
    | proto({"inlineData": blobs}, {"videoMetadata": st.just({"start_offset": "1s"})})
    | proto({"fileData": files})
)
model_parts = (
    proto({"text": text}, {"thought": st.booleans(), "thoughtSignature": encoded})
    | proto({"functionCall": proto({"name": st.sampled_from("fg"), "args": json_objects})}, {"thoughtSignature": encoded})
)  # fmt: skip
turns = st.lists(
    proto({"parts": st.lists(user_parts, min_size=1, max_size=3)}, {"role": st.just("user")})
    | proto({"parts": st.lists(model_parts, min_size=1, max_size=3), "role": st.just("model")}),
    min_size=1,
    max_size=4,
)
configs = proto(
    {},
    {
        "maxOutputTokens": st.integers(1, 9),
        "topP": st.floats(0, 1),
        "topK": st.integers(1, 9).map(float),
        "candidateCount": st.integers(1, 3),
        "stopSequences": st.lists(text, max_size=2),
        "responseLogprobs": st.booleans(),
        "thinkingConfig": proto({}, {"thinkingBudget": st.integers(-1, 9), "includeThoughts": st.booleans()}),
        "speechConfig": st.just({"voice_config": {}}),
        "mediaResolution": st.just("MEDIA_RESOLUTION_LOW"),
    },
)
declarations = proto({"name": names}, {"description": text, "parameters": openapi_schemas}) | proto(
    {"name": names}, {"parametersJsonSchema": json_objects, "responseJsonSchema": json_objects}
)
requests = proto(
    {"contents": turns},
    {
        "systemInstruction": proto({"parts": st.lists(proto({"text": text}), max_size=2)}),
        "generationConfig": configs,
        "tools": st.lists(
            proto({}, {"functionDeclarations": st.lists(declarations, max_size=2), "googleSearch": proto({})}),
            max_size=2,
        ),
        "toolConfig": proto(
            {
                "functionCallingConfig": proto(
                    {"mode": st.sampled_from(["AUTO", "ANY", "NONE", "VALIDATED"])},
                    {"allowedFunctionNames": st.lists(names, max_size=2)},
                )
            }
        ),
        "labels": st.dictionaries(keys, text, max_size=2),
        "serviceTier": st.sampled_from(["standard", "flex"]),
        "safetySettings": st.just([]),
    },
)


@quick
@given(requests, st.data())
def test_the_spelling_of_a_field_changes_nothing(request: Proto, data: st.DataObject) -> None:
    mixed = spelled(request, lambda: data.draw(st.booleans()))

    for body in (spelled(request, lambda: True), mixed):
        assert CODEC.decode_request(dumps(body), model="m") == CODEC.decode_request(dumps(request), model="m")
        assert CODEC.read_envelope(dumps(body), model="m") == CODEC.read_envelope(dumps(request), model="m")


@quick
@given(requests)
def test_what_the_gateway_reads_at_a_glance_is_what_the_request_says(request: Proto) -> None:
    envelope = CODEC.read_envelope(dumps(request), model="m", stream=True)
    decoded = CODEC.decode_request(dumps(request), model="m", stream=True)

    assert (envelope.max_output_tokens, envelope.n) == (decoded.max_output_tokens, decoded.n or 1)
    texts = [
        part.text
        for message in decoded.messages
        for part in message.parts
        if isinstance(part, TextPart | ReasoningPart)
    ]
    assert envelope.text.replace("\n", "") == "".join(texts).replace("\n", "")


@quick
@given(requests, json_values, st.data())
def test_a_broken_request_is_the_caller_s_mistake_and_nothing_worse(
    request: Proto, value: Any, data: st.DataObject
) -> None:
    """Any member anywhere is replaced by anything."""
    body = msgspec.json.decode(dumps(request))
    node: Any = body
    while True:
        places = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not places:
            break
        place = data.draw(st.sampled_from(places))
        if not isinstance(node[place], dict | list) or data.draw(st.booleans()):
            node[place] = value
            break
        node = node[place]
    for read in (CODEC.read_envelope, CODEC.decode_request):
        try:
            read(dumps(body), model="m", stream=False)
        except InvalidRequest as error:
            assert error.message


@quick
@given(st.binary(min_size=1, max_size=20))
def test_both_alphabets_of_base64_are_the_same_bytes(data: bytes) -> None:
    standard = base64.b64encode(data).decode()
    for written in (standard, base64.urlsafe_b64encode(data).decode(), standard.rstrip("=")):
        body = {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": written}}]}]}
        (message,) = CODEC.decode_request(dumps(body), model="m").messages
        assert message.parts == (ImagePart("image/png", standard),)


# ── there and back ────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """As this dialect tells them apart: turns alternate, results follow their calls."""
    messages: list[Message] = []
    if draw(st.booleans()):
        messages.append(Message("system", tuple(map(TextPart, draw(st.lists(some_text, min_size=1, max_size=2))))))
    user = st.one_of(
        st.builds(TextPart, some_text),
        st.builds(ImagePart, st.just("image/png"), encoded),
        st.builds(lambda written: DocumentPart("text/plain", text=written), some_text),
    )
    for turn in range(draw(st.integers(1, 3))):
        messages.append(Message("user", tuple(draw(st.lists(user, min_size=1, max_size=3)))))
        said: list[Part] = [TextPart(draw(some_text))] if draw(st.booleans()) else []
        calls = [
            ToolCallPart(f"call-{turn}-{n}", draw(names), dumps(draw(json_objects)).decode())
            for n in range(draw(st.integers(0 if said else 1, 2)))
        ]
        messages.append(Message("assistant", (*said, *calls)))
        if calls:
            results = tuple(
                ToolResultPart(call.id, (TextPart(draw(text)),), call.name, draw(st.booleans()))
                for call in draw(st.permutations(calls))
            )
            messages += [Message("tool", results), Message("assistant", (TextPart(draw(some_text)),))]
    messages.append(Message("user", (TextPart(draw(some_text)),)))
    return tuple(messages)


tool_lists = st.lists(
    st.builds(
        Tool, names, st.none() | some_text, st.none() | json_objects.map(lambda schema: {**schema, "type": "object"})
    ),
    max_size=2,
).map(tuple)


@st.composite
def tools_and_choices(draw: st.DrawFn) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools: tuple[Tool, ...] = draw(tool_lists)
    if not tools:
        return (), None
    named = st.lists(st.sampled_from([tool.name for tool in tools]), max_size=2).map(tuple)
    choices = st.builds(ToolChoice, st.sampled_from(["auto", "none"])) | st.builds(
        ToolChoice, st.just("required"), named
    )
    return tools, draw(st.none() | choices)


plain = st.builds(
    ChatRequest,
    model=st.just("m"),
    messages=conversations(),
    stream=st.just(False),
    include_usage=st.just(True),
    max_output_tokens=st.none() | st.integers(1, 9),
    temperature=st.none() | st.floats(0, 2),
    top_k=st.none() | st.integers(1, 9),
    stop=st.lists(text, max_size=5).map(tuple),
    n=st.none() | st.integers(2, 4),
    seed=st.none() | st.integers(-9, 9),
    presence_penalty=st.none() | st.floats(-2, 2).filter(bool),
    logprobs=st.none() | st.just(True),
    response_format=st.none()
    | st.just(ResponseFormat("json_object"))
    | st.builds(ResponseFormat, st.just("json_schema"), json_objects),
    reasoning=st.none() | st.builds(ReasoningControl, budget_tokens=st.integers(-1, 9), summary=st.just(True)),
)


neutral = st.builds(
    lambda request, tools: msgspec.structs.replace(request, tools=tools[0], tool_choice=tools[1]),
    plain,
    tools_and_choices(),
)


@quick
@given(neutral)
def test_a_request_says_the_same_after_it_went_there_and_back(request: ChatRequest) -> None:
    sent = CODEC.encode_request(request, MODEL)
    back = CODEC.decode_request(sent.body, model="m", stream=False)
    bare = tuple(Message(message.role, message.parts) for message in back.messages)

    assert msgspec.structs.replace(back, messages=bare) == request
    assert sent.dropped == ()
    CODEC.read_envelope(sent.body, model="m", stream=False)


finishes = st.sampled_from([FinishReason.STOP, FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
replies_parts: st.SearchStrategy[list[Part]] = st.lists(
    st.builds(TextPart, some_text)
    | st.builds(ReasoningPart, some_text, encoded.map("gemini:".__add__))
    | st.builds(
        ToolCallPart,
        names.map("id-".__add__),
        names,
        json_objects.map(lambda value: dumps(value).decode()),
        st.none() | encoded,
    ),
    max_size=4,
).filter(lambda parts: not any(map(lambda a, b: isinstance(a, TextPart) and isinstance(b, TextPart), parts, parts[1:])))
usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 10_000),
    cached_input_tokens=counts,
    output_tokens=st.integers(0, 10_000),
    reasoning_tokens=counts,
    audio_input_tokens=counts,
    image_output_tokens=counts,
)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    choices = []
    for index in range(draw(st.integers(1, 3))):
        parts = tuple(draw(replies_parts))
        called = any(isinstance(part, ToolCallPart) for part in parts)
        finish = draw(finishes)
        finish = FinishReason.TOOL_CALLS if called and finish is FinishReason.STOP else finish
        choices.append(Choice(index=index, parts=parts, finish_reason=finish))
    return ChatReply(id=draw(names), model=draw(names), choices=tuple(choices), usage=draw(st.none() | usages))


@quick
@given(replies())
def test_an_answer_says_the_same_after_it_went_there_and_back(reply: ChatReply) -> None:
    assert CODEC.decode_reply(CODEC.encode_reply(reply)) == reply


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def events_of(reply: ChatReply, cut: Any) -> list[Event]:
    """`reply` as a stream; `cut(text)` says in which pieces a text comes."""
    events: list[Event] = [Started(reply.id, reply.model)]
    for choice in reply.choices:
        calls = 0
        for part in choice.parts:
            if isinstance(part, TextPart):
                events += [TextDelta(piece, choice.index) for piece in cut(part.text)]
            elif isinstance(part, ReasoningPart):
                events += [ReasoningDelta(piece, choice.index) for piece in cut(part.text)]
                events.append(ReasoningSigned(part.signature, choice=choice.index))
            elif isinstance(part, ToolCallPart):
                events.append(ToolCallStarted(calls, part.id, part.name, part.signature, choice.index))
                events += [ToolArgumentsDelta(calls, piece, choice.index) for piece in cut(part.arguments)]
                calls += 1
        assert choice.finish_reason is not None
        events.append(Finished(choice.finish_reason, choice=choice.index))
    return [*events, *([UsageReported(reply.usage)] if reply.usage is not None else []), Ended()]


def fold(events: list[Event]) -> ChatReply:
    """The answer that a stream tells."""
    started = Started("", "")
    parts: dict[int, list[Part]] = {}
    finishes: dict[int, FinishReason] = {}
    usage: Usage | None = None
    for event in events:
        held = parts.setdefault(getattr(event, "choice", 0), [])
        last = held[-1] if held else None
        if isinstance(event, Started):
            started = event
        elif isinstance(event, TextDelta):
            if isinstance(last, TextPart):
                held[-1] = TextPart(last.text + event.text)
            else:
                held.append(TextPart(event.text))
        elif isinstance(event, ReasoningDelta):
            if isinstance(last, ReasoningPart) and last.signature is None:
                held[-1] = ReasoningPart(last.text + event.reasoning)
            else:
                held.append(ReasoningPart(event.reasoning))
        elif isinstance(event, ReasoningSigned):
            assert isinstance(last, ReasoningPart)
            held[-1] = ReasoningPart(last.text, event.signature)
        elif isinstance(event, ToolCallStarted):
            held.append(ToolCallPart(event.id, event.name, "", event.signature))
        elif isinstance(event, ToolArgumentsDelta):
            calls = [place for place, part in enumerate(held) if isinstance(part, ToolCallPart)]
            call = held[calls[event.index]]
            assert isinstance(call, ToolCallPart)
            held[calls[event.index]] = msgspec.structs.replace(call, arguments=call.arguments + event.fragment)
        elif isinstance(event, Finished):
            finishes[event.choice] = event.reason
        elif isinstance(event, UsageReported):
            usage = event.usage
    choices = tuple(
        Choice(index=index, parts=tuple(parts[index]), finish_reason=finishes.get(index)) for index in sorted(parts)
    )
    return ChatReply(id=started.id, model=started.model, choices=choices, usage=usage)


def decode_stream(slices: list[bytes]) -> list[Event]:
    frames, decoder = SSEDecoder(), CODEC.decoder()
    events: list[Event] = []
    for data in slices:
        for frame in frames.feed(data):
            events += decoder.decode(frame)
    for frame in frames.finish():
        events += decoder.decode(frame)
    return events + decoder.finish()


def cuts(data: st.DataObject) -> Any:
    def cut(written: str) -> list[str]:
        at = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=3)))
        return [written[start:end] for start, end in zip([0, *at], [*at, len(written)], strict=True)]

    return cut


def encode_stream(events: list[Event]) -> bytes:
    encoder = CODEC.encoder("m", include_usage=True)
    return b"".join(encoder.encode(event) for event in events)


@quick
@given(replies(), st.data())
def test_a_stream_tells_the_same_answer_after_it_went_there_and_back(reply: ChatReply, data: st.DataObject) -> None:
    events = events_of(reply, cuts(data))
    back = decode_stream([encode_stream(events)])

    assert fold(back) == fold(events) == reply
    assert isinstance(back[-1], Ended)


@quick
@given(replies(), st.lists(st.integers(0, 4000), max_size=12), st.data())
def test_any_split_of_the_bytes_gives_the_same_events(reply: ChatReply, at: list[int], data: st.DataObject) -> None:
    output = encode_stream(events_of(reply, cuts(data)))
    places = sorted({0, len(output), *(place for place in at if place < len(output))})
    slices = [output[start:end] for start, end in pairwise(places)]

    assert decode_stream(slices) == decode_stream([output])
    assert decode_stream([output[n : n + 1] for n in range(len(output))]) == decode_stream([output])


@quick
@given(replies(), st.data())
def test_a_stream_of_the_vendor_s_tells_what_the_whole_answer_says(reply: ChatReply, data: st.DataObject) -> None:
    """The parts of a whole answer, dealt out over frames as the vendor does."""
    whole = msgspec.json.decode(CODEC.encode_reply(reply))
    frames: list[dict[str, Any]] = []
    for candidate in whole["candidates"]:
        for part in candidate["content"]["parts"]:
            pieces = [part]
            if "text" in part:
                *before, last = cuts(data)(part["text"])
                flags = {"thought": True} if part.get("thought") else {}
                pieces = [{"text": piece, **flags} for piece in before] + [{**part, "text": last}]
            frames += [
                {"candidates": [{"index": candidate["index"], "content": {"parts": [piece]}}]} for piece in pieces
            ]
    last_frame = {name: member for name, member in whole.items() if name != "candidates"}
    last_frame["candidates"] = [
        {"index": candidate["index"], "finishReason": candidate["finishReason"]} for candidate in whole["candidates"]
    ]
    told = [{**frame, "responseId": reply.id, "modelVersion": reply.model} for frame in (*frames, last_frame)]
    stream = b"".join(b"data: " + dumps(frame) + b"\r\n\r\n" for frame in told)

    assert fold(decode_stream([stream])) == CODEC.decode_reply(CODEC.encode_reply(reply)) == reply


@quick
@given(st.binary(max_size=60) | json_values.map(dumps) | json_objects.map(lambda error: dumps({"error": error})))
def test_whatever_an_upstream_sends_is_at_worst_its_own_fault(data: bytes) -> None:
    assert isinstance(upstream_error(500, (), data), UpstreamError)
    for read in (
        lambda: CODEC.decode_reply(data),
        lambda: CODEC.read_reply(data, Reading()),
        lambda: CODEC.decoder().decode(ServerSentEvent(data, "", data)),
    ):
        try:
            read()
        except PulseError as error:
            assert isinstance(error, UpstreamError)
