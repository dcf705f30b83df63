"""Cold starts: from the command to the first answer, what is resident then, and how long importing the package takes."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.comparison.peers import Peer
from benchmarks.comparison.pulse import Pulse
from benchmarks.comparison.session import Session
from benchmarks.process import environment, of_this_checkout

__all__ = ["measure"]

_IMPORT = "import time; t = time.perf_counter(); import {0}; print((time.perf_counter() - t) * 1000)"
_PACKAGES = {"pulse": "pulse_gateway", "litellm": "litellm", "tensorzero": "tensorzero"}

_QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # asks nobody for prices


def measure(session: Session, peers: list[Peer], home: Path, times: int) -> dict[str, Any]:
    """By gateway: seconds to the first answer, CPU of that, MiB after two idle seconds, ms of the import where there is one. One at a time."""
    found: dict[str, Any] = {}
    for peer in peers:
        book: dict[str, Any] = {"first_answer_s": [], "cpu_s": [], "idle_rss_mib": []}
        found[peer.name] = book
        for _ in range(times):
            with ExitStack() as opened:
                try:
                    gateway, took_s = session.timed(peer, opened)
                except (RuntimeError, OSError) as error:
                    book["failed"] = str(error)[:300]
                    break
                book["first_answer_s"].append(round(took_s, 3))
                book["cpu_s"].append(round(gateway.tree.cpu_s(), 2))
                time.sleep(2.0)
                book["idle_rss_mib"].append(round(gateway.tree.rss_bytes() / 2**20, 1))
        if peer.name in _PACKAGES and peer.name not in session.missing:
            package = _PACKAGES[peer.name]
            if isinstance(peer, Pulse):
                python, env = peer.python(home), of_this_checkout({})
            else:
                python, env = str(home / peer.name / "bin/python"), environment(_QUIET)
            book["import_ms"] = [_import_ms(python, package, env) for _ in range(2 * times + 3)]
    return found


def _import_ms(python: str, package: str, env: dict[str, str]) -> float:
    said = subprocess.check_output([python, "-c", _IMPORT.format(package)], env=env, stderr=subprocess.DEVNULL)
    return round(float(said), 1)
