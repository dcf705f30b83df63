"""The form of `models.json`: one row a model, prices with the day they begin."""

from __future__ import annotations

import msgspec

from pulse_gateway.types.catalog import Capabilities, Model, Price, Rates, UnitRates

__all__ = ["CHAT", "CatalogFile", "DatedPrice", "Origin", "Row"]

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


class Origin(msgspec.Struct, frozen=True):
    """Where what is known of a model is from, and the day on which it was read there."""

    source: str
    as_of: str
    note: str | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One model. The name `*` stands for whatever else the provider serves.

    `prices` are in the order of their start. `operations`, `inputs`, `outputs` and `dimensions` are those of `types.catalog.Model`.
    Rows that are not `listed` are known by price, but may well be gone, and are not offered to anybody. `source`, a key of the file's, and
    `as_of` stand in rows without a price; else those of the price say where the row is from.
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
    source: str | None = None
    as_of: str | None = None

    def origin(self, sources: dict[str, str]) -> Origin:
        known: Row | DatedPrice = self.prices[-1] if self.prices else self
        assert known.source is not None and known.as_of is not None  # the build gives every row one
        return Origin(sources[known.source], known.as_of, self.note)

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
