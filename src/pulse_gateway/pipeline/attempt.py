"""One call of one deployment, and its one ledger entry."""

from __future__ import annotations

import math
from contextlib import suppress

from msgspec.structs import replace

from pulse_gateway.catalog.charge import charge
from pulse_gateway.catalog.sold import without_tokens
from pulse_gateway.clock import Clock
from pulse_gateway.errors import DeadlineExceeded, PulseError, StoreUnavailable
from pulse_gateway.ledger.estimates import GATEWAY_ENDED
from pulse_gateway.ledger.ledger import Ledger, UsageEntry
from pulse_gateway.pipeline.entry import announcement, cut, ended, plausible_tokens
from pulse_gateway.pipeline.exchange import CHAT, Exchange
from pulse_gateway.pipeline.kind import kind_of
from pulse_gateway.pipeline.tracing import keep_attempt
from pulse_gateway.providers.offer import Billed
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.token_estimate import OutputEstimate

__all__ = ["Attempt"]

_NOTHING = Usage()
_UNSAID = Envelope(model="", stream=False).expected  # the same one, of all that say nothing
_GIVEN_UP = frozenset({Outcome.CANCELLED, Outcome.CLIENT_GONE})
_UNUSED, _PROVIDER, _ESTIMATED = UsageSource.NONE, UsageSource.PROVIDER, UsageSource.ESTIMATED
_THE_VENDORS = frozenset({UsageSource.PROVIDER, UsageSource.DRAINED})
_SAID_BY_REQUESTS = ("audio_ms", "characters", "variant")
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
        "_kind",
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
        inbound, envelope = exchange.inbound, exchange.envelope
        assert envelope is not None  # set before anything is called
        kind = self._kind = kind_of(deployment, inbound.operation, inbound.dialect, envelope.stream)
        exchange.kind = kind
        plain = envelope.expected is _UNSAID and not kind.by_the_piece
        self._announced = announcement(exchange, kind, None if plain else self._asked_for(), clock.now())
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
        if plausible_tokens(usage) is None:
            usage = cut(usage)
        return charge(usage, self._deployment, self._told_nano_usd(source)).nano_usd

    def end(self, outcome: Outcome, error: PulseError | None = None) -> UsageEntry:
        """Record it, and return its entry; the first ending counts."""
        if self._entry_made is not None:
            return self._entry_made
        exchange = self._exchange
        usage, source = self._settled()
        if source is _UNUSED and self._is_given_up(outcome, error):
            usage, source = self._asked_for(), _ESTIMATED
        entry = self._entry(outcome, usage, source, None if error is None else error.code)
        exchange.used_tokens += entry.tokens
        exchange.used_images += entry.images
        exchange.used_videos += entry.videos
        if source is not _UNUSED:
            exchange.usage, exchange.source = entry.usage, source
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
        if self._kind.by_the_piece:
            return without_tokens(expected)
        if expected.video_ms and price is not None and price.units is not None and price.units.video_second:
            expected = replace(expected, video_output_tokens=None)  # it is sold by the second
        searches = None if self._exchange.inbound.operation == CHAT else expected.searches
        return replace(expected, input_tokens=self._exchange.prompt_tokens, searches=searches)

    def _is_given_up(self, outcome: Outcome, error: PulseError | None) -> bool:
        """Whether something dear was asked for and then not waited for: the vendor may make it all the same, and bill it."""
        envelope = self._exchange.envelope
        makes = envelope is not None and (envelope.expected.images or envelope.expected.video_ms)
        left = outcome in _GIVEN_UP or isinstance(error, DeadlineExceeded)
        return bool(makes and left and self.may_be_made)

    def _settled(self) -> tuple[Usage, UsageSource]:
        """What it has used so far, as far as anybody knows."""
        reading = self.reading
        if reading is None:
            if self.billed is not None:
                return self._with_units(self.billed) or _NOTHING, _PROVIDER
            if not self.accepted:
                return _NOTHING, _UNUSED
            reading = Reading()
            reading.started = True
        return self._usage_of(reading)

    def _usage_of(self, reading: Reading) -> tuple[Usage, UsageSource]:
        """What an answer used: the vendor's word where it is final, else its word on the input and our estimate of the rest."""
        exchange, known = self._exchange, self._with_units(reading.usage)
        if reading.usage_is_final and known is not None:
            if not (
                known.input_tokens is not None
                or known.says_input
                or self._kind.by_the_piece
                or _is_sold_by_units(known)
            ):
                return replace(known, input_tokens=exchange.prompt_tokens), _ESTIMATED
            return known, UsageSource.DRAINED if exchange.drained else _PROVIDER
        if not reading.started:
            return _NOTHING, _UNUSED
        if self._kind.by_the_piece:  # its text, or sound, is not what costs
            return known or self._asked_for(), _ESTIMATED
        written = self._written_tokens(reading)
        if known is None:
            return replace(self._asked_for(), output_tokens=written), _ESTIMATED
        apart = known.output_total - (known.output_tokens or 0)
        output = max(written, known.output_total) - apart
        return replace(known, output_tokens=output), _ESTIMATED

    def _with_units(self, known: Usage | None) -> Usage | None:
        """What the request itself says exactly, and vendors seldom repeat: how much was listened to or spoken, and of which kind the
        images were."""
        envelope = self._exchange.envelope
        if known is None or envelope is None or envelope.expected is _UNSAID or envelope.expected == _NOTHING:
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

    def _entry(
        self, outcome: Outcome, usage: Usage, source: UsageSource, error_code: str | None = GATEWAY_ENDED
    ) -> UsageEntry:
        """The announcement, with what has become of it."""
        tokens = plausible_tokens(usage)
        if tokens is None:
            usage = cut(usage)
            tokens = usage.total
        return ended(
            self._announced,
            self._kind,
            outcome,
            source,
            usage,
            tokens,
            self._told_nano_usd(source),
            error_code,
            self._first_byte_ms,
            (self._clock.monotonic() - self._started) * 1000,
        )


def _is_sold_by_units(usage: Usage) -> bool:
    """Whether the vendor counted something, and no tokens: then there are none to be estimated."""
    units = (usage.images, usage.video_ms, usage.audio_ms, usage.characters, usage.searches)
    return usage.output_tokens is None and not usage.total and any(count is not None for count in units)
