"""What a call cost. Pure."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import msgspec

from pulse_gateway.types.catalog import Price
from pulse_gateway.types.usage import Usage
from pulse_gateway.units import NanoUSD, price

__all__ = ["cost", "price_version"]


def cost(usage: Usage, at: Price, /) -> NanoUSD:
    """`usage` at the price `at`, in nano-USD; rounded up once, over the whole. Unknown classes count as zero.

    The long-context rates apply to the whole request as soon as its input, cached or not, exceeds their threshold.
    Source: the pricing pages of OpenAI, Anthropic and Google, which all price the whole request by its length (read 2026-11-24).
    """
    rates = at.rates
    if at.long_rates is not None and at.long_above_tokens is not None and usage.input_total > at.long_above_tokens:
        rates = at.long_rates
    fresh, output = rates.input, rates.output
    nano_usd_per_million_tokens = (
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
    return price(1, nano_usd_per_million_tokens)


@lru_cache(maxsize=4096)
def price_version(at: Price, /) -> str:
    """Names exactly these rates: the day they were read, and eight digits of the SHA-256 of all of them."""
    rates = msgspec.json.encode((at.rates, at.long_above_tokens, at.long_rates), order="deterministic")
    return f"{at.as_of}.{hashlib.sha256(rates).hexdigest()[:8]}"
