"""From the measured rounds to what is said of them: medians with their spread, ratios round by round, and the bars."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from benchmarks.comparison.latency import DIRECT

__all__ = ["Bar", "added", "bars", "ratios", "spread"]


class Bar(msgspec.Struct, frozen=True):
    """One thing that Pulse shall reach."""

    work: str
    bar: str
    measured: str
    met: bool | None
    """None: not measured in this run."""


def spread(values: Sequence[float], digits: int = 0) -> str:
    """`median (least–most)`."""
    if not values:
        return "–"
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def ratios(these: Sequence[float], those: Sequence[float]) -> list[float]:
    """Round by round: what else the machine did then, it did to both."""
    return [this / that for this, that in zip(these, those, strict=False) if that]


def added(books: dict[str, Any], name: str, which: str) -> list[float]:
    """What a gateway adds, per round: its own figure less that of the direct way."""
    return [this - that for this, that in zip(books[name][which], books[DIRECT][which], strict=False)]


def bars(parts: dict[str, Any]) -> list[Bar]:
    """What shall be reached, beside what was."""
    return [*_costs(parts.get("cpu", {})), *_latencies(parts.get("latency", {})), *_memories(parts), *_starts(parts)]


def _ratio(work: str, most: float, of: str, these: Sequence[float], those: Sequence[float]) -> Bar:
    found = ratios(these, those)
    met = statistics.median(found) <= most if found else None
    return Bar(work, f"{most:g} × {of}", spread(found, 3 if most < 0.1 else 2) + " ×", met)


def _costs(cpu: dict[str, Any]) -> list[Bar]:
    def of(kind: str, name: str) -> list[float]:
        return list(cpu.get(kind, {}).get(name, {}).get("cpu_us", []))

    plain, streamed = "a chat that is not streamed, CPU per request", "streamed, 100 chunks, same dialect"
    pulse = of("answer", "pulse")
    return [
        _ratio(plain, 1.0, "TensorZero's", pulse, of("answer", "tensorzero")),
        _ratio(plain, 0.12, "Portkey's", pulse, of("answer", "portkey")),
        _ratio(plain, 0.01, "LiteLLM's", pulse, of("answer", "litellm")),
        _ratio("… counted in Redis", 1.6, "TensorZero's", of("answer", "pulse-redis"), of("answer", "tensorzero")),
        _ratio(streamed, 0.6, "TensorZero's", of("stream", "pulse"), of("stream", "tensorzero")),
        _ratio(
            "streamed, 100 chunks, OpenAI's client on Anthropic's upstream",
            2.0,
            "its own in one dialect",
            of("claude", "pulse"),
            of("stream", "pulse"),
        ),
    ]


def _most(
    work: str, bar: str, most: float, values: Sequence[float], unit: str, digits: int, *, also: bool = True
) -> Bar:
    met = statistics.median(values) <= most and also if values else None
    return Bar(work, bar, f"{spread(values, digits)} {unit}", met)


def _latencies(latency: dict[str, Any]) -> list[Bar]:
    found = []
    if "pulse" in latency.get("500", {}):
        books = latency["500"]
        clean = not books["pulse"]["errors"]
        work = "added at 500 requests/s, 50 ms upstream"
        for which, most in (("p50_ms", 0.3), ("p99_ms", 2.0)):
            values = added(books, "pulse", which)
            found.append(_most(f"{work}, {which[:3]}", f"{most:g} ms, no errors", most, values, "ms", 2, also=clean))
    if "pulse" in latency.get("streams", {}):
        values = added(latency["streams"], "pulse", "p99_ms")
        found.append(_most("added to the first word, 100 streams at once, p99", "2 ms", 2.0, values, "ms", 2))
    return found


def _memories(parts: dict[str, Any]) -> list[Bar]:
    found = []
    memory = parts.get("memory", {}).get("pulse")
    if memory:
        idle = memory["idle_streams"]
        whole = idle["asked"] == idle["opened"] == idle["still_open"] and not idle["errors"]
        dropped = idle["asked"] - idle["still_open"]
        bar = Bar(
            f"{idle['asked']:,} idle streams",
            "30 KiB each, none dropped",
            f"{idle['kib_each']} KiB each, {dropped:,} dropped or refused",
            idle["kib_each"] < 30 and whole,
        )
        found.append(bar)
        large = memory["large_request"].get("times_its_size", [])
        found.append(_most("a request of 20 MB", "2.2 × its size", 2.2, large, "×", 2))
        slow = memory["slow_reader"].get("extra_mib")
        values = [] if slow is None else [slow * 2**20 / 1e6]
        found.append(_most("a streamed answer of 50 MB to a slow reader", "3 MB more", 3.0, values, "MB", 1))
    grown = parts.get("growth", {}).get("pulse")
    if grown:
        work = f"{grown['requests']:,} requests, growth of RSS"
        found.append(_most(work, "1 byte per request", 1.0, [grown["bytes_per_request"]], "bytes", 2))
    return found


def _starts(parts: dict[str, Any]) -> list[Bar]:
    cold = parts.get("cold", {}).get("pulse")
    if not cold:
        return []
    return [
        _most("idle RSS", "80 MiB", 80.0, cold["idle_rss_mib"], "MiB", 1),
        _most("`import pulse_gateway`", "120 ms", 120.0, cold.get("import_ms", []), "ms", 0),
        _most("from the command to the first answer", "1.2 s", 1.2, cold["first_answer_s"], "s", 2),
    ]
