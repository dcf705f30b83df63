"""The command line that every benchmark of a part has: how much of it, how often, and where the raw figures go."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.process import this_machine

__all__ = ["run", "spread"]


def spread(values: list[float], digits: int = 1) -> str:
    """`median (least, most)`."""
    middle = f"{statistics.median(values):.{digits}f}"
    return f"{middle:>8} ({min(values):.{digits}f}, {max(values):.{digits}f})"


def run(
    name: str,
    about: str | None,
    measure: Callable[..., dict[str, Any]],
    lines: Callable[[dict[str, Any]], list[str]],
    **amounts: int,
) -> int:
    """`amounts` are the arguments of `measure`, with how much each is unless the command line says otherwise."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    for amount, usual in amounts.items():
        parser.add_argument(f"--{amount}", type=int, default=usual)
    parser.add_argument("--json", type=Path, help="write the raw figures here")
    given = vars(parser.parse_args())
    raw: Path | None = given.pop("json")
    found = {**this_machine(), **measure(**given)}
    print("\n".join(lines(found)))
    if raw is not None:
        raw.write_text(json.dumps(found, indent=1))
    return 0
