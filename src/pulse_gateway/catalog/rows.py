"""The form of `models.json`: one row a model, prices with the day they begin."""

from __future__ import annotations

import msgspec

from pulse_gateway.types.catalog import Capabilities, Model, Price, Rates, UnitRates

__all__ = ["CHAT", "CatalogFile", "DatedPrice", "Row"]

CHAT = ("chat",)
"""What most models are for. One and the same object, which is why rows leave it out where they are written."""


class DatedPrice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A price from the day `start` on (ISO 8601, UTC); None: from the beginning. `source` is a key of `CatalogFile.sources`."""

    start: str | None = None
    rates: Rates
    long_above_tokens: int | None = None
    long_rates: Rates | None = None
    units: UnitRates | None = None
    source: str
    as_of: str


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model. The name `*` stands for whatever else the provider serves.

    `prices` are in the order of their start. `operations`, `inputs`, `outputs` and `dimensions` are those of `types.catalog.Model`.
    Rows that are not `listed` are known by price, but may well be gone, and are not offered to anybody.
    """

    provider: str
    name: str
    aliases: tuple[str, ...] = ()
    operations: tuple[str, ...] = CHAT
    listed: bool = True
    start: str | None = None
    shutdown: str | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: Capabilities = Capabilities()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    dimensions: int | None = None
    prices: tuple[DatedPrice, ...] = ()
    note: str | None = None

    def model(self, name: str, today: str, sources: dict[str, str]) -> Model:
        """This row as `name`, with the price of the day `today`."""
        begun = [price for price in self.prices if price.start is None or price.start <= today]
        current = begun[-1] if begun else None
        return Model(
            provider=self.provider,
            name=name,
            price=None
            if current is None
            else Price(
                rates=current.rates,
                long_above_tokens=current.long_above_tokens,
                long_rates=current.long_rates,
                units=current.units,
                source=sources[current.source],
                as_of=current.as_of,
            ),
            context_tokens=self.context_tokens,
            max_output_tokens=self.max_output_tokens,
            capabilities=self.capabilities,
            start=self.start,
            shutdown=self.shutdown,
            operations=self.operations,
            inputs=self.inputs,
            outputs=self.outputs,
            dimensions=self.dimensions,
        )


class CatalogFile(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `sources` spells out where prices come from."""

    sources: dict[str, str]
    rows: tuple[Row, ...]
