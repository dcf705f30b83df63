"""What was asked, what was produced, and what the vendor would put on its bill.

The billing rule: input tokens are owed once a 200 head was produced; output and reasoning tokens are owed as far as they
were produced when the caller left or a fault cut the answer short; a completed answer is owed in full. Errors are free.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Literal

import msgspec

from pulse_gateway.testing.simulator.answer import Usage

__all__ = ["Billed", "Counts", "Outcome", "Record", "Statistics", "Stats", "Tab"]

Outcome = Literal["open", "completed", "aborted", "faulted", "refused"]

_KEPT_RECORDS = 10_000


class Billed(msgspec.Struct, kw_only=True):
    """Tokens in disjoint classes: the sum of the five is everything owed."""

    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    def add(self, other: Billed) -> None:
        self.input += other.input
        self.cached += other.cached
        self.cache_write += other.cache_write
        self.output += other.output
        self.reasoning += other.reasoning

    @property
    def total(self) -> int:
        return self.input + self.cached + self.cache_write + self.output + self.reasoning


class Record(msgspec.Struct, kw_only=True):
    """One request. `outcome`: completed · aborted (the caller left) · faulted (a 200 that a fault cut short) · refused
    (an error answer, earned or injected) · open (still under way)."""

    id: str  # the request id in our answer's headers
    caller_request_id: str | None  # the `x-request-id` that came in
    traceparent: str | None
    provider: str
    model: str
    operation: str = "chat"
    stream: bool = False
    units: dict[str, int] = {}  # what is billed beside tokens: `images`, `video_ms` … A job's are there once it is done
    status: int | None = None  # None: no head yet
    chunks: int = 0  # frames written; 1 for an answer that is not streamed
    billed: Billed = msgspec.field(default_factory=Billed)
    outcome: Outcome = "open"


class Counts(msgspec.Struct, kw_only=True):
    requests: int = 0
    by_status: dict[str, int] = {}
    streams: int = 0
    open: int = 0
    completed: int = 0
    aborted: int = 0
    faulted: int = 0
    refused: int = 0
    billed: Billed = msgspec.field(default_factory=Billed)


class ProviderCounts(Counts, kw_only=True):
    models: dict[str, Counts] = {}


class Stats(msgspec.Struct, kw_only=True):
    """A snapshot; `requests` are the last 10,000, oldest first."""

    seed: int
    providers: dict[str, ProviderCounts]
    requests: list[Record]


class Statistics:
    """Counters that move while answers are written; a snapshot is always consistent."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._records: deque[Record] = deque(maxlen=_KEPT_RECORDS)
        self._counts: dict[tuple[str, str], Counts] = {}

    def begin(self, record: Record) -> Tracker:
        self._records.append(record)
        counts = self._counts.setdefault((record.provider, record.model), Counts())
        counts.requests += 1
        counts.open += 1
        counts.streams += record.stream
        return Tracker(record, counts)

    def reset(self) -> None:
        """Forget everything; requests still under way go on uncounted."""
        self._records.clear()
        self._counts.clear()

    def snapshot(self) -> Stats:
        providers: dict[str, ProviderCounts] = {}
        for (provider, model), counts in self._counts.items():
            whole = providers.setdefault(provider, ProviderCounts())
            copy = msgspec.convert(msgspec.to_builtins(counts), Counts)
            whole.models[model] = copy
            for name in ("requests", "streams", "open", "completed", "aborted", "faulted", "refused"):
                setattr(whole, name, getattr(whole, name) + getattr(copy, name))
            whole.by_status = dict(Counter(whole.by_status) + Counter(copy.by_status))
            whole.billed.add(copy.billed)
        requests = msgspec.convert(msgspec.to_builtins(list(self._records)), list[Record])
        return Stats(seed=self._seed, providers=providers, requests=requests)


class Tracker:
    """One request's line in the books."""

    __slots__ = ("_counts", "_record")

    def __init__(self, record: Record, counts: Counts) -> None:
        self._record = record
        self._counts = counts

    def head(self, status: int, usage: Usage | None) -> None:
        """The head goes out; with a 200 the input is owed, with an error nothing is."""
        self._record.status = status
        key = str(status)
        self._counts.by_status[key] = self._counts.by_status.get(key, 0) + 1
        if status >= 400:
            self._record.units = {}
        if status == 200 and usage is not None:
            owed = Billed(input=usage.input, cached=usage.cached, cache_write=usage.cache_write)
            self._record.billed.add(owed)
            self._counts.billed.add(owed)

    def owe(self, usage: Usage) -> None:
        """All of it: of work that is done after the answer."""
        owed = Billed(
            input=usage.input,
            cached=usage.cached,
            cache_write=usage.cache_write,
            output=usage.output,
            reasoning=usage.reasoning,
        )
        self._record.billed.add(owed)
        self._counts.billed.add(owed)

    def produced(self, frames: int, output_tokens: int, reasoning_tokens: int) -> None:
        """Another `frames` frames are out; the token numbers are totals since the start."""
        record = self._record
        record.chunks += frames
        owed = Billed(
            output=max(0, output_tokens - record.billed.output),
            reasoning=max(0, reasoning_tokens - record.billed.reasoning),
        )
        record.billed.add(owed)
        self._counts.billed.add(owed)

    def end(self, outcome: Outcome) -> None:
        """The first ending counts; later ones are ignored."""
        if self._record.outcome != "open":
            return
        self._record.outcome = outcome
        self._counts.open -= 1
        setattr(self._counts, outcome, getattr(self._counts, outcome) + 1)


class Tab:
    """What a job owes in tokens once it is done; it stands in the line of the request that began it."""

    __slots__ = ("_tracker",)

    def __init__(self) -> None:
        self._tracker: Tracker | None = None

    def bind(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def owe(self, usage: Usage) -> None:
        if self._tracker is not None:
            self._tracker.owe(usage)
