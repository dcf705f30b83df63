"""How hard to think: `thinkingConfig` ⇄ `ReasoningControl`.

Gemini 3 and later take a `thinkingLevel`, Gemini 2.5 a `thinkingBudget`; a request never carries both. Where a client speaks
in the other measure, `wire.effort_budgets` converts.

Source: https://ai.google.dev/gemini-api/docs/thinking (read 2026-11-24); `types.ThinkingConfig` of google-genai 3.4.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ReasoningControl
from pulse_gateway.wire.codec import MAX_COUNT
from pulse_gateway.wire.effort_budgets import BUDGET_TOKENS, effort_for
from pulse_gateway.wire.gemini.fields import Fields
from pulse_gateway.wire.refusals import unsupported

__all__ = ["decode_thinking", "encode_thinking", "thinks_by_level"]

_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_LEVELS_OF_A_BUDGET = ("minimal", "low", "medium", "high")  # of a model of which nothing more is known
_VERSION = re.compile(r"(?:models/)?gemini-([0-9]+)(?:\.([0-9]+))?")

_Effort = Literal["minimal", "low", "medium", "high", "xhigh"]
_WORDS: dict[str, _Effort | None] = {
    "THINKING_LEVEL_UNSPECIFIED": None,
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}


def decode_thinking(config: Fields) -> ReasoningControl | None:
    """None when the config says nothing. A level nobody here has heard of is left over."""
    effort = _WORDS[config.word("thinkingLevel", _WORDS) or "THINKING_LEVEL_UNSPECIFIED"]
    budget = config.integer("thinkingBudget", least=-1, most=MAX_COUNT)
    shown = config.flag("includeThoughts")
    if effort is not None and budget is not None:
        raise config.wrong("thinkingBudget", "contradicts thinkingLevel: only one may be given")
    if effort is None and budget is None and shown is None:
        return None
    return ReasoningControl(effort=effort, budget_tokens=budget, summary=shown)


def thinks_by_level(model: Model) -> bool:
    """Whether the model is of the Gemini 3 family or later; an unknown model is taken for a current one."""
    return _thinking(model) == "level"


def encode_thinking(control: ReasoningControl, model: Model, dropped: dict[str, None]) -> dict[str, Any]:
    """The `thinkingConfig`; empty when the model's own choice is what was asked for. `dropped` gets what it cannot say besides.

    Raises: UnsupportedParameter for an effort the model does not have.
    """
    thinking = _thinking(model)
    if thinking == "none":
        if control.effort in (None, "none") and control.budget_tokens in (None, 0):
            return {}
        raise unsupported(model, "reasoning", "does not think")
    config: dict[str, Any] = {}
    if control.effort is not None and control.budget_tokens is not None:
        dropped["reasoning.budget_tokens" if thinking == "level" else "reasoning.effort"] = (
            None  # the other says it too
        )
    if control.effort is not None or control.budget_tokens is not None:
        config = _level(control, model) if thinking == "level" else _budget(control, model)
    elif control.adaptive and thinking == "budget":
        config = {"thinkingBudget": -1}
    if control.summary:
        config["includeThoughts"] = True
    return config


def _thinking(model: Model) -> Literal["none", "level", "budget"]:
    declared = model.capabilities.thinking
    if declared is not None:
        return declared if declared in ("none", "budget") else "level"
    if version := _VERSION.match(model.name):
        number = (int(version[1]), int(version[2] or 0))
        if number < (2, 5):
            return "none"
        if number < (3, 0):
            return "budget"
    return "level"


def _level(control: ReasoningControl, model: Model) -> dict[str, Any]:
    known, effort = model.capabilities.efforts or _LEVELS, control.effort
    if effort is None and control.budget_tokens == -1:
        return {}
    if effort == "none" or (effort is None and control.budget_tokens == 0):
        raise unsupported(model, "reasoning", "cannot be told not to think")
    if effort is None:
        scale = _LEVELS if model.capabilities.efforts else _LEVELS_OF_A_BUDGET
        level = effort_for(control.budget_tokens or 0, scale, known)
        if level is None:
            raise unsupported(
                model, "reasoning", f"thinks no less than {known[0]}, more than {control.budget_tokens} tokens"
            )
        return {"thinkingLevel": level.upper()}
    if effort not in _LEVELS or effort not in known:
        raise unsupported(model, "reasoning", f"has no effort {effort!r}; it has {', '.join(known)}")
    return {"thinkingLevel": effort.upper()}


def _budget(control: ReasoningControl, model: Model) -> dict[str, Any]:
    budget = control.budget_tokens
    if budget is None:
        effort = control.effort or "none"
        known = model.capabilities.efforts
        if effort != "none" and known is not None and effort not in known:
            raise unsupported(model, "reasoning", f"has no effort {effort!r}; it has {', '.join(known)}")
        budget = BUDGET_TOKENS.get(effort, 0)
    if budget == 0 and not model.capabilities.thinking_can_be_disabled:
        raise unsupported(model, "reasoning", "cannot be told not to think")
    return {"thinkingBudget": budget}
