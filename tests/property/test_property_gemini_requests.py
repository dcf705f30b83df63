"""What holds for every Gemini request."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec
from gemini_values import CODEC, MODEL, dumps, encoded, json_objects, json_values, keys, names, quick, some_text, text
from hypothesis import given
from hypothesis import strategies as st

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import (
    ChatRequest,
    DocumentPart,
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
