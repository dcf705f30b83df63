"""One call of one deployment, and its one ledger entry."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import lru_cache

from msgspec.structs import astuple, replace

from pulse_gateway.catalog.charge import charge
from pulse_gateway.catalog.sold import is_sold_by_the_piece, without_tokens
from pulse_gateway.clock import Clock
from pulse_gateway.errors import DeadlineExceeded, PulseError, StoreUnavailable
from pulse_gateway.ids import new_entry_id
from pulse_gateway.ledger.estimates import GATEWAY_ENDED
from pulse_gateway.ledger.ledger import Ledger, UsageEntry
from pulse_gateway.limits.accounts import key_account, tenant_account, user_account
from pulse_gateway.pipeline.exchange import CHAT, Exchange
from pulse_gateway.pipeline.tracing import keep_attempt
from pulse_gateway.providers.offer import Billed
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.token_estimate import OutputEstimate

__all__ = ["Attempt"]

_NOTHING = Usage()
_GIVEN_UP = frozenset({Outcome.CANCELLED, Outcome.CLIENT_GONE})
_THE_VENDORS = frozenset({UsageSource.PROVIDER, UsageSource.DRAINED})
_COUNTED = Usage.__struct_fields__[:-1]
assert Usage.__struct_fields__[-1] == "variant"  # everything before it is a number
_SAID_BY_REQUESTS = ("audio_ms", "characters", "variant")
_MOST_TOKENS = 1_000_000_000
_MARK_S = 0.25


class Attempt:
    """Numbered, identified and announced to the ledger before the call, recorded once after it.

    In between `mark` tells the ledger what is known so far, so that a process that dies leaves more than an estimate. Later calls of
    `end` do nothing.

    Raises: StoreUnavailable when the ledger cannot keep it; the call must then not be made.
    """

    __slots__ = (
        "_announced",
        "_billed_nano_usd",
        "_clock",
        "_deployment",
        "_entry_made",
        "_exchange",
        "_final_marked",
        "_first_byte_ms",
        "_is_sent",
        "_ledger",
        "_marked",
        "_owes_nothing",
        "_started",
        "_written",
        "_written_chars",
        "accepted",
        "billed",
        "reading",
    )

    def __init__(self, exchange: Exchange, deployment: Deployment, *, ledger: Ledger, clock: Clock) -> None:
        self._exchange, self._deployment, self._ledger, self._clock = exchange, deployment, ledger, clock
        self._started = self._marked = clock.monotonic()
        self._first_byte_ms: float | None = None
        self._final_marked = self._is_sent = self._owes_nothing = False
        self._entry_made: UsageEntry | None = None
        self._written: OutputEstimate | None = None
        self._written_chars = 0
        self.accepted = False  # a 2xx head is here: from now on the prompt is owed
        self.billed: Usage | None = None  # what the vendor will bill so far, of work in several steps
        self._billed_nano_usd: int | None = None  # and what it says that it costs
        self.reading: Reading | None = None  # what was read of an answer that counts, however the attempt ends
        self._announced = self._announcement()
        ledger.open(self._announced)
        exchange.attempts += 1

    def sent(self) -> None:
        """The request is about to leave. Raises: StoreUnavailable when the ledger cannot keep that; the request must then not leave."""
        try:
            self._ledger.sent(self._announced.entry_id)
        except StoreUnavailable:  # then it was none
            self._entry_made = self._announced
            self._exchange.attempts -= 1
            raise
        self._is_sent = True

    def sent_once(self) -> None:
        """The same, of each of several requests that one attempt makes: the ledger is told of the first."""
        self._owes_nothing = False
        if not self._is_sent:
            self.sent()

    @property
    def may_be_made(self) -> bool:
        """Whether the vendor may be at work on what was asked for: the request has left, and it has not said that it is not."""
        return self._is_sent and not self._owes_nothing

    def accept(self) -> None:
        """A 2xx answer is here."""
        self.accepted = True

    def bill(self, so_far: Billed) -> None:
        """So much will be billed, whatever becomes of the rest. An empty usage: nothing so far, although something was answered."""
        if so_far.usage == _NOTHING:
            self.accepted, self.billed, self._owes_nothing = False, None, True
        else:
            self.billed, self._billed_nano_usd = so_far.usage, so_far.told_nano_usd
            self._owes_nothing = False

    def first_byte(self) -> None:
        """The first good byte of the answer is here."""
        now = self._clock.monotonic()
        self._first_byte_ms = (now - self._started) * 1000
        self._exchange.first_byte_ms = (now - self._exchange.started) * 1000

    def mark(self) -> None:
        """More has been read: tell the ledger, not more often than every quarter of a second, and at once when the usage is final."""
        reading = self.reading
        if reading is None or self._entry_made is not None or self._final_marked:
            return
        if not self._is_sent:  # the answer came before all of the request had left
            self._is_sent = True
            with suppress(StoreUnavailable):
                self._ledger.sent(self._announced.entry_id)
        if reading.usage_is_final:
            self._final_marked = True
        else:
            now = self._clock.monotonic()
            if now - self._marked < _MARK_S:
                return
            self._marked = now
        self._ledger.mark(self._entry(Outcome.INTERRUPTED, *self._settled()))

    @property
    def cost_so_far_nano_usd(self) -> int | None:
        """What it would be charged if it ended here; None: there is no price."""
        usage, source = self._settled()
        return charge(usage, self._deployment, self._told_nano_usd(source)).nano_usd

    def end(self, outcome: Outcome, error: PulseError | None = None) -> UsageEntry:
        """Record it, and return its entry; the first ending counts."""
        if self._entry_made is not None:
            return self._entry_made
        exchange = self._exchange
        usage, source = self._settled()
        if source is UsageSource.NONE and self._is_given_up(outcome, error):
            usage, source = _clamped(self._asked_for()), UsageSource.ESTIMATED
        entry = self._entry(outcome, usage, source, None if error is None else error.code)
        exchange.used_tokens += entry.tokens
        exchange.used_images += entry.images
        exchange.used_videos += entry.videos
        if source is not UsageSource.NONE:
            exchange.usage, exchange.source = usage, source
            if entry.cost_nano_usd is not None:
                exchange.cost_nano_usd = (exchange.cost_nano_usd or 0) + entry.cost_nano_usd
        self._entry_made = entry
        self._ledger.record(entry)
        if exchange.trace.recording:
            keep_attempt(exchange.trace, entry, self._deployment, self.reading, error, accepted=self.accepted)
        return entry

    def _asked_for(self) -> Usage:
        """What the request says that it will use: its prompt by estimate, and what it names beside tokens. Not searches, which it only allows."""
        envelope = self._exchange.envelope
        assert envelope is not None  # set before anything is called
        expected, price = envelope.expected, self._deployment.model.price
        if self._is_piecework:
            return without_tokens(expected)
        if expected.video_ms and price is not None and price.units is not None and price.units.video_second:
            expected = replace(expected, video_output_tokens=None)  # it is sold by the second
        searches = None if self._exchange.inbound.operation == CHAT else expected.searches
        return replace(expected, input_tokens=self._exchange.prompt_tokens, searches=searches)

    @property
    def _is_piecework(self) -> bool:
        return is_sold_by_the_piece(self._deployment.model, self._exchange.inbound.operation)

    def _is_given_up(self, outcome: Outcome, error: PulseError | None) -> bool:
        """Whether something dear was asked for and then not waited for: the vendor may make it all the same, and bill it."""
        envelope = self._exchange.envelope
        makes = envelope is not None and (envelope.expected.images or envelope.expected.video_ms)
        left = outcome in _GIVEN_UP or isinstance(error, DeadlineExceeded)
        return bool(makes and left and self.may_be_made)

    def _settled(self) -> tuple[Usage, UsageSource]:
        reading = self.reading
        if reading is None and self.billed is not None:
            return _clamped(self._with_units(self.billed) or _NOTHING), UsageSource.PROVIDER
        if reading is None and self.accepted:
            reading = Reading()
            reading.started = True
        if reading is None:
            return _NOTHING, UsageSource.NONE
        usage, source = self._usage_of(reading)
        return _clamped(usage), source

    def _usage_of(self, reading: Reading) -> tuple[Usage, UsageSource]:
        """What an answer used: the vendor's word where it is final, else its word on the input and our estimate of the rest."""
        exchange, known = self._exchange, self._with_units(reading.usage)
        if reading.usage_is_final and known is not None:
            if not (known.says_input or self._is_piecework or _is_sold_by_units(known)):
                return replace(known, input_tokens=exchange.prompt_tokens), UsageSource.ESTIMATED
            return known, UsageSource.DRAINED if exchange.drained else UsageSource.PROVIDER
        if not reading.started:
            return _NOTHING, UsageSource.NONE
        if self._is_piecework:  # its text, or sound, is not what costs
            return known or self._asked_for(), UsageSource.ESTIMATED
        written = self._written_tokens(reading)
        if known is None:
            return replace(self._asked_for(), output_tokens=written), UsageSource.ESTIMATED
        apart = known.output_total - (known.output_tokens or 0)
        output = max(written, known.output_total) - apart
        return replace(known, output_tokens=output), UsageSource.ESTIMATED

    def _with_units(self, known: Usage | None) -> Usage | None:
        """What the request itself says exactly, and vendors seldom repeat: how much was listened to or spoken, and of which kind the
        images were."""
        envelope = self._exchange.envelope
        if known is None or envelope is None or envelope.expected == _NOTHING:
            return known
        told = {name: getattr(envelope.expected, name) for name in _SAID_BY_REQUESTS if getattr(known, name) is None}
        return replace(known, **told)

    def _written_tokens(self, reading: Reading) -> int:
        """Tokens of what was read of the answer; of what was too much to keep, as many as of the rest."""
        text = reading.take_written()
        if self._written is None:
            self._written = OutputEstimate()
        self._written.add(text)
        self._written_chars += len(text)
        if not self._written_chars:
            return 0
        return math.ceil(self._written.tokens * max(1.0, reading.output_chars / self._written_chars))

    def _told_nano_usd(self, source: UsageSource) -> int | None:
        """What the vendor says that it costs, where its word on what was used is its last one too."""
        told = self._billed_nano_usd if self.reading is None else self.reading.told_nano_usd
        return told if told is not None and source in _THE_VENDORS else None

    def _announcement(self) -> UsageEntry:
        """What to record should nothing more be heard of it."""
        exchange, deployment, usage = self._exchange, self._deployment, self._asked_for()
        charged = charge(usage, deployment, None)
        return replace(
            _asked_by(exchange),
            entry_id=new_entry_id(),
            provider=deployment.provider,
            model=deployment.model.name,
            attempt=exchange.attempts + 1,
            usage=usage,
            tokens=usage.total,
            cost_nano_usd=charged.nano_usd,
            price_source=charged.source,
            price_version=charged.version,
            images=usage.images or 0,
            videos=_videos(usage),
            at=self._clock.now(),
        )

    def _entry(
        self, outcome: Outcome, usage: Usage, source: UsageSource, error_code: str | None = GATEWAY_ENDED
    ) -> UsageEntry:
        """The announcement, with what has become of it."""
        charged = charge(usage, self._deployment, self._told_nano_usd(source))
        return replace(
            self._announced,
            outcome=outcome,
            source=source,
            usage=usage,
            tokens=usage.total,
            cost_nano_usd=0 if source is UsageSource.NONE else charged.nano_usd,
            price_source=charged.source,
            price_version=charged.version,
            images=usage.images or 0,
            videos=_videos(usage),
            first_byte_ms=self._first_byte_ms,
            total_ms=(self._clock.monotonic() - self._started) * 1000,
            error_code=error_code,
        )


# Of an attempt that nothing more is heard of. What is to be filled in is filled in by `replace`, in two parts: Python makes a dict of
# more than fourteen keywords, which takes longer than both.
_UNHEARD_OF = UsageEntry(
    entry_id="",
    request_id="",
    trace_id="",
    tenant_id="",
    user_id="",
    key_id=None,
    period=0,
    operation="",
    dialect="",
    alias="",
    provider="",
    model="",
    attempt=0,
    outcome=Outcome.INTERRUPTED,
    source=UsageSource.ESTIMATED,
    usage=_NOTHING,
    tokens=0,
    cost_nano_usd=None,
    price_source=None,
    total_ms=0.0,
    at=0.0,
    error_code=GATEWAY_ENDED,
)


def _asked_by(exchange: Exchange) -> UsageEntry:
    """Who asks, and for what: the same for all attempts."""
    principal, envelope, inbound = exchange.principal, exchange.envelope, exchange.inbound
    assert principal is not None and envelope is not None  # set before anything is called
    return replace(
        _UNHEARD_OF,
        request_id=exchange.request_id,
        trace_id=exchange.trace.trace_id,
        tenant_id=principal.tenant_id,
        user_id=principal.user_id,
        key_id=principal.key_id,
        period=exchange.period,
        operation=inbound.operation,
        dialect=inbound.dialect or "native",
        alias=envelope.model,
        tags=inbound.tags or principal.tags,
        accounts=_accounts(principal.user_id, principal.key_id, principal.tenant_id),
    )


def _videos(usage: Usage) -> int:
    return 1 if usage.video_ms or usage.video_output_tokens else 0


def _is_sold_by_units(usage: Usage) -> bool:
    """Whether the vendor counted something, and no tokens: then there are none to be estimated."""
    units = (usage.images, usage.video_ms, usage.audio_ms, usage.characters, usage.searches)
    return usage.output_tokens is None and not usage.total and any(count is not None for count in units)


@lru_cache(maxsize=16_384)
def _accounts(user_id: str, key_id: str | None, tenant_id: str) -> tuple[str, ...]:
    user, tenant = user_account(user_id), tenant_account(tenant_id)
    return (user, tenant) if key_id is None else (user, key_account(key_id), tenant)


def _clamped(usage: Usage) -> Usage:
    """Counts as a vendor may honestly send them: one absurd number must not use up a user's month or overflow a column."""
    for count in filter(None, astuple(usage)[:-1]):
        if not 0 < count <= _MOST_TOKENS:
            return _cut(usage)
    return usage


def _cut(usage: Usage) -> Usage:
    counts = {field: getattr(usage, field) for field in _COUNTED}
    cut = {field: None if count is None else min(max(count, 0), _MOST_TOKENS) for field, count in counts.items()}
    return Usage(**cut, variant=usage.variant)
