"""What is known of the vendors' models: prices, limits, capabilities, and when they are shut down."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import resources

import msgspec

from pulse_gateway.catalog.rows import CatalogFile, Row
from pulse_gateway.types.catalog import Model

__all__ = ["Catalog"]

_DAY_S = 86_400
_SAME_MODELS = {"azure": "openai", "gemini": "google", "vertex": "google", "x-ai": "xai"}
"""Providers that serve another vendor's models under its names, at its list price."""

_SNAPSHOT = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{4}|\d{3}|preview(?:-\d{2}-\d{2,4})?|latest)$|:latest$")
"""What vendors put behind a model's name for one state of it: `-2026-03-05`, `@20251001`, `-0613`, `-001`, `-latest` …"""


class Catalog:
    """The rows that ship with the package, and `own` models that replace or add to them.

    A price and a shutdown take effect on their day (UTC), also in a process that has run since before it. `now` tells the time in
    seconds since the epoch.
    """

    def __init__(self, file: CatalogFile, *, own: Iterable[Model] = (), now: Callable[[], float] = time.time) -> None:
        self._sources = file.sources
        self._now = now
        self._rows: dict[tuple[str, str], Row] = {}
        for row in file.rows:
            self._rows[row.provider, row.name.lower()] = row
        for row in file.rows:
            for alias in (*row.aliases, row.name.removesuffix("-latest")):
                self._rows.setdefault((row.provider, alias.lower()), row)
        self._own = {(model.provider, model.name.lower()): model for model in own}
        self._file_rows = file.rows

    @classmethod
    def load(cls, *, own: Iterable[Model] = (), now: Callable[[], float] = time.time) -> Catalog:
        """The catalog of this version of the package. Reads one file; nothing is read before this is called."""
        data = resources.files("pulse_gateway.catalog").joinpath("models.json").read_bytes()
        return cls(msgspec.json.decode(data, type=CatalogFile), own=own, now=now)

    @property
    def day(self) -> int:
        """Days since the epoch (UTC). What `find` answers holds until this changes."""
        return int(self._now() // _DAY_S)

    def find(self, provider: str, name: str) -> Model | None:
        """`name` at `provider`, under the name it was asked by. A dated snapshot and `-latest` are found by their model's row.

        Models that are shut down are found too: `shutdown` says since when.
        """
        vendor = _SAME_MODELS.get(provider, provider)
        low = name.lower()
        if own := self._own.get((vendor, low)):
            return own
        row = self._rows.get((vendor, low))
        while row is None and (suffix := _SNAPSHOT.search(low)):
            low = low[: suffix.start()]
            row = self._rows.get((vendor, low))
        row = row or self._rows.get((vendor, "*"))
        return None if row is None else row.model(name, self._today(), self._sources)

    def model(self, provider: str, name: str) -> Model:
        """Like `find`; an unknown model has no price and no limits, and nothing is refused on its behalf."""
        return self.find(provider, name) or Model(provider=provider, name=name)

    def models(self, provider: str, operation: str = "chat") -> Iterator[Model]:
        """The models of `provider` that can be used today, by name."""
        vendor, today = _SAME_MODELS.get(provider, provider), self._today()
        own = [model for model in self._own.values() if model.provider == vendor]
        yield from own
        replaced = {model.name.lower() for model in own}
        for row in self._file_rows:
            gone = row.shutdown is not None and row.shutdown <= today
            offered = row.provider == vendor and row.operation == operation and row.listed and row.name != "*"
            if offered and not gone and row.name.lower() not in replaced:
                yield row.model(row.name, today, self._sources)

    def names(self, provider: str) -> tuple[str, ...]:
        """The names of `models(provider)`."""
        return tuple(model.name for model in self.models(provider))

    def _today(self) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(self._now()))
