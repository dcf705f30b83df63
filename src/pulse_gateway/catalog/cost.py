"""What a call cost: one dot product of what was used with what it costs. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from pulse_gateway.types.catalog import Price, UnitRates
from pulse_gateway.types.usage import Usage
from pulse_gateway.units import NanoUSD

__all__ = ["cost", "price_version", "rate_of"]

_encode = msgspec.json.Encoder(order="deterministic").encode

# Everything is summed in three-millionths of a nano-dollar, which every price divides into without a rest: tokens and characters
# are priced by the million, images and searches by one, video by 1,000 ms, audio by 60,000 ms.
_PARTS = 3_000_000
_PER_MILLION, _EACH, _VIDEO_MS, _AUDIO_MS = 3, _PARTS, _PARTS // 1_000, _PARTS // 60_000


def cost(usage: Usage, at: Price, /) -> NanoUSD:
    """`usage` at the price `at`, in nano-USD; rounded up once, over the whole. Unknown classes count as zero.

    The long-context rates apply to the whole request as soon as its input, cached or not, exceeds their threshold.
    Source: the pricing pages of OpenAI, Anthropic and Google, which all price the whole request by its length (read 2026-11-24).
    """
    rates = at.rates
    if at.long_rates is not None and at.long_above_tokens is not None and usage.input_total > at.long_above_tokens:
        rates = at.long_rates
    fresh, output = rates.input, rates.output
    parts = _PER_MILLION * (
        (usage.input_tokens or 0) * fresh
        + (usage.cached_input_tokens or 0) * (fresh if rates.cached_input is None else rates.cached_input)
        + (usage.cache_write_tokens or 0) * (fresh if rates.cache_write is None else rates.cache_write)
        + (usage.cache_write_long_tokens or 0) * (fresh if rates.cache_write_long is None else rates.cache_write_long)
        + (usage.audio_input_tokens or 0) * (fresh if rates.audio_input is None else rates.audio_input)
        + (usage.image_input_tokens or 0) * (fresh if rates.image_input is None else rates.image_input)
        + (usage.video_input_tokens or 0) * (fresh if rates.video_input is None else rates.video_input)
        + (usage.output_tokens or 0) * output
        + (usage.reasoning_tokens or 0) * (output if rates.reasoning is None else rates.reasoning)
        + (usage.audio_output_tokens or 0) * (output if rates.audio_output is None else rates.audio_output)
        + (usage.image_output_tokens or 0) * (output if rates.image_output is None else rates.image_output)
        + (usage.video_output_tokens or 0) * (output if rates.video_output is None else rates.video_output)
    )
    if at.units is not None:
        parts += _of_units(usage, at.units)
    return NanoUSD(-(-parts // _PARTS))


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
    told: tuple[object, ...] = (at.rates, at.long_above_tokens, at.long_rates)
    if at.units is not None:
        told = (*told, at.units)
    return f"{at.as_of}.{_digest(_encode(told))}"


@lru_cache(maxsize=4096)
def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]
