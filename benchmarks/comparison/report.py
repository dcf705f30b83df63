"""The comparison as text: the tables of docs/performance.md, between its two marks."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison.figures import added, bars, ratios, spread
from benchmarks.comparison.latency import DIRECT
from benchmarks.comparison.plot import svg

__all__ = ["BEGIN", "END", "PICTURE", "publish", "text"]

BEGIN, END = "<!-- comparison: begin -->", "<!-- comparison: end -->"
PICTURE = "comparison.svg"
_QUIET = 0.5
_WHICH = ("p50_ms", "p99_ms")
_KINDS = {"answer": "not streamed", "stream": "streamed, 100 chunks", "claude": "streamed, from Anthropic's dialect"}


def publish(docs: Path, result: dict[str, Any]) -> None:
    """Put the tables into docs/performance.md, and the picture beside it. Raises: ValueError without the two marks."""
    page = docs / "performance.md"
    whole = page.read_text(encoding="utf-8")
    before, _, rest = whole.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page} lacks the marks {BEGIN} … {END}")
    picture = svg(result["parts"].get("cpu", {}))
    if picture:
        (docs / PICTURE).write_text(picture, encoding="utf-8")
    page.write_text(f"{before}{BEGIN}\n{text(result)}\n{END}{after}", encoding="utf-8")


def text(result: dict[str, Any]) -> str:
    """All of it, as Markdown."""
    parts = result["parts"]
    blocks = [_head(result), _bars(parts), _peers(result)]
    for name, block in (
        ("cpu", _cpu),
        ("latency", _latency),
        ("memory", _memory),
        ("growth", _growth),
        ("cold", _cold),
    ):
        if name in parts:
            blocks.append(block(parts[name]) + _absent(name, parts[name], result["settings"]))
    return "\n\n".join(block for block in blocks if block)


def _absent(part: str, figures: dict[str, Any], known: Iterable[str]) -> str:
    """Nobody is left out without a word."""
    if part == "growth":  # Pulse's alone
        return ""
    groups = list(figures.values()) if part in {"cpu", "latency"} else [figures]
    absent = [name for name in known if not any(name in group for group in groups)]
    return f"\n\nNot among them: {', '.join(absent)}." if absent else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _errors(errors: dict[str, int]) -> str:
    return ", ".join(f"{count:,} × {why}" for why, count in errors.items()) or "0"


def _head(result: dict[str, Any]) -> str:
    runs = result["runs"]
    rows = [(part, run["when"], run["load"], run["command"]) for part, run in runs.items() if part in result["parts"]]
    on = result.get("interpreter")
    python = f"Pulse and LiteLLM on CPython {on['version']} ({on['built']})" if on else f"CPython {result['python']}"
    lines = [
        f"{result['machine']}; {result['processor']}; {python}. The gateway has one core for itself, the last; the",
        "upstream, the load, Postgres and Valkey share the other.",
    ]
    if any(float(run["load"].split(",")[0]) > _QUIET for run in runs.values()):
        lines.append(
            "Other programs wanted the same cores: the ratios say something, absolute figures and latencies little."
        )
    told = [(part, when, load, f"`{command}`") for part, when, load, command in rows]
    return "\n".join(lines) + "\n\n" + _table(("part", "measured", "load of the machine before", "command"), told)


def _bars(parts: dict[str, Any]) -> str:
    said = {True: "yes", False: "**no**", None: "not measured"}
    rows = [(bar.work, bar.bar, bar.measured, said[bar.met]) for bar in bars(parts)]
    return "**What shall be reached.**\n\n" + _table(("work", "at most", "measured", "reached"), rows)


def _peers(result: dict[str, Any]) -> str:
    rows = []
    for name, settings in result["settings"].items():
        missing = result["missing"].get(name)
        rows.append((name, result["versions"].get(name, "–"), f"**not measured**: {missing}" if missing else settings))
    return "**Who is compared, and with what on.**\n\n" + _table(("gateway", "version", "settings"), rows)


def _cpu(cpu: dict[str, Any]) -> str:
    blocks = []
    for kind, title in _KINDS.items():
        books = cpu.get(kind, {})
        own = books.get("pulse", {}).get("cpu_us", [])
        rows = []
        for name, book in books.items():
            ratio = spread(ratios(own, book["cpu_us"]), 3) if name != "pulse" and own else ""
            row = (
                name,
                spread(book["cpu_us"]),
                ratio,
                spread(book["per_s"]),
                f"{100 * statistics.median(book['busy']):.0f} %" if book["busy"] else "–",
                spread(book["p50_ms"], 1),
                spread(book["p99_ms"], 1),
                spread(book["rss_mib"][-1:], 0),
                _errors(book["errors"]),
            )
            rows.append(row)
        head = (
            title,
            "CPU, µs",
            "Pulse to it",
            "answers/s",
            "its core busy",
            "p50, ms",
            "p99, ms",
            "RSS, MiB",
            "errors",
        )
        blocks.append(_table(head, rows))
    intro = "**CPU per request**, 32 connections in a closed loop: median (least–most) of the rounds.\n\n"
    return intro + "\n\n".join(blocks) + f"\n\n![CPU per request]({PICTURE})"


def _latency(latency: dict[str, Any]) -> str:
    blocks = []
    for what, books in latency.items():
        title = "to the first word, 100 streams at once" if what == "streams" else f"{what} requests/s, 50 ms upstream"
        rows = []
        for name, book in books.items():
            measured = [spread(book[which], 2) for which in _WHICH]
            more = ["" if name == DIRECT else spread(added(books, name, which), 2) for which in _WHICH]
            rows.append((name, *measured, *more, f"{book['done']:,}", _errors(book["errors"])))
        head = (title, "p50, ms", "p99, ms", "added, p50", "added, p99", "answers", "errors")
        blocks.append(_table(head, rows))
    intro = (
        "**Added latency**: from the request to the first word of its answer, less the time that the upstream says it held it; `added` is that "
        "less the direct way's in the same round. Where requests could not be sent or were not answered, the times say little.\n\n"
    )
    return intro + "\n\n".join(blocks)


def _memory(memory: dict[str, Any]) -> str:
    rows = []
    for name, book in memory.items():
        idle, large, slow = book["idle_streams"], book["large_request"], book["slow_reader"]
        refused = [answer for answer in large.get("answers", []) if answer != 200]
        row = (
            name,
            str(book["rss_before_mib"]),
            f"{idle['kib_each']} KiB; {idle['opened']:,} of {idle['asked']:,} opened, {idle['still_open']:,} still open after {idle['held_s']:g} s; "
            f"errors: {_errors(idle['errors'])}",
            large.get("failed") or (f"answered {refused[0]}" if refused else spread(large["times_its_size"], 2)),
            slow.get("failed") or f"{slow['extra_mib']} MiB",
        )
        rows.append(tuple(cell.replace("|", "\\|") for cell in row))
    head = ("gateway", "RSS before, MiB", "an idle stream", "20 MB request, × its size", "50 MB to a slow reader")
    return "**Memory** (RSS of all its processes; of large bodies the peak, over what was before).\n\n" + _table(
        head, rows
    )


def _growth(growth: dict[str, Any]) -> str:
    rows = [
        (
            name,
            f"{book['requests']:,}",
            str(book["bytes_per_request"]),
            f"{book['rss_mib'][0]} → {book['rss_mib'][5]} → {book['rss_mib'][-1]}",
            str(book["failed"]),
        )
        for name, book in growth.items()
    ]
    head = (
        "gateway",
        "requests",
        "bytes per request after the first quarter",
        "RSS, MiB: first, after a quarter, last",
        "errors",
    )
    return "**Growth**\n\n" + _table(head, rows)


def _cold(cold: dict[str, Any]) -> str:
    rows = []
    for name, book in cold.items():
        first = book.get("failed") or spread(book["first_answer_s"], 2)
        cpu = spread(book.get("cpu_s", []), 2)
        rows.append((name, first, cpu, spread(book["idle_rss_mib"], 1), spread(book.get("import_ms", []), 0)))
    head = ("gateway", "command to first answer, s", "CPU of that, s", "idle RSS, MiB", "import, ms")
    return "**Cold start**\n\n" + _table(head, rows)
