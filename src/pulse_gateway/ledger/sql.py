"""The statements of the ledger, each a file in `queries/`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["query"]


@cache
def query(*names: str) -> str:
    """The text of one file, or of several that make one statement together: each begins where the one before ends, after a comma."""
    folder = files("pulse_gateway.ledger").joinpath("queries")
    return ",\n".join(folder.joinpath(f"{name}.sql").read_text(encoding="utf-8").rstrip() for name in names)
