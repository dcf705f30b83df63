"""The picture of the comparison: CPU per request of every gateway on a logarithmic axis, as SVG without any library."""

from __future__ import annotations

import math
import statistics
from typing import Any
from xml.sax.saxutils import escape

__all__ = ["svg"]

_TITLES = {
    "answer": "not streamed",
    "stream": "streamed, 100 chunks",
    "claude": "streamed, translated from Anthropic's dialect",
}
_LEFT, _WIDTH, _BAR, _GAP, _HEAD = 150, 560, 18, 6, 34
_OURS, _THEIRS = "#2b6cb0", "#a0aec0"


def svg(cpu: dict[str, Any]) -> str:
    """Of the part `cpu` of the figures."""
    groups = {
        kind: {name: book["cpu_us"] for name, book in cpu[kind].items() if book["cpu_us"]}
        for kind in _TITLES
        if kind in cpu
    }
    values = [value for group in groups.values() for rounds in group.values() for value in rounds]
    if not values:
        return ""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(value: float) -> float:
        return _LEFT + _WIDTH * (math.log10(value) - low) / max(1, high - low)

    drawn: list[str] = []
    y = 10.0
    for kind, group in groups.items():
        drawn.append(f'<text x="{_LEFT}" y="{y + 18}" font-weight="bold">{escape(_TITLES[kind])}</text>')
        y += _HEAD
        for name, rounds in sorted(group.items(), key=lambda each: statistics.median(each[1])):
            drawn += _bar(name, rounds, x, y)
            y += _BAR + _GAP
        y += 10
    axis = [
        f'<line x1="{x(10**power):.1f}" x2="{x(10**power):.1f}" y1="10" y2="{y:.0f}" stroke="#e2e8f0"/>'
        f'<text x="{x(10**power):.1f}" y="{y + 16:.0f}" text-anchor="middle">{_readable(10.0**power)}</text>'
        for power in range(low, high + 1)
    ]
    size = f'width="{_LEFT + _WIDTH + 110}" height="{y + 50:.0f}"'
    below = f'<text x="{_LEFT}" y="{y + 38:.0f}">CPU of the gateway per request; median, with least and most; logarithmic</text>'
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#2d3748"'
    inner = "\n".join(['<rect width="100%" height="100%" fill="white"/>', *axis, *drawn, below])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{inner}\n</svg>\n'


def _bar(name: str, rounds: list[float], x: Any, y: float) -> list[str]:
    middle, foot = statistics.median(rounds), y + _BAR / 2
    colour = _OURS if name.startswith("pulse") else _THEIRS
    return [
        f'<text x="{_LEFT - 8}" y="{y + 14:.0f}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{y:.0f}" width="{x(middle) - _LEFT:.1f}" height="{_BAR}" fill="{colour}"/>',
        f'<line x1="{x(min(rounds)):.1f}" x2="{x(max(rounds)):.1f}" y1="{foot:.0f}" y2="{foot:.0f}" stroke="#1a202c" stroke-width="2"/>',
        f'<text x="{max(x(middle), x(max(rounds))) + 6:.1f}" y="{y + 14:.0f}">{_readable(middle)}</text>',
    ]


def _readable(us: float) -> str:
    return (
        f"{us / 1000:g} ms"
        if us >= 10_000 and us % 1000 == 0
        else f"{us / 1000:.1f} ms"
        if us >= 1_000
        else f"{us:.0f} µs"
    )
