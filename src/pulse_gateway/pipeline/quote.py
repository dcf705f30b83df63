"""How much to hold for a call, while nobody knows what it will use. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from pulse_gateway.catalog.cost import cost
from pulse_gateway.limits.estimate import hold_output_tokens
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.terms import Need
from pulse_gateway.types.catalog import Price
from pulse_gateway.types.token_counts import NOTHING_USED
from pulse_gateway.wire.token_estimate import estimate_prompt_tokens

__all__ = ["quote"]

_MOST_TOKENS = 10**12
_MOST_NANO_USD = 10**15


def quote(default_output_tokens: int) -> Callable[[Exchange], Need]:
    """Holds the prompt, and the longest answer that any of the deployments may give, at the dearest of their prices.

    A request that counts its input itself, in `Envelope.expected`, is believed: a list of tokens, or what is free. What it says that
    its answer will take is held as well: the tokens of images, or of speech.
    """

    def need(exchange: Exchange) -> Need:
        envelope = exchange.envelope
        assert envelope is not None  # Resolve stands before Admit
        most_output, most_cost, expected = 0, None, envelope.expected
        prompt = expected.input_tokens
        if prompt is None:
            prompt = estimate_prompt_tokens(envelope.texts, envelope.attachments)
        exchange.prompt_tokens = prompt
        made = "output_tokens"
        if expected.images or expected.video_ms:  # what a picture is made of costs many times what a word does
            made = "image_output_tokens" if expected.images else "video_output_tokens"
        for deployment in exchange.candidates:
            model = deployment.model
            output = hold_output_tokens(envelope.max_output_tokens, envelope.n, model, default_output_tokens)
            told = expected.output_total if model.price is not None and _is_sold_by_the_token(model.price) else 0
            most_output = max(most_output, output, told)
            if model.price is not None:
                needed = cost(
                    replace(expected, input_tokens=prompt, **{made: max(output, getattr(expected, made) or 0)}),
                    model.price,
                )
                most_cost = needed if most_cost is None else max(most_cost, needed)
        # What nobody could mean is held at a bound that no plan reaches, and that counters add up exactly.
        cost_held = None if most_cost is None else min(most_cost, _MOST_NANO_USD)
        videos = 0 if expected.video_ms is None else 1
        free = expected == NOTHING_USED
        return Need(min(prompt + most_output, _MOST_TOKENS), cost_held, expected.images or 0, videos, free)

    return need


def _is_sold_by_the_token(price: Price) -> bool:
    """Whether what is made of its tokens costs anything: of what is sold by the piece, vendors count none."""
    rates = price.rates
    return any((rates.output, rates.image_output, rates.audio_output, rates.video_output))
