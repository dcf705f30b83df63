"""What is known of the vendors' models: prices, limits, capabilities, what they are for, and when they are shut down."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import msgspec

from pulse_gateway.catalog.lifetime import absence
from pulse_gateway.catalog.override import Override
from pulse_gateway.catalog.resale import origin_of, resold
from pulse_gateway.catalog.rows import CatalogFile, Origin, Row
from pulse_gateway.types.catalog import Model

__all__ = ["Catalog", "Overrides"]

Overrides = Mapping[tuple[str, str], Override]
"""By provider and model."""

_DAY_S = 86_400
_NAMED_BY_THEIR_OWNER = frozenset({"azure"})
"""Providers whose models go by names that each account gives them: which those are is only known where they are configured."""

_SNAPSHOT = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{4}|\d{3}|preview(?:-\d{2}-\d{2,4})?|latest)$|:latest$")
"""What vendors put behind a model's name for one state of it: `-2026-03-05`, `@20251001`, `-0613`, `-001`, `-latest` …"""


class Catalog:
    """The rows that ship with the package, and what `overrides` know better.

    A price, a start and a shutdown take effect on their day (UTC), also in a process that has run since before it. `now` tells the time in
    seconds since the epoch.
    """

    def __init__(
        self, file: CatalogFile, *, overrides: Overrides | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._file, self._now = file, now
        self._overrides = {(provider, name.lower()): each for (provider, name), each in (overrides or {}).items()}
        self._own_names = list(overrides or {})
        self._rows: dict[tuple[str, str], Row] = {}
        for row in file.rows:
            self._rows[row.provider, row.name.lower()] = row
        for row in file.rows:
            for alias in (*row.aliases, row.name.removesuffix("-latest")):
                self._rows.setdefault((row.provider, alias.lower()), row)

    @classmethod
    def load(cls, *, now: Callable[[], float] = time.time) -> Catalog:
        """The catalog of this version of the package. Reads one file; nothing is read before this is called."""
        return cls(_shipped_file(), now=now)

    def overridden(self, overrides: Overrides) -> Catalog:
        """The same rows, with these words on them instead of any before."""
        return Catalog(self._file, overrides=overrides, now=self._now) if overrides or self._overrides else self

    @property
    def day(self) -> int:
        """Days since the epoch (UTC). What `find` answers holds until this changes."""
        return int(self._now() // _DAY_S)

    @property
    def today(self) -> str:
        """ISO 8601, UTC."""
        return time.strftime("%Y-%m-%d", time.gmtime(self._now()))

    def find(self, provider: str, name: str, *, kind: str | None = None) -> Model | None:
        """`name` at `provider`, under the name it was asked by. A dated snapshot and `-latest` are found by their model's row.

        `kind` is the vendor whose models a provider with a name of its own serves. Models that are shut down are found too:
        `shutdown` says since when.
        """
        vendors = (provider,) if kind in {None, provider} else (provider, kind or provider)
        found, called = next(
            (hit for vendor in vendors if (hit := self._shipped(vendor, name)) is not None), (None, name)
        )
        override = next(
            (
                each
                for vendor in vendors
                for spelling in (name, called)
                if (each := self._overrides.get((vendor, spelling.lower()))) is not None
            ),
            None,
        )
        if override is None:
            return found
        return override.of(found or _unknown(vendors[-1], name))

    def model(self, provider: str, name: str, *, kind: str | None = None) -> Model:
        """Like `find`; an unknown model has no price and no limits, and nothing is refused on its behalf."""
        return self.find(provider, name, kind=kind) or _unknown(kind or provider, name)

    def models(self, provider: str, operation: str | None = "chat", *, kind: str | None = None) -> Iterator[Model]:
        """The models of `provider` that can be used today, by name. `operation` None: whatever they are for."""
        today = self.today
        for name in self._offered(provider, kind or provider):
            model = self.model(provider, name, kind=kind)
            if absence(model, today) is None and (operation is None or operation in (model.operations or ("chat",))):
                yield model

    def vendors(self, kind: str) -> tuple[str, ...]:
        """Whose models, under whose names, a provider of this kind serves: its own, and those of the vendor it resells."""
        origin = origin_of(kind, "")
        return (kind,) if origin is None or kind in _NAMED_BY_THEIR_OWNER else (kind, origin.vendor)

    def names(self, provider: str) -> tuple[str, ...]:
        """The names of `models(provider)`."""
        return tuple(model.name for model in self.models(provider))

    def rows(self) -> Iterator[tuple[str, Model, Origin]]:
        """All there is to know, whether offered or not: the provider, the model as it is today, where that is from. By provider and name."""
        shipped = {(row.provider, row.name): row.origin(self._file.sources) for row in self._file.rows}
        configured = Origin("configuration", self.today)
        for provider, name in sorted({*shipped, *self._own_names}):
            yield provider, self.model(provider, name), shipped.get((provider, name), configured)

    def _shipped(self, provider: str, name: str) -> tuple[Model, str] | None:
        """The model, and what its row calls it."""
        if (row := self._row(provider, name)) is not None:
            return row.model(name, self.today, self._file.sources), row.name
        if (origin := origin_of(provider, name)) is not None and (row := self._row(origin.vendor, origin.name)):
            return resold(row.model(name, self.today, self._file.sources), name, origin), row.name
        if (row := self._rows.get((provider, "*"))) is not None:
            return row.model(name, self.today, self._file.sources), name
        return None

    def _row(self, provider: str, name: str) -> Row | None:
        low = name.lower()
        row = self._rows.get((provider, low))
        while row is None and (suffix := _SNAPSHOT.search(low)):
            low = low[: suffix.start()]
            row = self._rows.get((provider, low))
        return row

    def _offered(self, provider: str, kind: str) -> Iterator[str]:
        """Names of one's own first, then those of the provider's rows, then those it serves of another vendor."""
        seen = {"*"}
        vendors = self.vendors(kind)
        own = (name for owner, name in self._own_names if owner in {provider, kind})
        shipped = (row.name for vendor in vendors for row in self._file.rows if row.provider == vendor and row.listed)
        for name in (*own, *shipped):
            if name.lower() not in seen:
                seen.add(name.lower())
                yield name


@cache
def _shipped_file() -> CatalogFile:
    """Read once in a process: nothing in it ever changes."""
    from importlib import resources  # takes longer to load than the file takes to be read

    data = resources.files("pulse_gateway.catalog").joinpath("models.json").read_bytes()
    return msgspec.json.decode(data, type=CatalogFile)


def _unknown(provider: str, name: str) -> Model:
    origin = origin_of(provider, name)
    return Model(provider=provider if origin is None else origin.vendor, name=name)
