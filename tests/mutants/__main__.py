"""Run every mutant against the tests that are to find it: `make mutants`, or `python -m tests.mutants [WORD …]` for some of them.

The source is copied, changed in the copy, and the tests run with the copy before the source itself on their path. First all of them run
with nothing changed. Exit status 1 when a mutant survives, or a test is red without one.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant, changed

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180.0
_RED = re.compile(r"^FAILED tests/(\S+)", re.MULTILINE)


def copied(folder: Path, mutant: Mutant | None) -> Path:
    """A copy of the source with the mistake in it.

    Raises: ValueError when the mistake cannot be made any more; SyntaxError when it makes no program.
    """
    source = folder / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    for change in () if mutant is None else mutant.changes:
        file = source / "pulse_gateway" / change.file
        text = changed(file.read_text("utf-8"), change)
        if file.suffix == ".py":
            compile(text, change.file, "exec")
        file.write_text(text, "utf-8")
    return source


def red_tests(source: Path, nodes: Iterable[str]) -> list[str]:
    """The first of `nodes` that fails with `source`, or none.

    Raises: RuntimeError when the tests cannot be run at all.
    """
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    where = "import pulse_gateway; print(pulse_gateway.__file__)"
    used = subprocess.check_output([sys.executable, "-c", where], env=environment, text=True, cwd=ROOT)
    if not used.startswith(str(source)):
        raise RuntimeError(f"the tests would run with {used.strip()}, not with {source}")
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-rf", "-p", "no:cacheprovider", "--tb=no"]
    words += [f"tests/{node}" for node in nodes]
    with subprocess.Popen(
        words,
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            said, _ = running.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            return ["no end within its time"]
    red = _RED.findall(said)
    if running.returncode not in {0, 1} or (running.returncode == 1) != bool(red):
        raise RuntimeError(f"pytest ended with {running.returncode}:\n{said[-4000:]}")
    return red


def tried(mutant: Mutant | None, nodes: Iterable[str]) -> tuple[list[str], float]:
    """Which tests were red, and after how many seconds."""
    with tempfile.TemporaryDirectory(prefix="pulse-mutant-") as folder:
        begun = time.monotonic()
        return red_tests(copied(Path(folder), mutant), nodes), time.monotonic() - begun


def main(words: list[str]) -> int:
    asked = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    every_node = list(dict.fromkeys(node for mutant in asked for node in mutant.red_by))
    red, took_s = tried(None, every_node)
    if red:
        print(f"red without any mutant: {', '.join(red)}")
        return 1
    print(f"{len(every_node)} tests are green without a mutant, in {took_s:.0f} s\n")
    print("| mutant | promise | red by | s |\n| --- | --- | --- | --- |")
    survivors = 0
    for mutant in asked:
        red, took_s = tried(mutant, mutant.red_by)
        survivors += not red
        said = f"`{red[0].split('::')[-1]}`" if red else "**nothing: it survives**"
        print(f"| {mutant.name} | {mutant.promise} | {said} | {took_s:.0f} |", flush=True)
    print(f"\n{len(asked) - survivors} of {len(asked)} found")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
