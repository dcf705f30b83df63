"""A model as lists show it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from pulse_gateway.types.catalog import Deployment

__all__ = ["ListedModel", "Offers", "listed"]

Offers = Callable[[Deployment, str], bool]
"""Whether a deployment has an operation beside chat."""


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is what a client sends to use it, `operations` what for: `chat`, or words of `wire.operation`. Dates are ISO 8601."""

    id: str
    provider: str
    operations: tuple[str, ...] = ("chat",)
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    start: str | None = None
    shutdown: str | None = None


def listed(name: str, deployments: Sequence[Deployment], offers: Offers) -> ListedModel:
    """What those have that are asked for `name`, one after the other; the rest is the first one's.

    Without operations when nothing of what the models are for is offered.
    """
    first, model = deployments[0], deployments[0].model
    return ListedModel(
        id=name,
        provider=first.provider,
        operations=tuple(dict.fromkeys(each for deployment in deployments for each in _operations(deployment, offers))),
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
        start=model.start,
        shutdown=model.shutdown,
    )


def _operations(deployment: Deployment, offers: Offers) -> Iterator[str]:
    known = deployment.model.operations or ("chat",)
    if "chat" in known:
        known = (*known, "count_tokens")
    return (each for each in known if each == "chat" or offers(deployment, each))
