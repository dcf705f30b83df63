"""How many tokens of thinking an effort stands for, where one side measures in words and the other in tokens.

A convention of gateways, LiteLLM's 1.109.1 defaults, and no vendor's rule.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

__all__ = ["BUDGET_TOKENS", "EFFORTS", "effort_for"]

BUDGET_TOKENS = {"minimal": 512, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
EFFORTS = tuple(BUDGET_TOKENS)


def effort_for(budget_tokens: int, scale: Sequence[str], known: Container[str] | None) -> str | None:
    """The least effort of `scale` that covers the budget, its last if none does. A budget is no exact wish: where the model does
    not know that effort, the next lower one that it knows. None when there is none: then thinking would take more than was
    asked for. `known` is None for a model of which nothing is known.
    """
    wanted = next(
        (place for place, effort in enumerate(scale) if BUDGET_TOKENS[effort] >= budget_tokens), len(scale) - 1
    )
    lower = [effort for effort in scale[: wanted + 1] if known is None or effort in known]
    return lower[-1] if lower else None
