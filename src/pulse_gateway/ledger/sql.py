"""The statements of the ledger: files in `queries/`, or made of several in `queries/parts/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["CORRECT_ESTIMATES", "RECORD", "ROLL_UP_DIFFERENCES", "SET_ROLL_UPS", "composed", "query"]

# Statements that begin differently and go on alike.
RECORD = ("incoming", "record", "by_hour", "by_day", "fold")
CORRECT_ESTIMATES = ("incoming", "correct_estimates", "by_hour", "by_day", "fold")
ROLL_UP_DIFFERENCES = ("entries_between", "by_hour", "by_day", "roll_up_differences")
SET_ROLL_UPS = ("entries_between", "by_hour", "by_day", "set_roll_ups")

_QUERIES = files("pulse_gateway.ledger").joinpath("queries")


@cache
def query(name: str) -> str:
    """The statement in one file."""
    return _QUERIES.joinpath(f"{name}.sql").read_text(encoding="utf-8")


@cache
def composed(parts: tuple[str, ...]) -> str:
    """The statement that these parts make: each begins where the one before ends, after a comma."""
    return ",\n".join(_QUERIES.joinpath("parts", f"{part}.sql").read_text(encoding="utf-8").rstrip() for part in parts)
