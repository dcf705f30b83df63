"""How much to hold for an answer that nobody has written yet. Pure."""

from __future__ import annotations

from pulse_gateway.types.catalog import Model

__all__ = ["hold_output_tokens"]


def hold_output_tokens(max_output_tokens: int | None, n: int, model: Model, default_output_tokens: int) -> int:
    """Tokens to reserve for `n` answers as long as the request or the model allows.

    A request without a limit of its own is held at `default_output_tokens`: the models' own bounds are so large that holding
    them would stop a small plan at its first request. What it really uses beyond that is charged when it is settled.
    """
    output = default_output_tokens if max_output_tokens is None else max_output_tokens
    if (most := model.max_output_tokens) is not None and most < output:
        output = most
    return output * n if n > 1 else output
