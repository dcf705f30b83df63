"""Makes `models.json` of genai-prices and `corrections.toml`. Run by hand: `python -m pulse_gateway.catalog.build`.

Depends on nothing but those two, so that anybody who runs it gets the same bytes. Needs the `test` extra.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from genai_prices import types as base
from genai_prices.data import providers as base_vendors

from pulse_gateway.catalog.rows import CHAT, DatedPrice, Row
from pulse_gateway.types.catalog import Capabilities, Rates, UnitRates

__all__ = ["Built", "build", "render"]

_FOLDER = Path(__file__).parent
_RATE_OF = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_long": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_output": "output_audio_mtok",
    "image_output": "output_image_mtok",
    "image_input": "input_image_mtok",
    "video_input": "input_video_mtok",
    "video_output": "output_video_mtok",
}
"""Our class of tokens → genai-prices' name for its price."""

_INPUT_CLASSES = frozenset(
    {"input", "cached_input", "cache_write", "cache_write_long", "audio_input", "image_input", "video_input"}
)
_OPERATIONS = (  # by the name, where no correction says better
    (("embeddings",), r"embed"),
    (("rerank",), r"rerank"),
    (("moderation",), r"moderation"),
    (CHAT, r"^gpt-audio|guard"),
    (("realtime",), r"realtime|live|streaming|voice|native-audio"),
    (("transcription", "translation"), r"whisper"),
    (("transcription",), r"transcribe|voxtral-mini"),
    (("speech",), r"tts|orpheus"),
    (("music",), r"lyria"),
    (("videos",), r"^gemini-omni|veo|sora|imagine-video"),
    (("chat", "images", "image_edits"), r"^gemini.*(?:image|nano-banana)"),
    (("images", "image_edits"), r"image|dall-e|nano-banana"),
    (("images",), r"imagen|stable-|flux"),
    (("ocr",), r"ocr"),
)
_SNAPSHOT_OF = r"(?:[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{4}|\d{3}|preview|latest))?"


class Correction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of corrections.toml. Money is US dollars, per million tokens or for a unit."""

    family: str | None = None
    aliases: tuple[str, ...] = ()
    capabilities: dict[str, Any] = {}
    operations: tuple[str, ...] | None = None
    listed: bool | None = None
    dimensions: int | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    note: str | None = None
    long: str | None = None
    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_long: Decimal | None = None
    audio_input: Decimal | None = None
    reasoning: Decimal | None = None
    audio_output: Decimal | None = None
    image_output: Decimal | None = None
    image_input: Decimal | None = None
    video_input: Decimal | None = None
    video_output: Decimal | None = None
    image: dict[str, Decimal] = {}
    video_second: dict[str, Decimal] = {}
    audio_minute: Decimal | None = None
    characters: Decimal | None = None
    search: Decimal | None = None


class LongContext(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Factors on the rates of a request whose input has more than `above_tokens`."""

    above_tokens: int
    input: Decimal
    output: Decimal


class VendorCorrections(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: str
    cache_write_long_factor: Decimal | None = None
    search: Decimal | None = None  # a search of the vendor's own web tool, whichever of its chat models asks for it
    drop: tuple[str, ...] = ()
    drop_prefixes: tuple[str, ...] = ()
    drop_aliases: str | None = None  # a regular expression
    long: dict[str, LongContext] = {}
    families: dict[str, dict[str, Any]] = {}
    models: dict[str, Correction] = {}
    modalities: dict[str, tuple[str, ...]] = {}  # "text image > text" → models
    starts: dict[str, tuple[str, ...]] = {}
    shutdowns: dict[str, tuple[str, ...]] = {}


class BaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    package: str
    version: str
    license: str
    needs_context_to_be_listed: frozenset[str]
    vendors: dict[str, str]


class Built(msgspec.Struct, frozen=True):
    """The rows, the sources by key, and where the two origins disagree on a price: (provider, model, what, whether explained)."""

    rows: list[Row]
    sources: dict[str, str]
    disagreements: list[tuple[str, str, str, bool]]


def build() -> Built:
    """Raises: RuntimeError when the installed genai-prices is not the version that corrections.toml was written for."""
    text = (_FOLDER / "corrections.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text, parse_float=Decimal)
    as_of = document.pop("as_of")
    settings = msgspec.convert(document.pop("base"), BaseSettings)
    if (installed := version(settings.package)) != settings.version:
        raise RuntimeError(
            f"{settings.package} {installed} is installed; corrections.toml was written for {settings.version}: "
            "look through the differences, then change its version there"
        )
    corrections = {name: msgspec.convert(table, VendorCorrections) for name, table in document.items()}
    sources: dict[str, str] = {}
    corrected: set[tuple[str, str]] = set()
    rows: dict[tuple[str, str], Row] = {}
    for vendor in base_vendors:
        ours = settings.vendors.get(vendor.id)
        if ours is None:
            continue
        key = f"base:{ours}"
        page = (vendor.pricing_urls or [""])[0]
        sources[key] = f"{settings.package} {settings.version} ({settings.license}), citing {page}"
        for row in _base_rows(vendor, ours, key, as_of, corrections.get(ours), settings):
            rows[ours, row.name] = row
    disagreements: list[tuple[str, str, str, bool]] = []
    for ours, told in corrections.items():
        sources[f"own:{ours}"] = told.source
        for name, correction in told.models.items():
            before = rows.get((ours, name)) or _split_off(rows, ours, name)
            row = _corrected(before, correction, told, as_of)
            if before.prices and row.prices and (what := _difference(before.prices[0], row.prices[0])):
                disagreements.append((ours, name, what, correction.note is not None))
            rows[ours, name] = row
            corrected.add((ours, name))
        for name, facts in _by_name(told).items():
            corrected.add((ours, name))
            row = rows.get((ours, name)) or _split_off(rows, ours, name)
            rows[ours, name] = msgspec.structs.replace(row, **facts)
        if told.search is not None:
            rows |= {key: _searching(row, told.search) for key, row in rows.items() if key[0] == ours}
    in_order = [
        row
        if row.prices
        else msgspec.structs.replace(row, source=f"{'own' if key in corrected else 'base'}:{key[0]}", as_of=as_of)
        for key, row in ((key, _without_needless_aliases(rows[key], rows)) for key in sorted(rows))
    ]
    used = {each.source for row in in_order for each in (row.prices or (row,)) if each.source is not None}
    return Built(in_order, {key: sources[key] for key in sorted(used)}, disagreements)


def render(built: Built) -> bytes:
    """The file: one row a line, so that a change shows as the rows it touches."""
    sources = msgspec.json.format(msgspec.json.encode(built.sources), indent=1)
    rows = b",\n".join(msgspec.json.encode(row) for row in built.rows)
    return b'{"sources": ' + sources + b',\n"rows": [\n' + rows + b"\n]}\n"


# ── the base ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _base_rows(
    vendor: base.Provider,
    ours: str,
    source: str,
    as_of: str,
    told: VendorCorrections | None,
    settings: BaseSettings,
) -> Iterator[Row]:
    unwanted = (told.drop_aliases if told else None) or r"(?!)"
    for model in vendor.models:
        spelled = list(dict.fromkeys(_exact_names(model.match)))
        name = model.id if model.is_match(model.id) or not spelled else spelled[0]
        if told and (model.id in told.drop or name in told.drop or name.startswith(told.drop_prefixes)):
            continue
        operations = CHAT if ours == "openrouter" else _operations(name)
        lacks_context = (
            ours in settings.needs_context_to_be_listed and operations == CHAT and model.context_window is None
        )
        yield Row(
            provider=ours,
            name=name,
            aliases=tuple(
                alias
                for alias in spelled
                if alias != name and not alias.startswith(f"{vendor.id}/") and not re.match(unwanted, alias)
            ),
            operations=operations,
            listed=not (model.deprecated or lacks_context),
            context_tokens=model.context_window,
            prices=tuple(_base_prices(model, name, source, as_of, told)),
        )


def _exact_names(match: Any) -> Iterator[str]:
    """The names that a rule of genai-prices gives letter by letter."""
    if isinstance(match, base.ClauseEquals):
        yield match.equals
    elif isinstance(match, base.ClauseOr):
        for part in match.or_:
            yield from _exact_names(part)


def _operations(name: str) -> tuple[str, ...]:
    found = (operations for operations, words in _OPERATIONS if re.search(words, name.lower()))
    return next(found, CHAT)


def _base_prices(
    model: base.ModelInfo, name: str, source: str, as_of: str, told: VendorCorrections | None
) -> Iterator[DatedPrice]:
    """The price in force on `as_of`, then each announced change."""
    changes = [part.constraint for part in model.prices] if isinstance(model.prices, list) else []
    starts = sorted(
        change.start_date.isoformat()
        for change in changes
        if isinstance(change, base.StartDateConstraint) and change.start_date.isoformat() > as_of
    )
    for start in (None, *starts):
        price = _dearest_of_the_day(model, date.fromisoformat(start or as_of))
        rates, above_tokens, long_rates = _rates(price, name, told)
        units = _base_units(price)
        if rates is not None or units is not None:
            yield DatedPrice(
                start=start,
                rates=rates or Rates(input=0, output=0),
                long_above_tokens=above_tokens,
                long_rates=long_rates,
                units=units,
                source=source,
                as_of=as_of,
            )


def _dearest_of_the_day(model: base.ModelInfo, day: date) -> base.ModelPrice:
    """Some vendors are cheaper at night. An estimate that is billed must not be below what the hour may turn out to cost."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    prices = [model.get_prices(midnight + timedelta(minutes=15 * quarter)) for quarter in range(96)]
    return max(prices, key=lambda price: _dollars(price.input_mtok, long=False) or Decimal(0))


def _rates(
    price: base.ModelPrice, name: str, told: VendorCorrections | None
) -> tuple[Rates | None, int | None, Rates | None]:
    given = {ours: getattr(price, theirs) for ours, theirs in _RATE_OF.items() if getattr(price, theirs) is not None}
    if not given and name.endswith(":free"):
        given = {"input": Decimal(0), "output": Decimal(0)}
    if "input" not in given and "output" not in given:
        return None, None, None  # billed by the hour, the page or the character, if at all
    tiers = [part for part in given.values() if isinstance(part, base.TieredPrices)]
    above_tokens = min((tier.start for part in tiers for tier in part.tiers), default=None)
    factor = told.cache_write_long_factor if told else None
    rates = _as_rates({ours: _dollars(part, long=False) for ours, part in given.items()}, factor)
    if above_tokens is None:
        return rates, None, None
    return rates, above_tokens, _as_rates({ours: _dollars(part, long=True) for ours, part in given.items()}, factor)


def _base_units(price: base.ModelPrice) -> UnitRates | None:
    hours = price.audio_hours if price.audio_hours is not None else price.input_audio_hours
    if hours is None and price.input_mchars is None:
        return None
    return _as_units(
        audio_minute=None if hours is None else (_dollars(hours, long=False) or Decimal(0)) / 60,
        characters=_dollars(price.input_mchars, long=False),
    )


def _dollars(price: Decimal | base.TieredPrices | None, *, long: bool) -> Decimal | None:
    """Of several long-context tiers the last and dearest."""
    if isinstance(price, base.TieredPrices):
        return price.tiers[-1].price if long else price.base
    return price


def _as_rates(dollars: dict[str, Decimal | None], cache_write_long_factor: Decimal | None) -> Rates:
    known = {name: amount for name, amount in dollars.items() if amount is not None}
    if cache_write_long_factor and "cache_write" in known and "cache_write_long" not in known:
        known["cache_write_long"] = known["cache_write"] * cache_write_long_factor
    nano = {name: _nano_usd(amount) for name, amount in known.items()}
    return Rates(**{"input": 0, "output": 0, **nano})


def _as_units(**dollars: Decimal | dict[str, Decimal] | None) -> UnitRates | None:
    """None when nothing is sold by a unit."""
    nano: dict[str, Any] = {
        unit: {variant: _nano_usd(each) for variant, each in amount.items()}
        if isinstance(amount, dict)
        else _nano_usd(amount)
        for unit, amount in dollars.items()
        if amount is not None and amount != {}
    }
    return UnitRates(**nano) if nano else None


def _nano_usd(dollars: Decimal) -> int:
    return -int(-dollars * 1_000_000_000 // 1)


# ── corrections ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _split_off(rows: dict[tuple[str, str], Row], provider: str, name: str) -> Row:
    """A row of its own for a name that so far was another's alias, else a new one."""
    for row in rows.values():
        if row.provider == provider and name in row.aliases:
            return msgspec.structs.replace(row, name=name, aliases=())
    return Row(provider=provider, name=name, operations=_operations(name))


def _by_name(told: VendorCorrections) -> dict[str, dict[str, Any]]:
    """What lists of names say, name by name."""
    facts: dict[str, dict[str, Any]] = {}
    for modalities, names in told.modalities.items():
        inputs, _, outputs = modalities.partition(" > ")
        for name in names:
            facts.setdefault(name, {}).update(inputs=tuple(inputs.split()), outputs=tuple(outputs.split()))
    for what, days in (("start", told.starts), ("shutdown", told.shutdowns)):
        for day, names in days.items():
            for name in names:
                facts.setdefault(name, {})[what] = day
    return facts


def _corrected(row: Row, correction: Correction, told: VendorCorrections, as_of: str) -> Row:
    capabilities = {**(told.families[correction.family] if correction.family else {}), **correction.capabilities}
    prices = row.prices
    dollars = {name: getattr(correction, name) for name in _RATE_OF}
    units = _as_units(**{name: getattr(correction, name) for name in UnitRates.__struct_fields__})
    if correction.input is None and any(amount is not None for amount in dollars.values()):
        raise RuntimeError(f"{row.provider} {row.name}: a price for tokens says what plain input costs")
    if correction.input is not None or units is not None:
        long = told.long[correction.long] if correction.long else None
        rates = _as_rates(dollars, told.cache_write_long_factor)
        price = DatedPrice(
            rates=rates,
            long_above_tokens=long.above_tokens if long else None,
            long_rates=_multiplied(rates, long) if long else None,
            units=units,
            source=f"own:{row.provider}",
            as_of=as_of,
        )
        prices = (price, *(later for later in row.prices if later.start is not None))
    return msgspec.structs.replace(
        row,
        aliases=tuple(dict.fromkeys((*row.aliases, *correction.aliases))),
        operations=row.operations if correction.operations is None else correction.operations,
        listed=correction.listed if correction.listed is not None else prices is not row.prices or row.listed,
        dimensions=correction.dimensions,
        context_tokens=correction.context_tokens or row.context_tokens,
        max_output_tokens=correction.max_output_tokens or row.max_output_tokens,
        capabilities=msgspec.convert(capabilities, Capabilities) if capabilities else row.capabilities,
        prices=prices,
        note=correction.note,
    )


def _searching(row: Row, dollars: Decimal) -> Row:
    """A chat model with the price of the searches that its vendor makes for it."""
    if "chat" not in row.operations:
        return row
    units = [msgspec.structs.replace(price.units or UnitRates(), search=_nano_usd(dollars)) for price in row.prices]
    priced = (msgspec.structs.replace(price, units=each) for price, each in zip(row.prices, units, strict=True))
    return msgspec.structs.replace(row, prices=tuple(priced))


def _multiplied(rates: Rates, long: LongContext) -> Rates:
    return Rates(
        **{
            name: int(amount * (long.input if name in _INPUT_CLASSES else long.output))
            for name, amount in msgspec.structs.asdict(rates).items()
            if amount is not None
        }
    )


def _difference(before: DatedPrice, after: DatedPrice) -> str:
    """Where two prices differ, in words. Classes that only one of them has are no difference."""
    found = []
    for label, one, other in (("", before.rates, after.rates), ("long ", before.long_rates, after.long_rates)):
        if one is None or other is None:
            if one is not other:
                found.append(f"{label}rates in one only")
            continue
        for name in _RATE_OF:
            was, now = getattr(one, name), getattr(other, name)
            if was is not None and now is not None and was != now:
                found.append(f"{label}{name} {was / 1e9:g} → {now / 1e9:g}")
    if before.units is not None and after.units is not None and before.units != after.units:
        found.append("units")
    return ", ".join(found)


def _without_needless_aliases(row: Row, rows: dict[tuple[str, str], Row]) -> Row:
    """Leave out aliases that are rows of their own by now, and snapshots that a look-up finds by itself."""
    snapshot = re.compile(re.escape(row.name) + _SNAPSHOT_OF)
    kept = [alias for alias in row.aliases if (row.provider, alias) not in rows and not snapshot.fullmatch(alias)]
    return msgspec.structs.replace(row, aliases=tuple(kept))


if __name__ == "__main__":
    made = build()
    (_FOLDER / "models.json").write_bytes(render(made))
    for provider, name, what, explained in made.disagreements:
        sys.stderr.write(f"{provider} {name}: {what}{'' if explained else '  (not explained by a note)'}\n")
    sys.stderr.write(f"{len(made.rows)} models\n")
