"""One call of one deployment, and its one ledger entry."""

from __future__ import annotations

import math

import msgspec

from pulse_gateway.catalog.cost import cost
from pulse_gateway.clock import Clock
from pulse_gateway.errors import PulseError
from pulse_gateway.ids import new_entry_id
from pulse_gateway.ledger.ledger import Ledger, UsageEntry
from pulse_gateway.limits.estimate import estimate_output_tokens, estimate_prompt_tokens
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_gateway.wire.reading import Reading

__all__ = ["Attempt", "settled_usage"]

_NOTHING = Usage()
_MOST_TOKENS = 1_000_000_000


class Attempt:
    """Numbered and identified before the call, recorded once after it. Later calls of `end` do nothing."""

    def __init__(self, exchange: Exchange, deployment: Deployment, *, ledger: Ledger, clock: Clock) -> None:
        exchange.attempts += 1
        self._exchange, self._deployment, self._ledger, self._clock = exchange, deployment, ledger, clock
        self._number = exchange.attempts
        self._entry_id = new_entry_id()
        self._started = clock.monotonic()
        self._first_byte_ms: float | None = None
        self._ended = False
        self.accepted = False  # a 2xx head is here: from now on the prompt is owed
        self.reading: Reading | None = None  # what was read of an answer that counts, however the attempt ends

    def first_byte(self) -> None:
        """The first good byte of the answer is here."""
        now = self._clock.monotonic()
        self._first_byte_ms = (now - self._started) * 1000
        self._exchange.first_byte_ms = (now - self._exchange.started) * 1000

    def end(self, outcome: Outcome, error: PulseError | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        exchange, deployment = self._exchange, self._deployment
        usage, source = _NOTHING, UsageSource.NONE
        reading = self.reading
        if reading is None and self.accepted:
            reading = Reading()
            reading.started = True
        if reading is not None:
            usage, source = settled_usage(reading, exchange)
            usage = _clamped(usage)
        price = deployment.model.price
        cost_nano_usd = 0 if source is UsageSource.NONE else None if price is None else cost(usage, price)
        tokens = usage.total
        exchange.used_tokens += tokens
        if source is not UsageSource.NONE:
            exchange.usage, exchange.source = usage, source
        if cost_nano_usd is not None and source is not UsageSource.NONE:
            exchange.cost_nano_usd = (exchange.cost_nano_usd or 0) + cost_nano_usd
        principal, envelope = exchange.principal, exchange.envelope
        assert principal is not None and envelope is not None  # set before anything is called
        self._ledger.record(
            UsageEntry(
                entry_id=self._entry_id,
                request_id=exchange.request_id,
                trace_id=exchange.trace.trace_id,
                tenant_id=principal.tenant_id,
                user_id=principal.user_id,
                key_id=principal.key_id,
                period=exchange.period,
                operation=exchange.inbound.operation,
                dialect=exchange.inbound.dialect or "native",
                alias=envelope.model,
                provider=deployment.provider,
                model=deployment.model.name,
                attempt=self._number,
                outcome=outcome,
                source=source,
                usage=usage,
                tokens=tokens,
                cost_nano_usd=cost_nano_usd,
                price_source=None if price is None else f"{price.source} ({price.as_of})",
                first_byte_ms=self._first_byte_ms,
                total_ms=(self._clock.monotonic() - self._started) * 1000,
                at=self._clock.now(),
                error_code=None if error is None else error.code,
                tags=exchange.inbound.tags or principal.tags,
            )
        )


def settled_usage(reading: Reading, exchange: Exchange) -> tuple[Usage, UsageSource]:
    """What an answer used: the vendor's word where it is final, else its word on the input and our estimate of the rest."""
    if reading.usage_is_final and reading.usage is not None:
        return reading.usage, UsageSource.DRAINED if exchange.drained else UsageSource.PROVIDER
    if not reading.started:
        return _NOTHING, UsageSource.NONE
    envelope = exchange.envelope
    assert envelope is not None  # read before anything is called
    written = _written(reading)
    known = reading.usage
    if known is None:
        asked = estimate_prompt_tokens(envelope.text, envelope.attachments)
        return Usage(input_tokens=asked, output_tokens=written), UsageSource.ESTIMATED
    return Usage(
        input_tokens=known.input_tokens,
        cached_input_tokens=known.cached_input_tokens,
        cache_write_tokens=known.cache_write_tokens,
        cache_write_long_tokens=known.cache_write_long_tokens,
        audio_input_tokens=known.audio_input_tokens,
        output_tokens=max(written, known.output_total),
    ), UsageSource.ESTIMATED


def _written(reading: Reading) -> int:
    """Tokens of what was read of the answer, estimated from its beginning."""
    sample = reading.sample
    if not sample:
        return 0
    return math.ceil(estimate_output_tokens(sample) * max(1.0, reading.output_chars / len(sample)))


def _clamped(usage: Usage) -> Usage:
    """Counts as a vendor may honestly send them: one absurd number must not use up a user's month or overflow a column."""
    counts = msgspec.structs.astuple(usage)
    if all(count is None or 0 <= count <= _MOST_TOKENS for count in counts):
        return usage
    return Usage(
        **{
            field: None if count is None else min(max(count, 0), _MOST_TOKENS)
            for field, count in zip(usage.__struct_fields__, counts, strict=True)
        }
    )
