"""The neutral request as Gemini's own API wants it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, PulseError, UnsupportedParameter
from pulse_gateway.types.catalog import Capabilities, Model
from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
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
from pulse_gateway.wire.gemini import GeminiCodec

CODEC = GeminiCodec()
HELLO = (Message("user", (TextPart("hello"),), path="messages[0]"),)
CALLED = Message("assistant", (ToolCallPart("one", "f", "{}"),), path="messages[1]")
DUMMY = "skip_thought_signature_validator"


def model(name: str = "gemini-3.8-flash", *, max_output_tokens: int | None = None, **capabilities: Any) -> Model:
    return Model(
        provider="google", name=name, max_output_tokens=max_output_tokens, capabilities=Capabilities(**capabilities)
    )


OLD = model("gemini-2.5-flash")


def encode(target: Model | None = None, /, *, messages: tuple[Message, ...] = HELLO, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(model="alias", messages=messages, **fields)
    body: dict[str, Any] = msgspec.json.decode(CODEC.encode_request(request, target or model()).body)
    return body


def dropped(*, messages: tuple[Message, ...] = HELLO, **fields: Any) -> tuple[str, ...]:
    return CODEC.encode_request(ChatRequest(model="alias", messages=messages, **fields), model()).dropped


def refused(target: Model | None = None, /, *, messages: tuple[Message, ...] = HELLO, **fields: Any) -> PulseError:
    with pytest.raises(InvalidRequest) as caught:
        encode(target, messages=messages, **fields)
    return caught.value


def user_part(part: Part, target: Model | None = None) -> dict[str, Any]:
    body = encode(target, messages=(Message("user", (part,), path="messages[0]"),))
    found: dict[str, Any] = body["contents"][0]["parts"][0]
    return found


def thinking(control: ReasoningControl, target: Model | None = None) -> Any:
    return encode(target, reasoning=control).get("generationConfig", {}).get("thinkingConfig")


# ── the request as a whole ────────────────────────────────────────────────────────────────────────────────────────────


def test_every_neutral_field_has_its_place() -> None:
    body = encode(
        messages=(
            Message("system", (TextPart("be brief"), TextPart("be kind")), path="system"),
            Message("system", (TextPart("be right"),), path="messages[0]"),
            *HELLO,
        ),
        max_output_tokens=9,
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        stop=("a", "b"),
        n=2,
        seed=7,
        presence_penalty=1.0,
        frequency_penalty=-1.0,
        logprobs=True,
        top_logprobs=4,
        tools=(Tool("f", "does f", {"type": "object"}), Tool("g")),
        tool_choice=ToolChoice("required", ("f",)),
        parallel_tool_calls=True,
        response_format=ResponseFormat("json_schema", {"type": "object"}),
        reasoning=ReasoningControl(effort="low", summary=True),
    )

    assert body == {
        "systemInstruction": {"parts": [{"text": "be brief"}, {"text": "be kind"}, {"text": "be right"}]},
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "f", "description": "does f", "parametersJsonSchema": {"type": "object"}},
                    {"name": "g"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "maxOutputTokens": 9,
            "temperature": 0.0,
            "topP": 0.5,
            "topK": 3,
            "stopSequences": ["a", "b"],
            "candidateCount": 2,
            "seed": 7,
            "presencePenalty": 1.0,
            "frequencyPenalty": -1.0,
            "responseLogprobs": True,
            "logprobs": 4,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
            "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
        },
    }


def test_a_plain_request_says_nothing_it_was_not_told() -> None:
    body = encode(n=1, response_format=ResponseFormat("text"), reasoning=ReasoningControl())

    assert body == {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def test_every_field_that_can_be_encoded_has_a_path_of_this_dialect() -> None:
    assert CODEC.field_paths["max_output_tokens"] == ("generationConfig.maxOutputTokens",)
    assert {name for name in CODEC.field_paths if "." not in name} < set(ChatRequest.__struct_fields__)


def test_hints_without_a_place_are_reported() -> None:
    assert dropped(
        messages=(
            Message("user", (ImagePart("image/png", "AAAA", detail="low"), DocumentPart(text="a", title="t")), "ann"),
            Message("assistant", (ReasoningPart("hm", "claude's"), TextPart("ok"))),
            *HELLO,
        ),
        tools=(Tool("f", strict=True), Tool("g", strict=False)),
        response_format=ResponseFormat("json_schema", {}, name="n", strict=True),
        user="u1",
        hints={"metadata": {}},
    ) == (
        "messages.name",
        "messages.image_detail",
        "messages.document_title",
        "messages.reasoning",
        "tools.strict",
        "response_format.name",
        "response_format.strict",
        "user",
        "metadata",
    )


@pytest.mark.parametrize(
    ("fields", "target", "param"),
    [
        ({"extra": {"logit_bias": {}}}, model(), "logit_bias"),
        ({"temperature": 0.5}, model(sampling=False), "temperature"),
        ({"top_p": 0.5}, model(sampling=False), "top_p"),
        ({"top_k": 5}, model(sampling=False), "top_k"),
        ({"max_output_tokens": 101}, model(max_output_tokens=100), "max_output_tokens"),
        ({"stop": tuple("abcdef")}, model(), "stop"),
        ({"n": 2, "stream": True}, model(), "n"),
        ({"tools": (Tool("f"),)}, model(tools=False), "tools"),
        ({"tools": (Tool("no spaces"),)}, model(), "tools"),
        ({"tools": (Tool("9lives"),)}, model(), "tools"),
        ({"tools": (Tool("x" * 129),)}, model(), "tools"),
        ({"tool_choice": ToolChoice("required")}, model(forced_tool_choice=False), "tool_choice"),
        ({"parallel_tool_calls": False, "tools": (Tool("f"),)}, model(), "parallel_tool_calls"),
        (
            {"tools": (Tool("f"),), "response_format": ResponseFormat("json_object")},
            model(schema_with_tools=False),
            "response_format",
        ),
        ({}, model("gemini-3.1-flash-image"), "model"),
        ({}, model("gemini-nano-banana-2.1"), "model"),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_the_neutral_name(fields: Any, target: Model, param: str) -> None:
    error = refused(target, **fields)

    assert (type(error), error.param) == (UnsupportedParameter, param)
    assert target.name in error.message


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("none", ("f",)), {"mode": "NONE"}),
        (ToolChoice("auto", ("f", "g")), {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}),
    ],
)
def test_the_tool_choice_is_a_calling_mode(choice: ToolChoice, expected: dict[str, Any]) -> None:
    assert encode(tools=(Tool("f"), Tool("g")), tool_choice=choice)["toolConfig"] == {"functionCallingConfig": expected}


def test_json_without_a_schema_is_a_mime_type() -> None:
    assert encode(response_format=ResponseFormat("json_object"))["generationConfig"] == {
        "responseMimeType": "application/json"
    }


# ── thinking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("control", "target", "expected"),
    [
        (ReasoningControl(effort="minimal"), model(), {"thinkingLevel": "MINIMAL"}),
        (ReasoningControl(effort="xhigh"), model(), {"thinkingLevel": "XHIGH"}),
        (ReasoningControl(effort="high"), model("gemini-4-argon", efforts=("low", "high")), {"thinkingLevel": "HIGH"}),
        (ReasoningControl(effort="high"), model("gemini-flash-latest"), {"thinkingLevel": "HIGH"}),
        (ReasoningControl(budget_tokens=-1), model(), None),
        (ReasoningControl(adaptive=True), model(), None),
        (ReasoningControl(adaptive=True, summary=True), model(), {"includeThoughts": True}),
        (ReasoningControl(budget_tokens=1024), model(), {"thinkingLevel": "LOW"}),
        (ReasoningControl(budget_tokens=1025), model(), {"thinkingLevel": "MEDIUM"}),
        (ReasoningControl(budget_tokens=2000), model(efforts=("low", "high")), {"thinkingLevel": "LOW"}),
        (ReasoningControl(budget_tokens=32000), model(), {"thinkingLevel": "HIGH"}),
        (ReasoningControl(effort="none"), OLD, {"thinkingBudget": 0}),
        (ReasoningControl(effort="minimal"), OLD, {"thinkingBudget": 512}),
        (ReasoningControl(effort="max"), OLD, {"thinkingBudget": 16384}),
        (ReasoningControl(budget_tokens=-1, summary=False), OLD, {"thinkingBudget": -1}),
        (ReasoningControl(budget_tokens=0), OLD, {"thinkingBudget": 0}),
        (ReasoningControl(adaptive=True), OLD, {"thinkingBudget": -1}),
        (ReasoningControl(effort="low"), model("tuned", thinking="budget"), {"thinkingBudget": 1024}),
        (ReasoningControl(effort="none"), model("gemini-2.0-flash"), None),
    ],
)
def test_effort_and_budget_are_said_in_the_model_s_own_measure(
    control: ReasoningControl, target: Model, expected: Any
) -> None:
    assert thinking(control, target) == expected


@pytest.mark.parametrize(
    ("control", "target"),
    [
        (ReasoningControl(effort="none"), model()),
        (ReasoningControl(effort="max"), model()),
        (ReasoningControl(effort="xhigh"), model(efforts=("low", "high"))),
        (ReasoningControl(effort="minimal"), model(efforts=("low", "high"))),
        (ReasoningControl(budget_tokens=0), model()),
        (ReasoningControl(effort="none"), model("gemini-2.5-pro", thinking_can_be_disabled=False)),
        (ReasoningControl(budget_tokens=0), model("gemini-2.5-pro", thinking_can_be_disabled=False)),
        (ReasoningControl(effort="max"), model("gemini-2.5-pro", efforts=("low",))),
        (ReasoningControl(effort="low"), model("gemini-2.0-flash")),
        (ReasoningControl(budget_tokens=9), model("any", thinking="none")),
    ],
)
def test_an_effort_the_model_does_not_have_is_refused(control: ReasoningControl, target: Model) -> None:
    assert refused(target, reasoning=control).param == "reasoning"


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_results_and_what_the_user_adds_are_one_turn_results_first() -> None:
    body = encode(
        OLD,
        messages=(
            *HELLO,
            Message(
                "assistant",
                (TextPart(""), ToolCallPart("one", "f", '{"a" : 1.0}'), ToolCallPart("two", "g", "")),
                path="messages[1]",
            ),
            Message("tool", (ToolResultPart("two", (TextPart("2"), TextPart("b"))),), path="messages[2]"),
            Message("tool", (ToolResultPart("one", (TextPart("oops"),), is_error=True),), path="messages[3]"),
            Message("user", (TextPart("go on"),), path="messages[4]"),
        ),
    )

    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "hello"}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "one", "name": "f", "args": {"a": 1.0}}},
                {"functionCall": {"id": "two", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "two", "name": "g", "response": {"output": "2\nb"}}},
                {"functionResponse": {"id": "one", "name": "f", "response": {"error": "oops"}}},
                {"text": "go on"},
            ],
        },
    ]


def test_an_object_that_gemini_sent_goes_back_as_an_object() -> None:
    result = ToolResultPart("one", (TextPart('{"a":1,"n":1e400}'),), structured=True)
    request = ChatRequest(model="m", messages=(*HELLO, CALLED, Message("tool", (result,), path="messages[2]")))

    assert b'"response":{"a":1,"n":1e400}' in CODEC.encode_request(request, OLD).body


def test_the_first_call_of_each_step_of_the_current_turn_is_signed() -> None:
    body = encode(
        messages=(
            *HELLO,
            CALLED,
            Message("tool", (ToolResultPart("one", (TextPart("1"),)),)),
            Message("assistant", (TextPart("done"),)),
            Message("user", (TextPart("more"),)),
            Message("assistant", (ToolCallPart("two", "f", "{}"), ToolCallPart("three", "f", "{}"))),
            Message("tool", (ToolResultPart("two", (TextPart("2"),)), ToolResultPart("three", (TextPart("3"),)))),
            Message("user", (TextPart("beside the results"),)),
            Message("assistant", (ToolCallPart("four", "f", "{}", "c2ln"), ToolCallPart("five", "f", "{}"))),
            Message("tool", (ToolResultPart("four", (TextPart("4"),)), ToolResultPart("five", (TextPart("5"),)))),
        ),
    )
    signatures = {
        part["functionCall"]["id"]: part.get("thoughtSignature")
        for content in body["contents"]
        for part in content["parts"]
        if "functionCall" in part
    }

    assert signatures == {"one": None, "two": DUMMY, "three": None, "four": "c2ln", "five": None}


def test_only_thinking_that_gemini_signed_goes_back_to_it() -> None:
    thought = ReasoningPart("hm", "gemini:c2ln")
    body = encode(messages=(*HELLO, Message("assistant", (ReasoningPart("no"), thought, TextPart("ok"))), *HELLO))

    assert body["contents"][1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "ok"},
    ]


def test_a_turn_of_which_nothing_is_left_is_no_turn() -> None:
    body = encode(messages=(*HELLO, Message("assistant", (ReasoningPart("hm"),)), Message("user", (TextPart("?"),))))

    assert body["contents"] == [{"role": "user", "parts": [{"text": "hello"}, {"text": "?"}]}]


def test_a_refusal_in_the_history_is_text() -> None:
    assert encode(messages=(*HELLO, Message("assistant", (RefusalPart("no"),)), *HELLO))["contents"][1] == {
        "role": "model",
        "parts": [{"text": "no"}],
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (ImagePart("image/png", "AAAA"), {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        (ImagePart("image/jpg", "AAAA"), {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}),
        (
            ImagePart(url="https://a.example/b.JPG?c=d.gif"),
            {"fileData": {"fileUri": "https://a.example/b.JPG?c=d.gif", "mimeType": "image/jpeg"}},
        ),
        (ImagePart(url="https://a.example/b"), {"fileData": {"fileUri": "https://a.example/b"}}),
        (AudioPart("audio/wav", "AAAA"), {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}),
        (DocumentPart("application/pdf", "AAAA"), {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}),
        (DocumentPart(text="é"), {"inlineData": {"mimeType": "text/plain", "data": "w6k="}}),
        (
            DocumentPart(url="https://a.example/b"),
            {"fileData": {"fileUri": "https://a.example/b", "mimeType": "application/pdf"}},
        ),
    ],
)
def test_media_have_their_place(part: Part, expected: dict[str, Any]) -> None:
    assert user_part(part) == expected


@pytest.mark.parametrize(
    ("part", "target"),
    [
        (ImagePart("image/gif", "AAAA"), model()),
        (ImagePart("image/svg+xml", "AAAA"), model()),
        (ImagePart(None, "AAAA"), model()),
        (ImagePart(url="https://a.example/b.gif"), model()),
        (ImagePart(url="https://a.example/b.png"), model(image_urls=False)),
        (ImagePart("image/png"), model()),
        (DocumentPart("application/msword", "AAAA"), model()),
        (DocumentPart(url="https://a.example/b.pdf"), model(image_urls=False)),
    ],
)
def test_media_the_model_does_not_take_are_refused_by_the_path_of_their_message(part: Part, target: Model) -> None:
    assert refused(target, messages=(Message("user", (part,), path="messages[0]"),)).param == "messages[0]"


def test_the_refusal_of_an_image_s_address_says_what_to_send_instead() -> None:
    message = Message("user", (ImagePart(url="https://a.example/b.png"),), path="messages[0]")

    assert "only the bytes" in refused(model(image_urls=False), messages=(message,)).message


def test_images_in_results_are_for_models_from_gemini_3_on() -> None:
    result = ToolResultPart("one", (TextPart("see"), ImagePart("image/png", "AAAA")))
    messages = (*HELLO, CALLED, Message("tool", (result,), path="messages[2]"))

    assert encode(messages=messages)["contents"][2]["parts"][0]["functionResponse"] == {
        "id": "one",
        "name": "f",
        "response": {"output": "see"},
        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
    }
    assert refused(OLD, messages=messages).param == "messages[2]"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (Message("system", (TextPart("be brief"),), path="messages[1]"), UnsupportedParameter),
        (Message("assistant", (ToolCallPart("a", "f", "[1]"),), path="messages[1]"), InvalidRequest),
        (Message("assistant", (ToolCallPart("a", "f", '{"a":'),), path="messages[1]"), InvalidRequest),
        (Message("assistant", (ToolCallPart("a", "no spaces", "{}"),), path="messages[1]"), UnsupportedParameter),
        (Message("tool", (ToolResultPart("lost", (TextPart("a"),)),), path="messages[1]"), InvalidRequest),
    ],
)
def test_a_message_that_cannot_be_said_is_refused_by_its_path(message: Message, kind: type[PulseError]) -> None:
    error = refused(messages=(*HELLO, message))

    assert (type(error), error.param) == (kind, "messages[1]")


def test_instructions_are_text_and_not_all_there_is() -> None:
    picture = Message("system", (ImagePart("image/png", "AAAA"),), path="system")

    assert refused(messages=(picture, *HELLO)).param == "system"
    assert refused(messages=(Message("system", (TextPart("be brief"),)),)).param == "messages"


@pytest.mark.parametrize(
    "last",
    [
        Message("assistant", (TextPart("Once"),), path="messages[1]"),
        Message("user", (TextPart(""),), path="messages[1]"),
    ],
    ids=["an answer begun", "nothing"],
)
def test_a_conversation_ends_with_something_to_answer(last: Message) -> None:
    assert refused(messages=(*HELLO, last)).param == "messages[1]"


def test_a_turn_without_text_is_left_out_and_reported() -> None:
    messages = (*HELLO, Message("assistant", (TextPart(""),)), *HELLO)
    assert encode(messages=messages)["contents"] == [{"role": "user", "parts": [{"text": "hello"}, {"text": "hello"}]}]
    assert dropped(messages=messages) == ("messages.blank_text",)


def test_a_schema_nested_beyond_reason_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}

    assert "deeply" in refused(tools=(Tool("f", parameters=schema),)).message
