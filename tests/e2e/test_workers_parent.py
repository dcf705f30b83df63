"""The parent of several workers: starting, watching over, passing on."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pulse_process import Process, environment


@pytest.fixture
def run() -> Iterator[Runner]:
    runner = Runner()
    yield runner
    runner.end()


class Runner:
    """Starts the script, and ends what a failed test has left."""

    def __init__(self) -> None:
        self._processes: list[Process] = []

    def __call__(self, count: int, how: str) -> Process:
        script = Path(__file__).with_name("worker_script.py")
        process = Process([sys.executable, str(script), str(count), how], environment())
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes:
            if not process.ended:
                process.stop()


def serving(process: Process) -> dict[int, int]:
    """Number and pid of each worker that said that it serves, the newest of each number."""
    return {int(number): int(pid) for number, pid in re.findall(r"serving (\d+) (\d+)", process.output)}


def test_all_serve_and_all_end(run: Runner) -> None:
    process = run(3, "serve")
    process.wait_for("all serve")
    workers = serving(process)
    assert sorted(workers) == [1, 2, 3]
    assert {psutil.Process(pid).ppid() for pid in workers.values()} == {process.pid}
    assert process.stop() == 0
    assert not any(map(psutil.pid_exists, workers.values()))


def test_one_that_dies_is_replaced_and_the_others_are_not_touched(run: Runner) -> None:
    process = run(2, "serve")
    process.wait_for("all serve")
    before = serving(process)
    os.kill(before[2], signal.SIGKILL)
    process.wait_for(r"(?s)serving 2 \d+.*serving 2 \d+")
    after = serving(process)
    assert after[1] == before[1]
    assert after[2] != before[2]
    assert '"exit_code":-9' in process.output
    assert process.stop() == 0


def test_one_that_is_told_to_end_is_replaced_too(run: Runner) -> None:
    process = run(2, "serve")
    process.wait_for("all serve")
    os.kill(serving(process)[1], signal.SIGTERM)
    process.wait_for(r"(?s)serving 1 \d+.*serving 1 \d+")
    assert process.stop() == 0


def test_what_is_wrong_with_the_configuration_is_said_once(run: Runner) -> None:
    process = run(4, "refuse")
    assert process.exit_code() == 1
    assert process.output.count("Error: nothing is configured") == 1


def test_a_first_worker_that_crashes_ends_the_start(run: Runner) -> None:
    assert run(4, "crash").exit_code() == 1


def test_one_that_keeps_dying_is_started_at_ever_longer_intervals(run: Runner) -> None:
    process = run(2, "crash-later")
    process.wait_for(r'(?s)"pause_s":0\.2.*"pause_s":0\.4.*"pause_s":0\.8')
    assert serving(process).keys() == {1, 2}
    assert process.stop() == 0


def test_a_reload_reaches_every_worker(run: Runner) -> None:
    process = run(2, "serve")
    process.wait_for("all serve")
    process.send(signal.SIGHUP)
    process.wait_for(r"reloaded 1")
    process.wait_for(r"reloaded 2")
    assert process.stop() == 0


def test_a_second_signal_makes_haste_and_one_sent_to_the_whole_group_does_not(run: Runner) -> None:
    """As a service manager does that signals every process of a service, and the parent, which passes it on, as well."""
    process = run(2, "linger")
    process.wait_for("all serve")
    os.killpg(process.pid, signal.SIGTERM)
    process.wait_for(r'(?s)("event":"stopping".*){3}')
    assert "in haste" not in process.output
    assert process.stop() == 0
    assert process.output.count("in haste") == 2


def test_no_worker_outlives_its_parent(run: Runner) -> None:
    process = run(3, "serve")
    process.wait_for("all serve")
    workers = [psutil.Process(pid) for pid in serving(process).values()]
    process.send(signal.SIGKILL)
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert len(gone) == 3
    assert not alive


def test_a_signal_during_the_start_ends_it_in_order(run: Runner) -> None:
    process = run(3, "serve")
    process.wait_for("serving 1")
    began = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - began < 10
