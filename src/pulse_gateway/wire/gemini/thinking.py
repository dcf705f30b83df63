"""How hard to think: `thinkingConfig` ⇄ `ReasoningControl`.

Gemini 3 and later take a `thinkingLevel`, Gemini 2.5 a `thinkingBudget`; a request never carries both. Where a client speaks
in the other measure, this table converts: the budgets are the customary ones for each effort, not a vendor's rule.

Source: https://ai.google.dev/gemini-api/docs/thinking (read 2026-11-24); `types.ThinkingConfig` of google-genai 3.4; budgets:
LiteLLM 1.109 defaults.
"""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ReasoningControl
from pulse_gateway.wire.gemini.fields import Fields

__all__ = ["decode_thinking", "encode_thinking", "thinks_by_level"]

_BUDGETS_TOKENS = {"minimal": 512, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_LEVEL_OF_ANY_BUDGET = ("minimal", "low", "medium", "high")  # every larger budget is "high", which all models have
_VERSION = re.compile(r"(?:models/)?gemini-([0-9]+)(?:\.([0-9]+))?")
_FIELD = "reasoning"

_Effort = Literal["minimal", "low", "medium", "high", "xhigh"]


def decode_thinking(config: Fields, unplaced: dict[str, Any]) -> ReasoningControl | None:
    """None when the config says nothing. A level nobody here has heard of goes to `unplaced`."""
    level = config.text("thinkingLevel") or "THINKING_LEVEL_UNSPECIFIED"
    budget = config.integer("thinkingBudget", minimum=-1)
    shown = config.flag("includeThoughts")
    unplaced.update(config.leftovers())
    effort: _Effort | None = None
    if level.lower() in _LEVELS:
        effort = cast("_Effort", level.lower())
    elif level != "THINKING_LEVEL_UNSPECIFIED":
        unplaced[config.at("thinkingLevel")] = level
    if effort is not None and budget is not None:
        raise InvalidRequest(
            f"{config.path} has both a thinkingLevel and a thinkingBudget", param=config.at("thinkingBudget")
        )
    if effort is None and budget is None and shown is None:
        return None
    return ReasoningControl(effort=effort, budget_tokens=budget, summary=shown)


def thinks_by_level(model: Model) -> bool:
    """Whether the model is of the Gemini 3 family or later; an unknown model is taken for a current one."""
    return _thinking(model) == "level"


def encode_thinking(control: ReasoningControl, model: Model) -> dict[str, Any]:
    """The `thinkingConfig`; empty when the model's own choice is what was asked for.

    Raises: UnsupportedParameter for an effort the model does not have.
    """
    thinking = _thinking(model)
    if thinking == "none":
        if control.effort in (None, "none") and control.budget_tokens in (None, 0):
            return {}
        raise UnsupportedParameter(f"{model.name} does not think", param=_FIELD)
    config: dict[str, Any] = {}
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
    if control.effort is None and control.budget_tokens == -1:
        return {}
    if control.effort == "none" or control.budget_tokens == 0:
        raise UnsupportedParameter(f"{model.name} cannot be told not to think", param=_FIELD)
    if control.effort is None:
        return {"thinkingLevel": _nearest_level(control.budget_tokens or 0, model).upper()}
    known = model.capabilities.efforts or _LEVELS
    if control.effort not in _LEVELS or control.effort not in known:
        raise UnsupportedParameter(
            f"{model.name} has no effort {control.effort!r}; it has {', '.join(known)}", param=_FIELD
        )
    return {"thinkingLevel": control.effort.upper()}


def _nearest_level(budget_tokens: int, model: Model) -> str:
    """The lowest level whose customary budget covers this one, of those the model has."""
    known = [level for level in _LEVEL_OF_ANY_BUDGET if level in (model.capabilities.efforts or _LEVELS)]
    return next((level for level in known if _BUDGETS_TOKENS[level] >= budget_tokens), "high")


def _budget(control: ReasoningControl, model: Model) -> dict[str, Any]:
    budget = control.budget_tokens
    if budget is None:
        effort = control.effort or "none"
        known = model.capabilities.efforts
        if effort != "none" and known is not None and effort not in known:
            raise UnsupportedParameter(
                f"{model.name} has no effort {effort!r}; it has {', '.join(known)}", param=_FIELD
            )
        budget = _BUDGETS_TOKENS.get(effort, 0)
    if budget == 0 and not model.capabilities.thinking_can_be_disabled:
        raise UnsupportedParameter(f"{model.name} cannot be told not to think", param=_FIELD)
    return {"thinkingBudget": budget}
