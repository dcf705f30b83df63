"""How much to hold for a call, while nobody knows what it will use. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from pulse_gateway.catalog.cost import cost
from pulse_gateway.catalog.sold import is_sold_by_the_piece
from pulse_gateway.limits.estimate import hold_output_tokens
from pulse_gateway.pipeline.admit import Quote
from pulse_gateway.pipeline.exchange import CHAT, Exchange
from pulse_gateway.pipeline.terms import Need
from pulse_gateway.types.catalog import Price
from pulse_gateway.types.token_counts import NOTHING_USED
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.token_estimate import estimate_prompt_tokens

__all__ = ["quote"]

_NOTHING_SAID = Envelope(model="", stream=False).expected  # the one that all envelopes share which say nothing
# What nobody could mean is held at a bound that no plan reaches, and that counters add up exactly.
_MOST_TOKENS = 10**12
_MOST_NANO_USD = 10**15


def quote(default_output_tokens: int) -> Quote:
    """Holds the prompt, and the longest answer that any of the deployments may give, at the dearest of their prices.

    A request that counts its input itself, in `Envelope.expected`, is believed: a list of tokens, or what is free. What it says that
    its answer will take is held as well: the tokens of images, or of speech. What all of them sell by the piece takes no tokens.
    """

    def need(exchange: Exchange, /, *, priced: bool) -> Need:
        envelope = exchange.envelope
        assert envelope is not None  # Resolve stands before Admit
        expected = envelope.expected
        if expected is _NOTHING_SAID:  # as mostly: then nothing but the prompt and the answer is held
            prompt, told = estimate_prompt_tokens(envelope.texts, envelope.attachments), 0
        else:
            known, told = expected.input_tokens, expected.output_total
            prompt = estimate_prompt_tokens(envelope.texts, envelope.attachments) if known is None else known
        exchange.prompt_tokens = prompt
        most_output, most_cost, held_prompt = 0, None, 0
        operation = exchange.inbound.operation
        for deployment in exchange.candidates:
            model = deployment.model
            output = hold_output_tokens(envelope.max_output_tokens, envelope.n, model, default_output_tokens)
            if operation == CHAT or not is_sold_by_the_piece(model, operation):
                held_prompt = prompt
                if output > most_output:  # noqa: PLR1730 -- several times as fast as `max`
                    most_output = output
            if not (told or priced) or (price := model.price) is None:
                continue
            if told > most_output and _is_sold_by_the_token(price):
                most_output = told
            if priced:
                needed = cost(_at_most(expected, prompt, output), price)
                most_cost = needed if most_cost is None else max(most_cost, needed)
        tokens = held_prompt + most_output
        return Need(
            min(_MOST_TOKENS, tokens),
            None if most_cost is None else min(most_cost, _MOST_NANO_USD),
            expected.images or 0,
            0 if expected.video_ms is None else 1,
            prompt == 0 and expected == NOTHING_USED,
        )

    return need


def _at_most(expected: Usage, prompt: int, output: int) -> Usage:
    """What a call may use; what a picture is made of costs many times what a word does."""
    if expected.images:
        return replace(
            expected, input_tokens=prompt, image_output_tokens=max(output, expected.image_output_tokens or 0)
        )
    if expected.video_ms:
        return replace(
            expected, input_tokens=prompt, video_output_tokens=max(output, expected.video_output_tokens or 0)
        )
    return replace(expected, input_tokens=prompt, output_tokens=max(output, expected.output_tokens or 0))


def _is_sold_by_the_token(price: Price) -> bool:
    """Whether what is made of its tokens costs anything: of what is sold by the piece, vendors count none."""
    rates = price.rates
    return any((rates.output, rates.image_output, rates.audio_output, rates.video_output))
