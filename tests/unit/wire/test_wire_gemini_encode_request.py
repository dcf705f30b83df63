"""The neutral request as Gemini's own API wants it."""

from __future__ import annotations

from typing import Any

import pytest
from gemini_request_writing import CODEC, HELLO, OLD, dropped, encode, model, refused, thinking

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    ReasoningControl,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)

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
