"""`python -m pulse_gateway.testing.simulator`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pulse_gateway.testing.simulator.server import run


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run until a signal."""
    parser = argparse.ArgumentParser(
        prog="python -m pulse_gateway.testing.simulator",
        description="OpenAI, Anthropic and Gemini on one local port: deterministic, strict, and broken on demand.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=9100, help="port to listen on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="what every id and text is drawn from (default: 0)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file; see docs/simulator.md")
    given = parser.parse_args(argv)
    return run(given.host, given.port, given.seed, given.config)


if __name__ == "__main__":
    sys.exit(main())
