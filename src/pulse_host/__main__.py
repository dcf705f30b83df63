"""The entry of the command `pulse`: says what is missing where only the library is installed."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    try:
        from pulse_host.cli import main as command
    except ModuleNotFoundError as error:
        sys.exit(f"pulse needs the package {error.name}; install pulse-gateway[host], or [dev] for `pulse dev`")
    # Hooks and providers that the configuration names may stand beside it; a console script does not look there by itself.
    sys.path.append("")
    command()


if __name__ == "__main__":
    main()
