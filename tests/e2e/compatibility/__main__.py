"""`python -m tests.e2e.compatibility [--check] FILE`: writes docs/compatibility.md, or says that it is not up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from .page import page


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    file = Path(next(each for each in arguments if not each.startswith("--")))
    written = page()
    if not check:
        file.write_text(written, encoding="utf-8")
        return 0
    if file.read_text(encoding="utf-8") == written:
        return 0
    print(f"{file} is not what tests/e2e/compatibility/grid.toml says; run `make docs`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
