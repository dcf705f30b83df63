"""Fuzzing, guided by coverage: `make fuzz ARGS="600"`, or `python -m tests.fuzz [SECONDS] [--only GROUP …] [--replay FILE]`.

The decoders and what counts as a finding are those of `tests/property/fuzz_targets.py`, which the suite feeds as well. Each group of them
has a process of its own and an equal part of the time. An input's first byte says which decoder of the group it is for; the rest starts
as valid input, from the strategies of the property tests and from the contract fixtures, and is damaged by atheris and by our own hand,
which knows JSON and frames. What reached new lines is kept in `.fuzz/GROUP`, and the next run goes on from there.

atheris is no dependency of the project: it is installed when it is missing. A finding ends its group, is kept in `.fuzz/findings`, and
makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".fuzz"
FINDINGS = KEPT / "findings"
GROUPS = ("request", "reply", "stream", "translate", "frames", "error", "offer")
ATHERIS = "atheris==3.0.0"
LONGEST_BYTES = 20_000
SLOW_S = 10  # for one input: a finding too
MEMORY_MIB = 2048  # of the process: a finding too


# ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", type=int, nargs="?", default=120, help="for all groups together")
    parser.add_argument("--only", choices=GROUPS, nargs="+", default=list(GROUPS))
    parser.add_argument("--replay", type=Path, help="one finding, told by the name of its group and a dash")
    parser.add_argument("--group", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests" / "property"))
    if asked.replay is not None:
        group = asked.replay.name.partition("-")[0]
        of_group(group)(asked.replay.read_bytes())
        print("nothing is wrong with it any more")
        return 0
    if asked.group is not None:
        fuzz(asked.group, asked.seconds)
    if find_spec("atheris") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", ATHERIS], check=True)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    each_s = max(1, asked.seconds // len(asked.only))
    found = [run(group, each_s) for group in asked.only]
    return int(any(found))


def run(group: str, seconds: int) -> bool:
    """Whether something was found."""
    command = [sys.executable, "-m", "tests.fuzz", str(seconds), "--group", group]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    runs = re.findall(r"(?m)^#(\d+)\s", done.stderr)
    covered = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", done.stderr)
    told = f"{int(runs[-1]):,} inputs" if runs else "no inputs"
    if covered:
        told += f", {covered[-1][0]} edges, {covered[-1][2]} inputs kept"
    print(f"{group:<10} {told}" + ("" if done.returncode == 0 else ": FOUND"), flush=True)
    if done.returncode != 0:
        told_by = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("#", "INFO:"))]
        print("\n".join(told_by[-60:]))
    return done.returncode != 0


# ── one group ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def targets_of(group: str) -> list[str]:
    from fuzz_targets import TARGETS

    return [name for name in TARGETS if name.startswith(f"{group}/")]


def of_group(group: str) -> Callable[[bytes], None]:
    from fuzz_targets import TARGETS

    targets = targets_of(group)

    def one(data: bytes) -> None:
        if data:
            TARGETS[targets[data[0] % len(targets)]](data[1:])

    return one


def fuzz(group: str, seconds: int) -> None:
    """Does not return."""
    import atheris

    with atheris.instrument_imports(include=["pulse_gateway"], enable_loader_override=False):
        one = of_group(group)
    warnings.simplefilter("error")
    from fuzz_inputs import mutated

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.4 or len(data) < 2:
            return bytes(atheris.Mutate(data, max_size))
        return (data[:1] + mutated(random, data[1:]))[:max_size]

    corpus = KEPT / group
    plant(group, corpus)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST_BYTES}",
        f"-timeout={SLOW_S}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={FINDINGS}/{group}-",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()


def plant(group: str, corpus: Path) -> None:
    """What it begins with."""
    from fuzz_inputs import seeds

    corpus.mkdir(parents=True, exist_ok=True)
    kept = fixtures(group)
    for number, target in enumerate(targets_of(group)):
        for count, seed in enumerate([*seeds(target), *kept]):
            (corpus / f"seed-{number}-{count}").write_bytes(bytes([number]) + seed)


def fixtures(group: str) -> list[bytes]:
    """Requests of clients, or answers of vendors, of the contract tests."""
    folder = ROOT / "tests" / "contract" / "fixtures"
    if group == "request":
        said = [json.loads(path.read_text()).get("body") for path in folder.glob("*/*/client.json")]
        return [json.dumps(body).encode() for body in said if body is not None]
    answers = [path.read_bytes().partition(b"\n\n")[2] for path in folder.glob("*/*/*.http")]
    streamed = group in ("stream", "translate", "frames")
    return [body for body in answers if body.startswith((b"data", b"event", b":")) == streamed]


if __name__ == "__main__":
    sys.exit(main())
