"""Rates as they are written in settings. Pure."""

from __future__ import annotations

import re

from pulse_gateway.errors import ConfigError

__all__ = ["parse_rate"]

_RATE = re.compile(r"(\d+)\s*/\s*(\d+(?:\.\d+)?)?\s*(ms|s|m|h)")
_MOST_PER_WINDOW = 10**12
_SHORTEST_WINDOW_S, _LONGEST_WINDOW_S = 0.01, 31 * 86_400.0
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_rate(text: str, key: str) -> tuple[int, float] | None:
    """`"60/60s"` → (60, 60.0); `"100/m"` → (100, 60.0); `"off"` → None. `key` names the setting in the error.

    Raises: ConfigError.
    """
    if text.strip().lower() == "off":
        return None
    match = _RATE.fullmatch(text.strip())
    if not match or int(match[1]) < 1 or float(match[2] or 1) <= 0:
        raise ConfigError(f'{key} = {text!r} is not a rate; write requests/time such as "60/60s", or "off"')
    amount, window_s = int(match[1]), float(match[2] or 1) * _UNIT_S[match[3]]
    if amount > _MOST_PER_WINDOW or not _SHORTEST_WINDOW_S <= window_s <= _LONGEST_WINDOW_S:
        raise ConfigError(f"{key} = {text!r} is out of bounds; at most {_MOST_PER_WINDOW:,}, in 10 ms to 31 days")
    return amount, window_s
