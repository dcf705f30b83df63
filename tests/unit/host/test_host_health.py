"""What /ready says, and when it says no."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from pulse_gateway.errors import StoreUnavailable
from pulse_host import health
from pulse_host.health import Readiness, Report
from pulse_host.probes import postgres_probe


async def well() -> str:
    return "ok"


async def degraded() -> str:
    return "down: local"


async def unable() -> str:
    raise StoreUnavailable("it is full")


async def silent() -> str:
    await asyncio.Event().wait()
    return "ok"


async def test_all_is_well() -> None:
    assert await Readiness({"a": well, "b": well}).report() == Report("ok", {"a": "ok", "b": "ok"})


async def test_what_is_done_without_something_is_told_and_still_ready() -> None:
    assert await Readiness({"a": well, "b": degraded}).report() == Report("degraded", {"a": "ok", "b": "down: local"})


async def test_what_cannot_be_done_is_not_ready() -> None:
    report = await Readiness({"a": degraded, "b": unable}).report()
    assert report == Report("unavailable", {"a": "down: local", "b": "it is full"})


async def test_a_dependency_that_does_not_answer_in_time_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_PROBE_S", 0.01)
    report = await Readiness({"a": silent}).report()
    assert report == Report("unavailable", {"a": "no answer within 0.01 s"})


async def test_a_server_that_is_shutting_down_takes_no_new_work() -> None:
    readiness = Readiness({"a": well})
    readiness.draining = True
    assert await readiness.report() == Report("unavailable", {"a": "ok", "server": "draining"})


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (FileNotFoundError(2, "No such file or directory"), "nobody listens: its socket is not there"),
        (ConnectionRefusedError(111, "Connect call failed ('10.0.0.7', 5432)"), "connection refused"),
        (TimeoutError(), "no answer in time"),
        (asyncpg.CannotConnectNowError("the database system is starting up"), "CannotConnectNowError"),
    ],
)
async def test_a_postgres_that_is_away_is_told_of_in_words(error: Exception, word: str) -> None:
    class Away:
        async def fetchval(self, query: str) -> object:
            raise error

    assert (await postgres_probe(Away(), needed=False)()).startswith(f"down ({word}): usage waits in the journal")
