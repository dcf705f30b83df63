"""How hard to think: one neutral control, three generations of Claude.

| asked for | `budget` models | `adaptive` models | `always` models |
| --- | --- | --- | --- |
| an effort | the budget below | `output_config.effort` and `thinking.adaptive` | `output_config.effort` |
| effort `none`, budget 0 | no `thinking` | `thinking.disabled`, where it can be | refused |
| a budget | `thinking.enabled` | refused: they take no budget | refused |
| budget −1: as the model likes | refused | `thinking.adaptive` | nothing need be said |

A model of which nothing is known is taken for `adaptive`, but a budget is passed on to it.

Source: https://platform.claude.com/docs/en/build-with-claude/thinking (read 2026-11-24); anthropic 2.12.0, types
`ThinkingConfigParam` and `OutputConfigParam` (read 2026-11-24). The budgets are those of `wire.effort_budgets`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ReasoningControl
from pulse_gateway.wire.effort_budgets import BUDGET_TOKENS
from pulse_gateway.wire.refusals import unsupported

__all__ = ["Thinking", "plan_thinking"]

MIN_BUDGET_TOKENS = 1024

_EFFORTS = {"minimal": "low"}  # this vendor's words are the neutral ones, but its scale begins at `low`


class Thinking(msgspec.Struct, frozen=True):
    """What a request says of it: the `thinking` object, `output_config.effort`, and the budget inside the former."""

    config: dict[str, Any] | None = None
    effort: str | None = None
    budget_tokens: int | None = None

    @property
    def is_on(self) -> bool:
        """Whether thinking was asked for: then the vendor takes no sampling and no forced tools."""
        return self.config is not None and self.config["type"] != "disabled"


def plan_thinking(control: ReasoningControl | None, model: Model) -> Thinking:
    """Raises: UnsupportedParameter (`reasoning`) for what the model cannot be told."""
    if control is None:
        return Thinking()
    if control.effort == "none" or control.budget_tokens == 0:
        return _off(model)
    match model.capabilities.thinking:
        case "none":
            return _without(control, model)
        case "budget":
            return _with_budget(control, model)
        case "always":
            return _adaptive(control, model, already_on=True)
        case None if control.budget_tokens is not None and control.budget_tokens > 0:
            return _with_budget(control, model)
        case _:
            return _adaptive(control, model, already_on=False)


def _off(model: Model) -> Thinking:
    kind = model.capabilities.thinking
    if kind in ("none", "budget"):
        return Thinking()
    if kind == "always" or not model.capabilities.thinking_can_be_disabled:
        raise _refused(model, "always thinks")
    return Thinking({"type": "disabled"})


def _without(control: ReasoningControl, model: Model) -> Thinking:
    if control.effort is None and control.budget_tokens is None and not control.adaptive:
        return Thinking()  # only whether to show what there is not
    raise _refused(model, "does not think")


def _with_budget(control: ReasoningControl, model: Model) -> Thinking:
    budget = control.budget_tokens
    if control.adaptive or budget == -1:
        raise _refused(model, "cannot choose its own budget for thinking: name one")
    if budget is None:
        if control.effort is None:
            return Thinking()
        budget = max(MIN_BUDGET_TOKENS, BUDGET_TOKENS[control.effort])
    if budget < MIN_BUDGET_TOKENS:
        raise _refused(model, f"takes no budget for thinking under {MIN_BUDGET_TOKENS} tokens")
    effort = _effort(control, model) if control.budget_tokens is not None else None
    return Thinking(_displayed({"type": "enabled", "budget_tokens": budget}, control), effort, budget)


def _adaptive(control: ReasoningControl, model: Model, *, already_on: bool) -> Thinking:
    if control.budget_tokens is not None and control.budget_tokens > 0:
        raise _refused(model, "chooses its own budget for thinking: ask for an effort instead")
    said = control.adaptive or control.summary is True
    if already_on:
        said = said or control.summary is False
    else:
        said = said or control.effort is not None or control.budget_tokens == -1
    return Thinking(_displayed({"type": "adaptive"}, control) if said else None, _effort(control, model))


def _effort(control: ReasoningControl, model: Model) -> str | None:
    if control.effort is None:
        return None
    effort = _EFFORTS.get(control.effort, control.effort)
    if model.capabilities.efforts is not None and effort not in model.capabilities.efforts:
        raise _refused(model, f"knows the efforts {', '.join(model.capabilities.efforts) or 'none'}, not {effort!r}")
    return effort


def _displayed(config: dict[str, Any], control: ReasoningControl) -> dict[str, Any]:
    if control.summary is not None:
        config["display"] = "summarized" if control.summary else "omitted"
    return config


def _refused(model: Model, reason: str) -> UnsupportedParameter:
    return unsupported(model, "reasoning", reason)
