"""Which Python Pulse runs on in the comparison: the quickest CPython of this machine, as its peers too are built for speed.

CPython's official images and Debian's packages are built with profile-guided optimisation; what pyenv makes is not, unless it is told to, and
costs a fifth more CPU. Not every build says how it was made (Debian's does not), so that what counts is a short loop, measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks.process import environment

__all__ = ["Interpreter", "quickest"]

_LEAST = (3, 11)
_ROUNDS = 5
_WITHIN = 1.02
"""As quick as each other: how a build says it was made decides, then the newer version."""

_ABOUT = """
import json, platform, sys, sysconfig
options = sysconfig.get_config_var("CONFIG_ARGS") or ""
flags = " ".join(str(sysconfig.get_config_var(name) or "") for name in ("PY_CFLAGS", "PY_CFLAGS_NODIST", "PY_LDFLAGS_NODIST"))
print(json.dumps({
    "cpython": platform.python_implementation() == "CPython",
    "version": platform.python_version(),
    "number": sys.version_info[:3],
    "path": sys._base_executable,
    "profiled": "--enable-optimizations" in options or "-fprofile-use" in flags,
    "linked": "--with-lto" in options or "-flto" in flags,
}))
"""
_LOOP = """
import time
class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y
    def moved(self, by):
        return Point(self.x + by, self.y - by)
def work(times):
    found, point = {}, Point(0, 0)
    for number in range(times):
        point = point.moved(number & 7)
        name = f"{number & 63}:{point.x & 15}"
        found[name] = found.get(name, 0) + len(name)
    return sorted(found.items())
work(20_000)
begun = time.process_time()
work(200_000)
print((time.process_time() - begun) * 1000)
"""


class _About(msgspec.Struct):
    """What an interpreter says of itself."""

    cpython: bool
    version: str
    number: tuple[int, int, int]
    path: str
    profiled: bool
    linked: bool


class Interpreter(msgspec.Struct, frozen=True):
    """A CPython of this machine."""

    path: str
    version: str
    number: tuple[int, int, int]
    built: str
    """What its build says of itself."""

    loop_ms: float
    """CPU of a short loop of calls, objects, strings and dicts: the least of several runs."""

    why: str = ""
    """Why it is the one, in half a sentence."""

    @property
    def told(self) -> str:
        return f"CPython {self.version} ({self.built}; {self.why})"


def quickest(only: Path | None = None) -> Interpreter:
    """The quickest CPython, 3.11 or newer, that is found on this machine, or the one that is asked for.

    Raises: ValueError when there is none, or that is none.
    """
    known = _found([only] if only is not None else _places())
    if not known:
        raise ValueError(f"{only or 'nothing on this machine'} is a CPython {_LEAST[0]}.{_LEAST[1]} or newer")
    least = dict.fromkeys(known, float("inf"))
    for _ in range(_ROUNDS):  # in turns: what else the machine does is done to all of them
        for path in known:
            least[path] = min(least[path], float(_said(path, _LOOP) or "inf"))
    measured = [
        Interpreter(path, about.version, about.number, _built(about), round(least[path], 1))
        for path, about in known.items()
    ]
    near = [each for each in measured if each.loop_ms <= _WITHIN * min(other.loop_ms for other in measured)]
    best = max(near, key=lambda each: (each.built.startswith("optimised"), each.number))
    others = ", ".join(f"{each.version} {each.loop_ms:g} ms" for each in measured if each is not best)
    why = "asked for" if only is not None else f"the quickest here: a short loop takes {best.loop_ms:g} ms"
    return msgspec.structs.replace(best, why=why + (f"; of others {others}" if others else ""))


def _built(about: _About) -> str:
    made = [name for name, so in (("profile-guided", about.profiled), ("link-time", about.linked)) if so]
    return f"optimised: {', '.join(made)}" if made else "its build does not say that it is optimised"


def _places() -> list[Path]:
    """Where interpreters are looked for: this one's, on the path, in the usual folders, and pyenv's."""
    folders = dict.fromkeys([*os.get_exec_path(), "/usr/local/bin", "/usr/bin"])
    names = [f"python3.{minor}" for minor in range(_LEAST[1], 20)] + ["python3"]
    found = [Path(sys.executable), *(Path(folder) / name for folder in folders for name in names)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [path for path in [*found, *pyenv.glob("3.*/bin/python3")] if os.access(path, os.X_OK)]


def _found(places: list[Path]) -> dict[str, _About]:
    """By the file that it is, so that one with several names counts once."""
    known: dict[str, _About] = {}
    for place in places:
        said = _said(str(place), _ABOUT)
        if not said:
            continue
        about = msgspec.json.decode(said, type=_About)
        if about.cpython and about.number[:2] >= _LEAST:
            known.setdefault(os.path.realpath(about.path), about)
    return known


def _said(python: str, code: str) -> str | None:
    """None: it does not run, or ends with an error."""
    try:
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60, env=environment({})
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
