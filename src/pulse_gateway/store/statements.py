"""The SQL of this room, one statement a file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["statement"]


@cache
def statement(name: str) -> str:
    """The text of `queries/{name}.sql`."""
    return files("pulse_gateway.store").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")
