"""What a vendor itself says that a call costs, as whole nano-dollars: dollars are read digit by digit, and no float ever holds them. Pure.

| vendor     | says it in                                                                                                |
| ---------- | --------------------------------------------------------------------------------------------------------- |
| OpenRouter | `usage.cost`; with a key of one's own (`is_byok`) that is its fee alone, and `cost_details.upstream_inference_cost` comes to it |
| Perplexity | `usage.cost.total_cost`                                                                                   |
| xAI        | `usage.cost_in_usd_ticks`, of which a dollar has ten thousand million                                       |

Source: https://openrouter.ai/docs/use-cases/usage-accounting and the types of `openrouter` 1.3; `UsageInfo` of `perplexityai` 0.46;
https://docs.x.ai/developers/cost-tracking (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Raw, Struct

__all__ = ["ToldCost", "told_nano_usd"]

_DOLLARS = re.compile(rb"([0-9]{1,40})(?:\.([0-9]{1,60}))?(?:[eE]([+-]?[0-9]{1,3}))?")
_NANO = 9  # digits behind the point
_TICKS = re.compile(rb"[0-9]{1,40}")
_TICKS_PER_NANO_USD = 10
_MOST_NANO_USD = 10**13  # of a call: beyond ten thousand dollars it is no price, but a mistake


class ToldCost(Struct):
    """Members of a usage object, whatever they hold: it is looked into only where somebody is believed."""

    cost: Raw = Raw()
    is_byok: Any = None
    cost_details: Raw = Raw()
    cost_in_usd_ticks: Raw = Raw()


class _Inside(Struct):
    total_cost: Raw = Raw()
    upstream_inference_cost: Raw = Raw()


_inside = msgspec.json.Decoder(_Inside).decode


def told_nano_usd(told: ToldCost | None) -> int | None:
    """Rounded up to the next nano-dollar; None: it says nothing that could be a price."""
    if told is None:
        return None
    if not told.cost:
        return _of_ticks(told.cost_in_usd_ticks) if told.cost_in_usd_ticks else None
    fee = _nano_usd(_member(told.cost, "total_cost") if bytes(told.cost).startswith(b"{") else told.cost)
    if told.is_byok is not True or fee is None:
        return fee
    upstream = _nano_usd(_member(told.cost_details, "upstream_inference_cost"))
    return None if upstream is None else fee + upstream


def _member(written: Raw, name: str) -> Raw:
    try:
        return Raw(getattr(_inside(written), name))
    except ValueError:  # msgspec's errors are some: it is no object
        return Raw()


def _nano_usd(written: Raw) -> int | None:
    found = _DOLLARS.fullmatch(bytes(written))
    if found is None:
        return None
    digits, behind = int(found[1] + (found[2] or b"")), len(found[2] or b"")
    shift = int(found[3] or 0) - behind + _NANO
    return _priced(digits * 10**shift if shift >= 0 else -(-digits // 10**-shift))


def _of_ticks(written: Raw) -> int | None:
    found = _TICKS.fullmatch(bytes(written))
    return None if found is None else _priced(-(-int(found[0]) // _TICKS_PER_NANO_USD))


def _priced(nano: int) -> int | None:
    return nano if nano <= _MOST_NANO_USD else None
