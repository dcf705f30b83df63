"""What a call cost: one dot product of what was used with what it costs. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from pulse_gateway.types.catalog import Price, Rates, UnitRates
from pulse_gateway.types.usage import Usage
from pulse_gateway.units import NanoUSD

__all__ = ["Prepared", "cost", "cost_at", "cost_of_input", "prepare", "price_version", "rate_of"]

_encode = msgspec.json.Encoder(order="deterministic").encode

# Everything is summed in three-millionths of a nano-dollar, which every price divides into without a rest: tokens and characters
# are priced by the million, images and searches by one, video by 1,000 ms, audio by 60,000 ms.
_PARTS = 3_000_000
_MILLION = 1_000_000
_PER_MILLION, _EACH, _VIDEO_MS, _AUDIO_MS = 3, _PARTS, _PARTS // 1_000, _PARTS // 60_000

_MOST_PREPARED = 4096  # prices


def cost(usage: Usage, at: Price, /) -> NanoUSD:
    """`usage` at the price `at`, in nano-USD; rounded up once, over the whole. Unknown classes count as zero.

    The long-context rates apply to the whole request as soon as its input, cached or not, exceeds their threshold.
    Source: the pricing pages of OpenAI, Anthropic and Google, which all price the whole request by its length (read 2026-11-24).
    """
    return NanoUSD(cost_at(usage, prepare(at)))


def cost_at(usage: Usage, prepared: Prepared, /) -> int:
    """The same, at a price that is prepared."""
    rates = prepared.rates
    if prepared.long_rates is not None and usage.input_total > prepared.long_above_tokens:
        rates = prepared.long_rates
    parts = 0
    if count := usage.input_tokens:
        parts += count * rates.input
    if count := usage.cached_input_tokens:
        parts += count * rates.cached_input
    if count := usage.cache_write_tokens:
        parts += count * rates.cache_write
    if count := usage.cache_write_long_tokens:
        parts += count * rates.cache_write_long
    if count := usage.audio_input_tokens:
        parts += count * rates.audio_input
    if count := usage.image_input_tokens:
        parts += count * rates.image_input
    if count := usage.video_input_tokens:
        parts += count * rates.video_input
    if count := usage.output_tokens:
        parts += count * rates.output
    if count := usage.reasoning_tokens:
        parts += count * rates.reasoning
    if count := usage.audio_output_tokens:
        parts += count * rates.audio_output
    if count := usage.image_output_tokens:
        parts += count * rates.image_output
    if count := usage.video_output_tokens:
        parts += count * rates.video_output
    units = prepared.price.units
    if units is None:
        return -(-parts // _MILLION)
    return -(-(parts * _PER_MILLION + _of_units(usage, units)) // _PARTS)


def cost_of_input(tokens: int, prepared: Prepared, /) -> int:
    """The same for plain input and nothing else, as a call is announced."""
    rates = prepared.rates
    if prepared.long_rates is not None and tokens > prepared.long_above_tokens:
        rates = prepared.long_rates
    return -(-tokens * rates.input // _MILLION)


def _of_units(usage: Usage, rates: UnitRates) -> int:
    parts = 0
    if usage.images and rates.image:
        parts += usage.images * rate_of(rates.image, usage.variant) * _EACH
    if usage.video_ms and rates.video_second:
        parts += usage.video_ms * rate_of(rates.video_second, usage.variant) * _VIDEO_MS
    if usage.audio_ms and rates.audio_minute:
        parts += usage.audio_ms * rates.audio_minute * _AUDIO_MS
    if usage.characters and rates.characters:
        parts += usage.characters * rates.characters * _PER_MILLION
    if usage.searches and rates.search:
        parts += usage.searches * rates.search * _EACH
    return parts


def rate_of(by_variant: Mapping[str, int], variant: str | None, /) -> int:
    """The rate of `variant`: its own, else that of the nearest beginning up to a `/`, else that of `""`, else the dearest.

    The dearest, because what the vendor bills under a name that nobody has heard of must not go below its cost.
    """
    name = variant or ""
    while name not in by_variant and name:
        name = name.rpartition("/")[0]
    return by_variant[name] if name in by_variant else max(by_variant.values())


def price_version(at: Price, /) -> str:
    """Names exactly these rates, units included: the day they were read, and eight digits of the SHA-256 of all of them."""
    return prepare(at).version


class EveryRate(msgspec.Struct, frozen=True):
    """Nano-USD per million tokens, of each class: what is not priced apart costs what plain input or output does."""

    input: int
    output: int
    cached_input: int
    cache_write: int
    cache_write_long: int
    audio_input: int
    reasoning: int
    audio_output: int
    image_output: int
    image_input: int
    video_input: int
    video_output: int


assert EveryRate.__struct_fields__ == Rates.__struct_fields__


class Prepared(msgspec.Struct, frozen=True):
    """A price as calls are charged by it. `named` is where it comes from, in words."""

    price: Price
    rates: EveryRate
    long_rates: EveryRate | None
    long_above_tokens: int
    version: str
    named: str


_prepared: dict[int, Prepared] = {}  # by the identity of the price, which stays its own as long as it is kept here


def prepare(at: Price, /) -> Prepared:
    """Worked out when the price is first met."""
    found = _prepared.get(id(at))
    if found is None:
        if len(_prepared) >= _MOST_PREPARED:
            _prepared.clear()
        found = _prepared[id(at)] = Prepared(
            price=at,
            rates=_every(at.rates),
            long_rates=None if at.long_rates is None or at.long_above_tokens is None else _every(at.long_rates),
            long_above_tokens=at.long_above_tokens or 0,
            version=_version(at),
            named=f"{at.source} ({at.as_of})",
        )
    return found


def _every(rates: Rates) -> EveryRate:
    apart = msgspec.structs.asdict(rates)
    plain = {name: rates.input if "input" in name or "cache" in name else rates.output for name in apart}
    return EveryRate(**{name: plain[name] if rate is None else rate for name, rate in apart.items()})


def _version(at: Price) -> str:
    told: tuple[object, ...] = (at.rates, at.long_above_tokens, at.long_rates)
    if at.units is not None:
        told = (*told, at.units)
    return f"{at.as_of}.{hashlib.sha256(_encode(told)).hexdigest()[:8]}"
