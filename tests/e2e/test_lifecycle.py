"""`pulse dev` as its user lives with it: started, asked, stopped, killed, started again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pulse_process import PAUSE_S, START_S, Process, Pulse, environment, open_folder, run_pulse

ECHO = {"model": "echo", "messages": [{"role": "user", "content": "مرحبا"}]}


@pytest.fixture(scope="module")
def used() -> Iterator[Path]:
    """A data dir that was started once, for tests that look at a later start."""
    with open_folder() as folder:
        with Pulse.dev(folder / "data", fresh=True):
            pass
        yield folder / "data"


def dev_command(data_dir: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "pulse_host", "dev", "--port", "0", "--data-dir", str(data_dir), *more]


def ask(pulse: Pulse, **fields: Any) -> httpx.Response:
    return httpx.post(
        f"{pulse.url}/v1/chat/completions", json={**ECHO, **fields}, headers=pulse.headers, trust_env=False
    )


def usage(pulse: Pulse) -> dict[str, Any]:
    response = httpx.get(f"{pulse.url}/v1/usage/me", headers=pulse.headers, trust_env=False)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def postgres_of(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))


def family(pulse: Pulse) -> list[psutil.Process]:
    """Pulse, its Postgres and that one's workers."""
    process = psutil.Process(pulse.process.pid)
    return [process, *process.children(recursive=True)]


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive


# ── starting ──


def test_a_later_start_is_ready_in_under_six_seconds(used: Path) -> None:
    began = time.monotonic()
    with Pulse.dev(used, fresh=True) as pulse:
        took_s = time.monotonic() - began
        assert httpx.get(f"{pulse.url}/ready", trust_env=False).status_code == 200
    assert took_s < 6


@pytest.mark.parametrize("key", ["", 'it\'s "my" $KEY `x` \\ !'], ids=["generated", "odd"])
def test_the_printed_curl_line_works_as_it_stands_and_as_a_stream(used: Path, key: str) -> None:
    process = Process(dev_command(used), environment({"PULSE_DEV_API_KEY": key}))
    try:
        line = process.wait_for(r"(?ms)^  (curl .*?)\n\n")[1]
        assert (key or "pls_test_") in process.wait_for("API key.*")[0]
        process.wait_for("Ctrl-C")
        whole = shell(line, used)
        assert '"content":"مرحبا"' in whole
        stream = shell(line.replace('"stream": false', '"stream": true'), used)
        assert stream.startswith("data: {")
        assert stream.endswith("data: [DONE]\n\n")
    finally:
        assert process.stop() == 0


CURL = """#!/bin/sh
exec "{python}" -c '
import sys, urllib.request
words = sys.argv[1:]
headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
data = words[words.index("-d") + 1].encode()
print(urllib.request.urlopen(urllib.request.Request(words[0], data, headers)).read().decode(), end="")' "$@"
"""


def shell(line: str, data_dir: Path) -> str:
    """What `line` prints. A machine without curl gets a small one of its own: the line's quoting is what matters."""
    path = os.environ["PATH"]
    if shutil.which("curl") is None:
        folder = data_dir.parent / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "curl").write_text(CURL.format(python=sys.executable))
        (folder / "curl").chmod(0o755)
        path = f"{folder}:{path}"
    done = subprocess.run(
        ["sh", "-c", line], env={"PATH": path, "no_proxy": "*"}, capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def test_a_key_and_a_plan_of_ones_own_are_taken(used: Path) -> None:
    with Pulse.dev(used, {"PULSE_DEV_API_KEY": "sk-mine", "PULSE_DEV_PLAN": "starter"}) as pulse:
        assert pulse.key == "sk-mine"
        shown = usage(pulse)
    assert shown["plan"] == "starter"
    assert shown["tokens"]["limit"] == 150_000


def test_a_plan_that_does_not_exist_is_named_with_those_that_do(used: Path) -> None:
    done = run_pulse("dev", "--port", "0", "--data-dir", str(used), env={"PULSE_DEV_PLAN": "startr"})
    assert done.returncode == 1
    assert "PULSE_DEV_PLAN='startr' is not a plan; known: unlimited, starter, pro, creator" in done.stderr


def test_a_key_that_no_header_can_carry_is_refused(used: Path) -> None:
    done = run_pulse("dev", "--port", "0", "--data-dir", str(used), env={"PULSE_DEV_API_KEY": "مفتاح"})
    assert done.returncode == 1
    assert "PULSE_DEV_API_KEY may hold printable ASCII only" in done.stderr
    assert "مفتاح" not in done.stderr


def test_with_stores_of_ones_own_none_are_brought(used: Path) -> None:
    with Pulse.dev(used) as first, open_folder() as folder:
        other = folder / "data"
        redis_url = first.process.wait_for(r"redis\s+(unix://\S+)")[1]
        env = {"PULSE_DATABASE_URL": first.database_url, "PULSE_REDIS_URL": f"{redis_url}?db=1"}
        with Pulse.dev(other, env) as second:
            assert ask(second).status_code == 200
            assert not (other / "postgres").exists()
            assert not (other / "valkey").exists()
            assert not psutil.Process(second.process.pid).children()


# ── refused starts ──


def test_a_second_one_on_the_same_data_dir_is_refused_by_pid(used: Path) -> None:
    with Pulse.dev(used) as pulse:
        port = pulse.url.rpartition(":")[2]
        for words in (["--port", "0"], ["--port", port]):
            done = run_pulse("dev", "--data-dir", str(used), *words)
            assert done.returncode == 1
            assert f"{used} is in use by another pulse dev (pid {pulse.process.pid})" in done.stderr
            assert "--data-dir" in done.stderr
        assert ask(pulse).status_code == 200


def test_a_port_in_use_is_named_before_any_database_is_started() -> None:
    with open_folder() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_pulse("dev", "--port", str(port), "--data-dir", str(folder / "data"))
        assert done.returncode == 1
        assert f"port {port} on 127.0.0.1 is in use" in done.stderr
        assert "--port" in done.stderr
        assert not (folder / "data").exists()


ROOT = os.geteuid() == 0
NOBODY = 65534


def as_ordinary_user(command: list[str]) -> list[str]:
    """`command` without root's identity. The right to read is kept, for the interpreter may be below root's own folder."""
    if not ROOT:
        return command
    keep = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *keep, *command]


def test_an_ordinary_user_runs_it_in_a_folder_of_its_own() -> None:
    with open_folder() as folder:
        home = folder / "home"
        home.mkdir(mode=0o700)
        if ROOT:
            os.chown(home, NOBODY, NOBODY)
        process = Process(as_ordinary_user(dev_command(home / "data")), environment({"HOME": str(home)}))
        process.wait_for("Ctrl-C")
        assert (home / "data" / "postgres").stat().st_uid == home.stat().st_uid
        assert process.stop() == 0


def test_another_users_data_dir_is_refused_by_the_owners_name() -> None:
    """Root's own `/usr` for whoever runs the tests, and for root in the guise of another user."""
    process = Process(as_ordinary_user(dev_command(Path("/usr"))), environment())
    assert process.exit_code() == 1
    assert "/usr belongs to root; run pulse dev as that user, or choose another --data-dir" in process.output


# ── starting again ──


def test_key_user_ledger_and_the_months_counters_survive_a_restart(used: Path) -> None:
    with Pulse.dev(used) as pulse:
        key = pulse.key
        assert ask(pulse).status_code == 200
        before = usage(pulse)
        assert before["tokens"]["used"] > 0
    with Pulse.dev(used) as pulse:
        assert pulse.key == key
        assert usage(pulse)["tokens"] == before["tokens"]


@pytest.mark.parametrize("victim", ["pulse", "both"])
async def test_after_kill_9_everything_is_there_again(used: Path, victim: str) -> None:
    with Pulse.dev(used) as pulse:
        for number in range(3):
            ask(pulse, user=str(number)).raise_for_status()
        wait_until_written(pulse)
        rows, counters, relatives = await pulse.entries(), usage(pulse)["tokens"], family(pulse)
        assert len(rows) >= 3
        key = pulse.key
        if victim == "both":
            postgres_of(used).kill()
        pulse.process.stop(signal.SIGKILL)
    with Pulse.dev(used) as pulse:
        assert_gone(relatives)
        assert pulse.key == key
        assert await pulse.entries() == rows
        assert usage(pulse)["tokens"] == counters
        assert ask(pulse).status_code == 200


def wait_until_written(pulse: Pulse) -> None:
    deadline = time.monotonic() + START_S
    while "pulse_ledger_backlog 0.0" not in httpx.get(f"{pulse.url}/metrics", trust_env=False).text:
        assert time.monotonic() < deadline
        time.sleep(PAUSE_S)


# ── stopping ──


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_stop_ends_everything_with_exit_code_0(used: Path, how: signal.Signals) -> None:
    with Pulse.dev(used) as pulse:
        relatives = family(pulse)
        assert len(relatives) > 2
        assert pulse.process.stop(how) == 0
        assert_gone(relatives)
    assert not (used / "postgres" / "postmaster.pid").exists()
    assert "Traceback" not in pulse.process.output


def test_a_stop_during_the_start_leaves_nothing_behind(used: Path) -> None:
    process = Process(dev_command(used), environment())
    deadline = time.monotonic() + START_S
    while not (started := psutil.Process(process.pid).children()):  # Postgres, before it is ready
        assert time.monotonic() < deadline
    assert process.stop(signal.SIGTERM) == 0
    assert_gone(started)
    assert "running at" not in process.output
    assert "Traceback" not in process.output


@contextmanager
def child(command: list[str], *, output: int, terminal: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A child that writes where we read, so that we can stop reading."""
    started = subprocess.Popen(
        command, env=environment(), stdin=terminal, stdout=output, stderr=output, start_new_session=True
    )
    os.close(output)
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def read_until(source: int, word: bytes) -> str:
    text = b""
    while word not in text:
        text += os.read(source, 10_000)
    return text.decode()


def test_a_reader_of_the_output_who_leaves_does_not_keep_it_from_stopping(used: Path) -> None:
    """As in `make run | head -5`, or `| tee log` when Ctrl-C ends both."""
    reading, writing = os.pipe()
    with child(dev_command(used), output=writing) as started:
        text = read_until(reading, b"Ctrl-C")
        os.close(reading)
        url, key = (re.findall(pattern, text)[0] for pattern in (r"running at\s+(\S+)", r"API key\s+(\S+)"))
        headers = {"authorization": f"Bearer {key}"}
        for _ in range(2):
            response = httpx.post(f"{url}/v1/chat/completions", json=ECHO, headers=headers, trust_env=False)
            assert response.status_code == 200
        started.send_signal(signal.SIGINT)
        assert started.wait(30) == 0


TAKES_THE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


def test_closing_the_terminals_window_stops_it(used: Path) -> None:
    ours, its = os.openpty()
    with child([sys.executable, "-c", TAKES_THE_TERMINAL, *dev_command(used)], output=its, terminal=its) as started:
        read_until(ours, b"Ctrl-C")
        relatives = psutil.Process(started.pid).children(recursive=True)
        os.close(ours)
        assert started.wait(30) == 0
        assert_gone(relatives)
