"""What the router is told: the providers that are switched on, and the model names of one's own."""

from __future__ import annotations

from typing import Literal

import msgspec

from pulse_gateway.types.catalog import Price
from pulse_gateway.types.http import Headers, Timeouts

__all__ = ["Alias", "ProviderRow", "Target"]


class ProviderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One configured upstream account. `kind` is a row of `providers.registry`. `key` is the secret and stays out of `repr`."""

    name: str
    kind: str
    base_url: str
    key: str | None = None
    headers: Headers = ()
    timeouts: Timeouts = Timeouts()
    abandoned: Literal["abort", "drain"] = "abort"
    proxy: str | None = None
    bucket: str | None = None
    warm_connections: int = 0

    def __repr__(self) -> str:
        return f"ProviderRow({self.name!r}, kind={self.kind!r}, base_url={self.base_url!r})"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a provider. `weight` is its share under the strategy `weighted`; 0: only when all others have failed."""

    provider: str
    model: str
    weight: int = 1


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """A model name of the configuration.

    `ordered`: the targets are tried as written. `weighted`: the first is drawn by weight, then the next among the rest. `fallbacks`
    are model names as a client may send them, tried after every target. `timeouts` and `price` stand in for the provider's and
    the catalog's, for the targets.
    """

    name: str
    targets: tuple[Target, ...]
    strategy: Literal["ordered", "weighted"] = "ordered"
    fallbacks: tuple[str, ...] = ()
    timeouts: Timeouts | None = None
    price: Price | None = None
