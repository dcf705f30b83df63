"""What a call is charged: by the vendor's own word where it is believed, else what was used at the price of the model. Pure.

A router sells hundreds of makers' models at prices that change with the maker it picks, and a search is paid for beside tokens: whoever says
what it has billed knows better than any list. Only vendors that are known to say it are believed, so that no address can make its calls
free; and never over a price that the operator has written.

Source: https://openrouter.ai/docs/use-cases/usage-accounting ("the total amount charged to your account") and
https://docs.perplexity.ai/api-reference/chat-completions-post and https://docs.x.ai/developers/cost-tracking (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

from pulse_gateway.catalog.cost import cost_at, prepare
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.usage import Usage

__all__ = ["OPERATORS_OWN", "Charge", "charge"]

OPERATORS_OWN = "configuration"  # the source of a price that an operator has written
# Kinds, and where they say it.
_BELIEVED = {"openrouter": "usage.cost", "perplexity": "usage.cost", "xai": "usage.cost_in_usd_ticks"}


class Charge(msgspec.Struct, frozen=True):
    """`nano_usd` None: there is no price. `version` None: it was no price by which it was charged."""

    nano_usd: int | None
    source: str | None
    version: str | None


def charge(usage: Usage, deployment: Deployment, told_nano_usd: int | None, /) -> Charge:
    """For `usage` at `deployment`, of which the vendor says that it costs `told_nano_usd`; None: it says nothing."""
    price = deployment.model.price
    place = None if told_nano_usd is None else _BELIEVED.get(deployment.kind)
    if place is not None and not (price and price.source == OPERATORS_OWN):
        return Charge(told_nano_usd, f"{deployment.kind}: {place}", None)
    if price is None:
        return Charge(None, None, None)
    prepared = prepare(price)
    return Charge(cost_at(usage, prepared), prepared.named, prepared.version)
