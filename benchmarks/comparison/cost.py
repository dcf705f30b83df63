"""CPU per request: 32 connections in a closed loop, rounds of all gateways in turn, after a warm-up."""

from __future__ import annotations

from typing import Any

from benchmarks.comparison.peers import Gateway
from benchmarks.comparison.session import Session, ask_of, under_load

__all__ = ["COSTS", "measure"]

COSTS = ("answer", "stream", "claude")
_CONNECTIONS = 32
_NOT_TRANSLATED = {"nginx"}


def measure(session: Session, rounds: int, seconds: float) -> dict[str, Any]:
    """By kind and gateway: µs of CPU per request of each round, answers a second, times, errors, how busy its core was."""
    found: dict[str, Any] = {}
    for kind in COSTS:
        able = {
            name: gateway
            for name, gateway in session.gateways.items()
            if not (kind == "claude" and name in _NOT_TRANSLATED)
        }
        books: dict[str, dict[str, Any]] = {name: _empty() for name in able}
        for gateway in able.values():
            under_load(ask_of(gateway, kind, connections=_CONNECTIONS, seconds=min(2.0, seconds)))
        for _ in range(rounds):
            for name, gateway in able.items():
                _round(books[name], session, gateway, kind, seconds)
        found[kind] = books
    return found


def _empty() -> dict[str, Any]:
    return {
        "cpu_us": [],
        "upstream_cpu_us": [],
        "per_s": [],
        "busy": [],
        "p50_ms": [],
        "p99_ms": [],
        "rss_mib": [],
        "errors": {},
    }


def _round(book: dict[str, Any], session: Session, gateway: Gateway, kind: str, seconds: float) -> None:
    before, upstream_before = gateway.tree.cpu_s(), session.upstream.cpu_s()
    done = under_load(ask_of(gateway, kind, connections=_CONNECTIONS, seconds=seconds))
    used, upstream_used = gateway.tree.cpu_s() - before, session.upstream.cpu_s() - upstream_before
    for why, times in done.errors.items():
        book["errors"][why] = book["errors"].get(why, 0) + times
    book["rss_mib"].append(round(gateway.tree.rss_bytes() / 2**20, 1))
    if not done.done or done.whole is None:
        return
    requests = done.done + done.failed
    book["cpu_us"].append(round(used / requests * 1e6, 1))
    book["upstream_cpu_us"].append(round(upstream_used / requests * 1e6, 1))
    book["per_s"].append(round(done.done / done.seconds, 1))
    book["busy"].append(round(used / done.seconds, 3))
    book["p50_ms"].append(done.whole.p50)
    book["p99_ms"].append(done.whole.p99)
