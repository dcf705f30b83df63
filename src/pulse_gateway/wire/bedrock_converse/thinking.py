"""How hard to think. `Converse` has a member for the effort; all else is said in the words of the model behind it.

| asked for | Claude | OpenAI's models | any other |
| --- | --- | --- | --- |
| an effort | `outputConfig.effort`, and `thinking` as Anthropic's own API has it | `reasoning_effort` | `outputConfig.effort` |
| effort `none`, budget 0 | `thinking.disabled`, where it can be | `reasoning_effort: none` | refused |
| a budget | `thinking.enabled` | refused | refused |
| budget −1, adaptive | `thinking.adaptive` | nothing need be said | nothing need be said |

Source: botocore 1.44, shape `OutputConfig`; https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html (read
2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ReasoningControl
from pulse_gateway.wire.anthropic_messages.thinking import plan_thinking
from pulse_gateway.wire.bedrock_converse.families import is_claude, is_openai
from pulse_gateway.wire.refusals import unsupported

__all__ = ["Plan", "plan"]

_LEAST = {"minimal": "low"}  # the scale of `outputConfig.effort` begins at `low`


class Plan(msgspec.Struct, frozen=True):
    """`effort` of `outputConfig`; `fields` of the model's own; `is_on`: whether a Claude was asked to think."""

    effort: str | None = None
    fields: dict[str, Any] = {}
    budget_tokens: int | None = None
    is_on: bool = False


def plan(control: ReasoningControl | None, model: Model, dropped: dict[str, None]) -> Plan:
    """Raises: UnsupportedParameter (`reasoning`) for what the model cannot be told."""
    if control is None:
        return Plan()
    if is_claude(model):
        thinking = plan_thinking(control, model)
        fields = {} if thinking.config is None else {"thinking": thinking.config}
        return Plan(thinking.effort, fields, thinking.budget_tokens, thinking.is_on)
    if control.summary is not None:
        dropped["reasoning.summary"] = None
    budget, effort = control.budget_tokens, control.effort
    if budget is not None and budget > 0:
        raise unsupported(model, "reasoning", "takes no budget for thinking: ask for an effort instead")
    if budget == 0:
        effort = "none"
    if model.capabilities.thinking == "none":
        if effort in (None, "none"):
            return Plan()
        raise unsupported(model, "reasoning", "does not think")
    if effort is None:
        return Plan()
    known = model.capabilities.efforts
    if known is not None and effort not in known:
        raise unsupported(model, "reasoning", f"knows the efforts {', '.join(known) or 'none'}, not {effort!r}")
    if is_openai(model):
        return Plan(fields={"reasoning_effort": effort})
    if effort == "none":
        raise unsupported(model, "reasoning", "cannot be told not to think")
    return Plan(_LEAST.get(effort, effort))
