"""What every test shares: settings, what is made once for all of a process, and in which order files are run."""

from __future__ import annotations

import gc
import ssl
import sys
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import HealthCheck, settings

sys.path.append(str(Path(__file__).parents[1]))  # for the benchmarks, which are no package of the project's

# The examples of property tests are the same in every run, so that a red run means a change. `pytest --hypothesis-profile=explore` draws
# new ones, for those who look for trouble.
settings.register_profile(
    "pulse", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("pulse")


# ── garbage ──
# What is made while tests are collected lives to the end, and looking through it again and again for garbage takes as long as the rest
# of collecting. So nobody looks before all is there, nor at that afterwards.

gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


# ── certificates ──
# Every HTTP client, of tests and of SDKs, reads the list of public authorities anew, for 17 ms of CPU, and nearly all of them speak plain
# HTTP to this machine. One reading serves all of a process; contexts of any other list are made as ever.

_made_anew = ssl.create_default_context


@cache
def _of_public_authorities(cafile: str) -> ssl.SSLContext:
    return _made_anew(cafile=cafile)


def _create_default_context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH, *, cafile: Any = None, capath: Any = None, cadata: Any = None
) -> ssl.SSLContext:
    if purpose is ssl.Purpose.SERVER_AUTH and cafile == certifi.where() and capath is None and cadata is None:
        return _of_public_authorities(cafile)
    return _made_anew(purpose, cafile=cafile, capath=capath, cadata=cadata)


ssl.create_default_context = _create_default_context


# ── the order of files ──
# What waits most (processes, leases, windows) stands at one end and what computes most at the other, short files between them. Half of
# the workers begin at either end: while some wait, others compute, and no long file is left for the end.

_ORDER = ("e2e", "integration", "unit", "contract", "property")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    root = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(root).parts[0] if item.path.is_relative_to(root) else ""
        return _ORDER.index(folder) if folder in _ORDER else len(_ORDER)

    items.sort(key=place)  # stable: within a file nothing changes


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For `--dist loadfile`: whole files, from both ends."""
    from xdist.scheduler import LoadFileScheduling

    class BothEnds(LoadFileScheduling):
        def _assign_work_unit(self, node: Any) -> None:
            if self.nodes.index(node) % 2:
                self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
            super()._assign_work_unit(node)

    if config.option.dist != "loadfile":
        return None
    config.option.loadscopereorder = False
    return BothEnds(config, log)
