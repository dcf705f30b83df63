"""How hard to think, in the word that OpenAI's dialects have for it."""

from __future__ import annotations

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ReasoningControl
from pulse_gateway.wire.effort_budgets import EFFORTS, effort_for
from pulse_gateway.wire.refusals import not_taken

__all__ = ["effort_of"]

# For a budget of thinking, where the model's own efforts are unknown.
_USUAL_EFFORTS = ("low", "medium", "high", "xhigh")


def effort_of(control: ReasoningControl, model: Model, dropped: dict[str, None]) -> str | None:
    """None leaves it to the model. `dropped` gets the name of what the effort says too.

    Raises: UnsupportedParameter (`reasoning`) for an effort that the model does not have.
    """
    effort = _wanted(control, model, dropped)
    capabilities = model.capabilities
    if effort is None:
        return None
    if capabilities.thinking == "none" or capabilities.efforts == ():
        if effort == "none":
            return None  # nothing to switch off
        raise not_taken(model, "reasoning")
    if capabilities.efforts is not None and effort not in capabilities.efforts:
        known = ", ".join(capabilities.efforts)
        raise not_taken(model, "reasoning", f" with effort {effort}: it takes {known}")
    return effort


def _wanted(control: ReasoningControl, model: Model, dropped: dict[str, None]) -> str | None:
    budget = control.budget_tokens
    if control.effort is not None:
        if budget is not None:
            dropped["reasoning.budget_tokens"] = None
        return control.effort
    if budget == 0:
        return "none"
    if budget is None or budget < 0 or control.adaptive:
        return None
    known = model.capabilities.efforts
    return effort_for(budget, EFFORTS if known else _USUAL_EFFORTS, known or None) or EFFORTS[0]
