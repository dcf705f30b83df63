"""Instructions per request of the whole server: `python -m benchmarks.instructions`, the guard of the hot path.

Times depend on who else wants the machine; the number of instructions that a request takes does not: two runs of the same source differ by
about one in a hundred, with Redis by four, because what is asked at the same time shares its writes. valgrind counts those of `pulse serve` outside the kernel, with everything on that a production server has on,
under the comparison's load and upstream. What the last run with `--write` found is in instructions.json; each run says how far it is from that,
and ends with exit code 1 where a figure has grown by more than `--most` percent.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.comparison.peers import Gateway
from benchmarks.comparison.pulse import Pulse, Rooms
from benchmarks.comparison.session import Session, ask_of, under_load
from benchmarks.process import measures_this_checkout, this_machine

__all__ = ["lines", "main"]

KINDS = ("answer", "stream", "claude")
_KEPT = Path(__file__).with_name("instructions.json")
_CONNECTIONS = 8
_REDIS_DEADLINE_MS = 5_000  # under valgrind everything takes fifty times as long
_WARM_UP = 150
_UNDER = ("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--limits", choices=("memory", "redis"), nargs="+", default=["memory", "redis"])
    parser.add_argument("--requests", type=int, default=200, help="of each kind")
    parser.add_argument("--most", type=float, default=5.0, help="percent that a figure may grow by")
    parser.add_argument("--write", action="store_true", help="keep what is found, for the next run to compare with")
    parser.add_argument(
        "--profile", type=Path, help="a folder for callgrind's files, to be read with callgrind_annotate"
    )
    asked = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("valgrind, which counts the instructions, is not there: apt-get install valgrind")
    measures_this_checkout()
    kept = json.loads(_KEPT.read_text(encoding="utf-8")) if _KEPT.exists() else {}
    counted: dict[str, int] = {}
    for limits in asked.limits:
        counted |= measure(asked.kinds, asked.requests, redis=limits == "redis", profile=asked.profile)
    found = {**this_machine(), "instructions": counted}
    print("\n".join(lines(found, kept)))
    if asked.write:
        whole = {**found, "instructions": {**kept.get("instructions", {}), **counted}}
        _KEPT.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return int(any(moved > asked.most for moved in _moved(found, kept).values()))


def measure(kinds: list[str], requests: int, *, redis: bool, profile: Path | None = None) -> dict[str, int]:
    """Instructions per request, by kind and where it is counted. Raises: RuntimeError."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulse-instructions-")))
        folder.chmod(0o755)  # Postgres has an account of its own
        session = Session(folder, folder, stack)
        session.core |= session.others  # nothing here is timed
        out = (profile or folder) / f"callgrind-{'redis' if redis else 'memory'}.out"
        out.parent.mkdir(parents=True, exist_ok=True)
        under = [*_UNDER, f"--callgrind-out-file={out.resolve()}"]
        pulse = Pulse(
            Rooms(folder, stack),
            redis=redis,
            under=under,
            more={"PYTHONHASHSEED": "0"},
            redis_deadline_ms=_REDIS_DEADLINE_MS if redis else None,
        )
        gateway = session.begin(pulse, stack)
        return {
            f"{kind}, counted in {'Redis' if redis else 'memory'}": _count(gateway, kind, requests, out)
            for kind in kinds
        }


def _count(gateway: Gateway, kind: str, requests: int, out: Path) -> int:
    ask = ask_of(gateway, kind, connections=_CONNECTIONS, requests=_WARM_UP)
    under_load(ask)
    _tell(gateway, "--instr=on")
    _tell(gateway, "--zero")
    before = set(out.parent.glob(f"{out.name}*"))
    done = under_load(ask_of(gateway, kind, connections=_CONNECTIONS, requests=requests))
    _tell(gateway, f"--dump={kind}")
    _tell(gateway, "--instr=off")
    if done.failed or not done.done:
        raise RuntimeError(f"{kind}: {done.failed} of {requests} requests failed: {done.errors}")
    dumped = sorted(set(out.parent.glob(f"{out.name}*")) - before)
    return sum(_total(file) for file in dumped) // done.done


def _tell(gateway: Gateway, word: str) -> None:
    subprocess.run(["callgrind_control", word, str(gateway.tree.pid)], check=True, capture_output=True)


def _total(file: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return int(found[1]) if found else 0


def _moved(found: dict[str, Any], kept: dict[str, Any]) -> dict[str, float]:
    """By how many percent each has grown since the run that is kept; nothing when that was another interpreter's."""
    before = kept.get("instructions", {}) if kept.get("python") == found["python"] else {}
    return {name: 100 * (now / before[name] - 1) for name, now in found["instructions"].items() if name in before}


def lines(found: dict[str, Any], kept: dict[str, Any]) -> list[str]:
    """One for each figure: thousands of instructions, and by how much that has moved."""
    moved = _moved(found, kept)
    told = [f"instructions per request outside the kernel, CPython {found['python']}:"]
    for name, count in found["instructions"].items():
        before = f"{moved[name]:+.1f} % since the run that is kept" if name in moved else "nothing to compare with"
        told.append(f"{name:<32} {count / 1000:>8,.0f} K   {before}")
    if kept and kept.get("python") != found["python"]:
        told.append(f"the run that is kept was on CPython {kept.get('python')}: not compared")
    return told


if __name__ == "__main__":
    sys.exit(main())
