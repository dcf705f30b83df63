"""One control for thinking, and what each generation of Claude is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Capabilities, Model
from pulse_gateway.types.chat import ChatRequest, Message, ReasoningControl, TextPart
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec

CODEC = AnthropicMessagesCodec()

UNKNOWN = Capabilities()
NONE = Capabilities(thinking="none")
BUDGET = Capabilities(thinking="budget")
ADAPTIVE = Capabilities(thinking="adaptive", efforts=("low", "medium", "high", "max"))
ALWAYS = Capabilities(thinking="always", thinking_can_be_disabled=False)
BETWEEN = Capabilities(thinking="adaptive", thinking_can_be_disabled=False)


def body(capabilities: Capabilities, control: ReasoningControl, **fields: Any) -> dict[str, Any]:
    model = Model(provider="anthropic", name="claude-test", max_output_tokens=64000, capabilities=capabilities)
    request = ChatRequest(model="alias", messages=(Message("user", (TextPart("x"),)),), reasoning=control, **fields)
    decoded: dict[str, Any] = msgspec.json.decode(CODEC.encode_request(request, model).body)
    return decoded


def said(capabilities: Capabilities, control: ReasoningControl) -> tuple[Any, Any]:
    written = body(capabilities, control)
    return written.get("thinking"), written.get("output_config", {}).get("effort")


ADAPT = {"type": "adaptive"}


@pytest.mark.parametrize(
    ("capabilities", "control", "thinking", "effort"),
    [
        (ADAPTIVE, ReasoningControl("high"), ADAPT, "high"),
        (ADAPTIVE, ReasoningControl("minimal"), ADAPT, "low"),
        (ADAPTIVE, ReasoningControl("max", summary=True), ADAPT | {"display": "summarized"}, "max"),
        (ADAPTIVE, ReasoningControl("low", summary=False), ADAPT | {"display": "omitted"}, "low"),
        (ADAPTIVE, ReasoningControl(adaptive=True), ADAPT, None),
        (ADAPTIVE, ReasoningControl(budget_tokens=-1), ADAPT, None),
        (ADAPTIVE, ReasoningControl(summary=True), ADAPT | {"display": "summarized"}, None),
        (ADAPTIVE, ReasoningControl(summary=False), None, None),
        (ADAPTIVE, ReasoningControl("none"), {"type": "disabled"}, None),
        (ADAPTIVE, ReasoningControl(budget_tokens=0), {"type": "disabled"}, None),
        (ALWAYS, ReasoningControl("high"), None, "high"),
        (ALWAYS, ReasoningControl("high", summary=True), ADAPT | {"display": "summarized"}, "high"),
        (ALWAYS, ReasoningControl(summary=False), ADAPT | {"display": "omitted"}, None),
        (ALWAYS, ReasoningControl(adaptive=True), ADAPT, None),
        (ALWAYS, ReasoningControl(budget_tokens=-1), None, None),
        (BUDGET, ReasoningControl("minimal"), {"type": "enabled", "budget_tokens": 1024}, None),
        (BUDGET, ReasoningControl("low"), {"type": "enabled", "budget_tokens": 1024}, None),
        (BUDGET, ReasoningControl("medium"), {"type": "enabled", "budget_tokens": 2048}, None),
        (BUDGET, ReasoningControl("high"), {"type": "enabled", "budget_tokens": 4096}, None),
        (BUDGET, ReasoningControl("xhigh"), {"type": "enabled", "budget_tokens": 8192}, None),
        (BUDGET, ReasoningControl("max"), {"type": "enabled", "budget_tokens": 16384}, None),
        (
            BUDGET,
            ReasoningControl("low", budget_tokens=3000, summary=True),
            {"type": "enabled", "budget_tokens": 3000, "display": "summarized"},
            "low",
        ),
        (BUDGET, ReasoningControl("none"), None, None),
        (BUDGET, ReasoningControl(summary=True), None, None),
        (NONE, ReasoningControl("none"), None, None),
        (NONE, ReasoningControl(summary=True), None, None),
        (UNKNOWN, ReasoningControl("xhigh"), ADAPT, "xhigh"),
        (UNKNOWN, ReasoningControl(budget_tokens=3000), {"type": "enabled", "budget_tokens": 3000}, None),
        (UNKNOWN, ReasoningControl("none"), {"type": "disabled"}, None),
    ],
)
def test_what_the_model_is_told(
    capabilities: Capabilities, control: ReasoningControl, thinking: dict[str, Any] | None, effort: str | None
) -> None:
    assert said(capabilities, control) == (thinking, effort)


@pytest.mark.parametrize(
    ("capabilities", "control"),
    [
        (ADAPTIVE, ReasoningControl("xhigh")),
        (ADAPTIVE, ReasoningControl(budget_tokens=2048)),
        (ALWAYS, ReasoningControl("none")),
        (Capabilities(thinking="always"), ReasoningControl("none")),
        (ALWAYS, ReasoningControl(budget_tokens=0)),
        (ALWAYS, ReasoningControl(budget_tokens=2048)),
        (BETWEEN, ReasoningControl("none")),
        (BUDGET, ReasoningControl(budget_tokens=-1)),
        (BUDGET, ReasoningControl(adaptive=True)),
        (BUDGET, ReasoningControl(budget_tokens=512)),
        (BUDGET, ReasoningControl(budget_tokens=64000)),
        (NONE, ReasoningControl("low")),
        (NONE, ReasoningControl(budget_tokens=2048)),
    ],
)
def test_what_the_model_cannot_be_told_is_refused(capabilities: Capabilities, control: ReasoningControl) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        said(capabilities, control)
    assert caught.value.param == "reasoning"


def test_a_budget_must_leave_room_within_the_clients_limit() -> None:
    assert body(BUDGET, ReasoningControl("high"), max_output_tokens=4097)["max_tokens"] == 4097
    with pytest.raises(UnsupportedParameter) as caught:
        body(BUDGET, ReasoningControl("high"), max_output_tokens=4096)
    assert caught.value.param == "reasoning"


def test_without_any_limit_the_default_is_raised_by_the_budget() -> None:
    model = Model(provider="anthropic", name="claude-test", capabilities=BUDGET)
    request = ChatRequest(
        model="a", messages=(Message("user", (TextPart("x"),)),), reasoning=ReasoningControl(budget_tokens=10_000)
    )
    assert msgspec.json.decode(CODEC.encode_request(request, model).body)["max_tokens"] == 14_096
