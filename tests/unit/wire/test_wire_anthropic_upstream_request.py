"""A neutral request becomes one that the model takes, or is refused by the name of what it cannot take."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic_request_writing import claude, dropped, encoded, refused

from pulse_gateway.types.chat import (
    ResponseFormat,
    Tool,
    ToolChoice,
)

F, G, H = Tool("f"), Tool("g"), Tool("h")

# ── parameters ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_smallest_request() -> None:
    assert encoded() == {
        "model": "claude-test",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }


def test_the_limit_is_the_clients_else_the_models() -> None:
    assert encoded(max_output_tokens=7, model=claude(100))["max_tokens"] == 7
    assert encoded(model=claude(100))["max_tokens"] == 100
    assert refused(max_output_tokens=101, model=claude(100)) == "max_output_tokens"


def test_sampling_passes_where_the_model_takes_it() -> None:
    body = encoded(temperature=1.0, top_p=0.5, top_k=3, stop=("END",), user="u", stream=True)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k", "stop_sequences", "metadata", "stream")} == {
        "temperature": 1.0,
        "top_p": 0.5,
        "top_k": 3,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "stream": True,
    }


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_sampling_is_refused_by_models_without_it_even_at_its_default(name: str) -> None:
    assert refused(model=claude(sampling=False), **{name: 1}) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 1.01),
        ("n", 2),
        ("seed", 0),
        ("presence_penalty", 0.5),
        ("frequency_penalty", -0.5),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("response_format", ResponseFormat("json_object")),
        ("stop", ("\n",)),
        ("stop", ("END", "")),
        ("tool_choice", ToolChoice("required")),
    ],
)
def test_what_the_dialect_lacks_is_refused_by_name(name: str, value: Any) -> None:
    assert refused(**{name: value}) == name


def test_what_asks_for_nothing_is_left_out() -> None:
    plain = encoded()
    assert plain == encoded(
        n=1,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        logprobs=False,
        top_logprobs=0,
        include_usage=True,
        response_format=ResponseFormat("text"),
        tool_choice=ToolChoice("none"),
        parallel_tool_calls=False,
    )


def test_extra_fields_are_refused_by_the_path_they_came_from() -> None:
    assert refused(extra={"logit_bias": {"50256": -100}}) == "logit_bias"


def test_hints_without_a_place_are_reported() -> None:
    assert dropped(hints={"verbosity": "low", "prediction": {}}) == ("verbosity", "prediction")
    mark = {"type": "ephemeral"}
    assert encoded(hints={"cache_control": mark})["cache_control"] == mark
    assert dropped(hints={"cache_control": mark}) == ()


def test_of_a_schema_only_the_schema_travels() -> None:
    form = ResponseFormat("json_schema", {"type": "object"}, name="n", description="d", strict=True)
    assert encoded(response_format=form)["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "object"}}
    }
    assert dropped(response_format=form) == (
        "response_format.name",
        "response_format.description",
        "response_format.strict",
    )


# ── tools ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tools_are_written_with_an_object_for_a_schema() -> None:
    tools = (
        F,
        Tool("g", "d", {"properties": {"a": {}}}, True),
        Tool("h", parameters={"type": "object", "required": []}),
    )
    assert encoded(tools=tools)["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        {"name": "g", "description": "d", "input_schema": {"type": "object", "properties": {"a": {}}}, "strict": True},
        {"name": "h", "input_schema": {"type": "object", "required": []}},
    ]
    assert refused(tools=(Tool("f", parameters={"type": "string"}),)) == "tools"
    assert refused(tools=(F,), model=claude(tools=False)) == "tools"


@pytest.mark.parametrize(
    ("choice", "parallel", "wire", "names"),
    [
        (None, None, None, "fgh"),
        (None, True, None, "fgh"),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, "fgh"),
        (ToolChoice("auto"), None, {"type": "auto"}, "fgh"),
        (ToolChoice("auto", ("g", "h")), None, {"type": "auto"}, "gh"),
        (ToolChoice("none"), False, {"type": "none"}, "fgh"),
        (ToolChoice("required"), None, {"type": "any"}, "fgh"),
        (
            ToolChoice("required", ("f",)),
            False,
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            "fgh",
        ),
        (ToolChoice("required", ("h", "f")), None, {"type": "any"}, "fh"),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, wire: dict[str, Any] | None, names: str) -> None:
    body = encoded(tools=(F, G, H), tool_choice=choice, parallel_tool_calls=parallel)
    assert body.get("tool_choice") == wire
    assert [tool["name"] for tool in body["tools"]] == list(names)


def test_a_forced_call_is_refused_where_the_model_cannot_be_forced() -> None:
    model = claude(forced_tool_choice=False)
    assert refused(tools=(F,), tool_choice=ToolChoice("required"), model=model) == "tool_choice"
    assert refused(tools=(F,), tool_choice=ToolChoice("required", ("f",)), model=model) == "tool_choice"
    assert encoded(tools=(F,), tool_choice=ToolChoice("auto"), model=model)["tool_choice"] == {"type": "auto"}


def test_a_choice_of_a_tool_that_is_not_there_is_refused() -> None:
    assert refused(tools=(F,), tool_choice=ToolChoice("required", ("nobody",))) == "tool_choice"
