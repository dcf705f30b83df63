"""A model as lists show it. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pulse_gateway.types.catalog import Deployment

__all__ = ["ListedModel", "Offers", "listed"]

Offers = Callable[[Deployment, str], bool]
"""Whether a deployment has an operation beside chat."""


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is what a client sends to use it, `operations` what for: `chat`, or words of `wire.operation`. Dates are ISO 8601.

    `priced`: its calls can be charged to a budget.
    """

    id: str
    provider: str
    operations: tuple[str, ...] = ("chat",)
    priced: bool = True
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    start: str | None = None
    shutdown: str | None = None


def listed(name: str, deployment: Deployment, offers: Offers) -> ListedModel:
    """Without operations when nothing of what the model is for is offered."""
    model = deployment.model
    known = model.operations or ("chat",)
    if "chat" in known:
        known = (*known, "count_tokens")
    return ListedModel(
        id=name,
        provider=deployment.provider,
        operations=tuple(each for each in dict.fromkeys(known) if each == "chat" or offers(deployment, each)),
        priced=model.price is not None,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        start=model.start,
        shutdown=model.shutdown,
    )
