"""What a gateway adds to the time that the upstream takes: at fixed rates, whoever waits, and to the first word of 100 streams at once.

The streams take about a second each, and a hundred begin in every second, evenly.

Each is measured through nothing, too: straight to the upstream. `added` holds the way there and back, the load generator's own share
included; what is left after that of the direct way is the gateway's.
"""

from __future__ import annotations

from typing import Any

from benchmarks.comparison.load import Found, Times
from benchmarks.comparison.session import Session, ask_of, under_load

__all__ = ["DIRECT", "STREAMS", "measure"]

DIRECT = "direct"
STREAMS = 100


def measure(session: Session, rounds: int, seconds: float, rates: list[int]) -> dict[str, Any]:
    """By rate (or `streams`) and gateway: p50 and p99 of what is added, per round, in milliseconds; errors."""
    gateways = {DIRECT: session.direct, **session.gateways}
    found: dict[str, Any] = {}
    for rate in rates:
        books = {name: _empty() for name in gateways}
        for _ in range(rounds):
            for name, gateway in gateways.items():
                ask = ask_of(gateway, "delayed", mode="open", rate=float(rate), seconds=seconds, connections=100)
                _note(books[name], under_load(ask))
        found[str(rate)] = books
    books = {name: _empty() for name in gateways}
    for _ in range(rounds):
        for name, gateway in gateways.items():
            ask = ask_of(gateway, "paced", mode="open", rate=float(STREAMS), seconds=max(3.0, seconds), connections=150)
            _note(books[name], under_load(ask))
    found["streams"] = books
    return found


def _empty() -> dict[str, Any]:
    return {"p50_ms": [], "p99_ms": [], "done": 0, "errors": {}}


def _note(book: dict[str, Any], done: Found) -> None:
    times: Times | None = done.added
    book["done"] += done.done
    for why, count in done.errors.items():
        book["errors"][why] = book["errors"].get(why, 0) + count
    if times is not None:
        book["p50_ms"].append(times.p50)
        book["p99_ms"].append(times.p99)
