"""Offers, each imported on first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from pulse_gateway.providers.offer import Offer

__all__ = ["load_offer", "own_offer"]

_OWN = {"count_tokens": "pulse_gateway.providers.count_estimate:ESTIMATE"}


@cache
def load_offer(path: str | None) -> Offer | None:
    """The one at `package.module:NAME`; None for None."""
    if path is None:
        return None
    module, _, name = path.partition(":")
    return cast("Offer", getattr(import_module(module), name))


def own_offer(operation: str) -> Offer | None:
    """What this gateway does itself where a vendor does not."""
    return load_offer(_OWN.get(operation))
