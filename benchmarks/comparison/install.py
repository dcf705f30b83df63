"""Puts a gateway into a folder of its own, once per version."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["Unavailable", "done", "once", "venv"]

_INSTALL_S = 900


class Unavailable(Exception):
    """It could not be installed or started; says why."""


def done(command: list[str], cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What it printed; None is the environment of this process. Raises: Unavailable with the end of what it said."""
    try:
        ended = subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=_INSTALL_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"`{command[0]}`: {error}") from error
    if ended.returncode:
        last = " ".join((ended.stderr or ended.stdout).split())[-300:]
        raise Unavailable(f"`{' '.join(command[:3])} …` ended with {ended.returncode}: {last}")
    return ended.stdout


def once(folder: Path, version: str, install: Callable[[], None]) -> str:
    """Install unless that version has been; what stands before a comma is the version that is told. Raises: Unavailable."""
    mark = folder / ".installed"
    if not (mark.exists() and mark.read_text() == version):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        install()
        mark.write_text(version)
    return version.split(",", 1)[0]


def venv(folder: Path, *wanted: str, python: str = sys.executable) -> None:
    """An environment of `python`'s with these in it. Raises: Unavailable.

    Wheels only: nothing of theirs runs while they are installed. This environment's pip installs, because Debian's Python has none to give.
    """
    done([python, "-m", "venv", "--without-pip", str(folder)], folder)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python")]
    done([*pip, "install", "--quiet", "--only-binary", ":all:", *wanted], folder)
