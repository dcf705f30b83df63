"""Stopping while requests are under way: what runs may finish, what cannot is told so, and all of it is settled."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pulse_process import PAUSE_S, START_S, Pulse, Simulation, entries_of, open_folder

from pulse_host.dev.embedded import EmbeddedPostgres

PATHS = {
    "openai": ("/v1/chat/completions", "gpt-5.2"),
    "anthropic": ("/v1/messages", "claude-opus-5"),
    "gemini": ("/v1beta/models/{model}:streamGenerateContent?alt=sse", "google:gemini-3.8-flash"),
}
LONG = "chunks=40,chunk-delay=0.05"  # two seconds
ENDLESS = "chunks=500,chunk-delay=0.2"
SILENT = "delay=60"


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder / "data"


@contextmanager
def running(data_dir: Path, simulation: Simulation, *, drain_s: float) -> Iterator[Pulse]:
    (data_dir.parent / "pulse.toml").write_text(f"[server]\ndrain_s = {drain_s}\n")
    with Pulse.dev(data_dir, {**simulation.provider_environment(), "PULSE_RATE_LIMIT": "off"}) as pulse:
        yield pulse


def body(dialect: str, model: str, *, stream: bool = True) -> dict[str, Any]:
    if dialect == "gemini":
        return {"contents": [{"parts": [{"text": "قل لي شيئا عن البحر"}]}]}
    fields = {"model": model, "messages": [{"role": "user", "content": "قل لي شيئا عن البحر"}], "stream": stream}
    return fields if dialect == "openai" else {**fields, "max_tokens": 4000}


class Call(threading.Thread):
    """One request on a thread of its own. `begun` is set with the first byte of its answer."""

    def __init__(self, url: str, headers: dict[str, str], dialect: str, fault: str, *, stream: bool = True) -> None:
        super().__init__(daemon=True)
        path, name = PATHS[dialect]
        self.request_id = f"{dialect}-{time.monotonic_ns()}"
        self._url = f"{url}{path.format(model=f'{name}+{fault}')}"
        self._headers = {**headers, "x-request-id": self.request_id}
        self._body = body(dialect, f"{name}+{fault}", stream=stream)
        self.begun = threading.Event()
        self.status = 0
        self.data = b""
        self.failure: httpx.HTTPError | None = None
        self.start()

    def run(self) -> None:
        try:
            with (
                httpx.Client(trust_env=False, timeout=60) as client,
                client.stream("POST", self._url, json=self._body, headers=self._headers) as response,
            ):
                self.status = response.status_code
                for piece in response.iter_raw():
                    self.data += piece
                    self.begun.set()
        except httpx.HTTPError as error:
            self.failure = error

    def answer(self) -> bytes:
        self.join(60)
        assert self.failure is None, self.failure
        return self.data


def call(pulse: Pulse, dialect: str, fault: str, **options: Any) -> Call:
    headers = (
        pulse.headers
        if dialect == "openai"
        else {"x-api-key" if dialect == "anthropic" else "x-goog-api-key": pulse.key}
    )
    return Call(pulse.url, headers, dialect, fault, **options)


def wait_until_at_the_provider(simulation: Simulation, requests: int) -> None:
    deadline = time.monotonic() + START_S
    while sum(counts["open"] for counts in simulation.stats()["providers"].values()) < requests:
        assert time.monotonic() < deadline
        time.sleep(PAUSE_S)


def wait_until_draining(pulse: Pulse) -> httpx.Response:
    deadline = time.monotonic() + START_S
    while (response := httpx.get(f"{pulse.url}/ready", trust_env=False)).status_code == 200:
        assert time.monotonic() < deadline
    return response


async def ledger_of(data_dir: Path, calls: list[Call]) -> dict[str, dict[str, Any]]:
    """The rows of `calls`, read after Pulse and its Postgres have ended."""
    postgres = EmbeddedPostgres(data_dir / "postgres", log=data_dir / "postgres.log")
    try:
        rows = await entries_of(postgres.start())
    finally:
        postgres.stop()
    wanted = {each.request_id for each in calls}
    return {row["request_id"]: row for row in rows if row["request_id"] in wanted}


async def test_running_streams_finish_byte_for_byte_while_new_work_is_refused(
    data_dir: Path, simulation: Simulation
) -> None:
    direct = Call(simulation.url, {"authorization": "Bearer any"}, "openai", LONG).answer()
    with running(data_dir, simulation, drain_s=30) as pulse:
        calls = [call(pulse, dialect, LONG) for dialect in PATHS]
        for each in calls:
            assert each.begun.wait(START_S)
        pulse.process.send(signal.SIGTERM)
        ready = wait_until_draining(pulse)
        assert ready.json()["checks"]["server"] == "draining"
        assert httpx.get(f"{pulse.url}/health", trust_env=False).status_code == 200
        for dialect in PATHS:
            late = call(pulse, dialect, LONG)
            refused = json.loads(late.answer())
            assert late.status == 503
            assert "shutting down" in refused["error"]["message"]
        assert refused["error"]["details"][0]["reason"] == "UNAVAILABLE"
        answers = [each.answer() for each in calls]
        assert pulse.process.exit_code() == 0
        assert answers[0] == direct
        assert answers[0].endswith(b"data: [DONE]\n\n")
        assert b"message_stop" in answers[1]
        assert b'"finishReason":"STOP"' in answers[2].replace(b" ", b"")
        lines = {line["request_id"]: line for line in pulse.log_lines()}
    rows = await ledger_of(data_dir, calls)
    assert len(rows) == len(calls)
    for each in calls:
        assert lines[each.request_id]["outcome"] == rows[each.request_id]["outcome"] == "completed"
        assert rows[each.request_id]["source"] == "provider"
    assert "Traceback" not in pulse.process.output


async def test_what_outlasts_drain_s_is_told_in_its_dialect_and_settled(data_dir: Path, simulation: Simulation) -> None:
    with running(data_dir, simulation, drain_s=1) as pulse:
        streams = {dialect: call(pulse, dialect, ENDLESS) for dialect in PATHS}
        waiting = call(pulse, "anthropic", SILENT, stream=False)
        for each in streams.values():
            assert each.begun.wait(START_S)
        wait_until_at_the_provider(simulation, 4)
        began = time.monotonic()
        pulse.process.send(signal.SIGTERM)
        assert pulse.process.exit_code() == 0
        assert 1 <= time.monotonic() - began < 6

        last = {dialect: each.answer().split(b"\n\n") for dialect, each in streams.items()}
        assert json.loads(last["openai"][-2].removeprefix(b"data: "))["error"]["code"] == "unavailable"
        kind, _, data = last["anthropic"][-2].partition(b"\n")
        assert kind == b"event: error"
        error = json.loads(data.removeprefix(b"data: "))["error"]
        assert (error["type"], error["details"]["error_code"]) == ("overloaded_error", "unavailable")
        assert b'"UNAVAILABLE"' in streams["gemini"].data.replace(b"\r\n", b"\n").split(b"\n\n")[-2]
        assert json.loads(waiting.answer())["error"]["details"]["error_code"] == "unavailable"
        assert waiting.status == 503
        lines = {line["request_id"]: line for line in pulse.log_lines()}
    calls = [*streams.values(), waiting]
    rows = await ledger_of(data_dir, calls)
    assert set(rows) == set(lines) == {each.request_id for each in calls}
    for each in streams.values():
        assert rows[each.request_id]["outcome"] == "cancelled"
        assert rows[each.request_id]["source"] == "estimated"
        assert rows[each.request_id]["tokens"] > 0
    assert "Traceback" not in pulse.process.output


async def test_a_second_signal_waits_no_longer_but_settles(data_dir: Path, simulation: Simulation) -> None:
    with running(data_dir, simulation, drain_s=30) as pulse:
        stream = call(pulse, "openai", ENDLESS)
        assert stream.begun.wait(START_S)
        relatives = psutil.Process(pulse.process.pid).children(recursive=True)
        pulse.process.send(signal.SIGINT)
        wait_until_draining(pulse)
        began = time.monotonic()
        assert pulse.process.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 5
        assert json.loads(stream.answer().split(b"\n\n")[-2].removeprefix(b"data: "))["error"]["code"] == "unavailable"
    assert not psutil.wait_procs(relatives, timeout=5)[1]
    rows = await ledger_of(data_dir, [stream])
    assert rows[stream.request_id]["tokens"] > 0


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end(data_dir: Path, simulation: Simulation) -> None:
    with running(data_dir, simulation, drain_s=1) as pulse:
        path, name = PATHS["openai"]
        payload = body("openai", f"{name}+huge=15000000")
        with (
            httpx.Client(trust_env=False, timeout=60) as client,
            client.stream("POST", f"{pulse.url}{path}", json=payload, headers=pulse.headers) as response,
        ):
            request_id = response.headers["x-request-id"]
            pieces = response.iter_raw()
            while len(next(pieces)) < 10_000:  # once its beginning is here, the huge event fills all buffers
                pass
            began = time.monotonic()
            assert pulse.process.stop() == 0
            assert time.monotonic() - began < 6
        assert [line["request_id"] for line in pulse.log_lines()] == [request_id]
    assert "Traceback" not in pulse.process.output
