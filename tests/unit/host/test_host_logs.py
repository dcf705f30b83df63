"""The line of an exchange: written in a quick way of its own, it is the line that every other way would write."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

import pytest
import structlog
from msgspec.structs import replace

from pulse_gateway.config import TelemetryConfig
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_host import logs

RECORD = ExchangeRecord(
    request_id="r",
    trace_id="t",
    tenant_id="default",
    user_id="u",
    key_id=None,
    dialect="openai.chat",
    operation="chat",
    stream=False,
    model="echo",
    provider="echo",
    provider_model="echo",
    attempts=1,
    outcome="completed",
    status=200,
    error_code=None,
    upstream_status=None,
    input_tokens=3,
    cached_input_tokens=None,
    output_tokens=4,
    reasoning_tokens=None,
    total_tokens=7,
    usage_source="provider",
    cost_nano_usd=12,
    first_byte_ms=1.0,
    total_ms=2.125,
    tags={"team": "search"},
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was written to stdout, a write each; everything is configured as it was afterwards."""
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    writes: list[str] = []

    monkeypatch.setattr(logs._Output, "_write", lambda _, text: writes.append(text))
    monkeypatch.setattr(logs, "_exchanges", structlog.get_logger("pulse.exchange"))
    yield writes
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)
    logs._exchange_lines.output = None
    logs._naming.worker = None


def _configure(log_format: Literal["json", "console"] = "json", *, worker: int | None = None) -> None:
    logs.configure_logs(TelemetryConfig(log_format=log_format), worker=worker)


def _chain(record: ExchangeRecord) -> None:
    output, logs._exchange_lines.output = logs._exchange_lines.output, None
    logs.log_exchange(record)
    logs._exchange_lines.output = output


@pytest.mark.parametrize("worker", [None, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cost_nano_usd": None, "tags": {}, "first_byte_ms": None, "total_ms": 1e-5},
        {"model": 'quoted "\\ \u202e سر\u2028', "tags": {"ключ": "\x7f"}},
    ],
    ids=["plain", "nothing known", "odd names"],
)
def test_it_is_the_line_that_the_chain_writes(written: list[str], worker: int | None, changes: dict[str, Any]) -> None:
    _configure(worker=worker)
    record = replace(RECORD, **changes)
    logs.log_exchange(record)
    _chain(record)
    quick, chained = (
        re.sub(r'"timestamp":"[-0-9T:.]+Z"', '"timestamp":""', text) for text in "".join(written).splitlines()
    )
    assert quick == chained
    assert quick.isascii()
    assert json.loads(quick)["worker"] == 2 if worker else "worker" not in json.loads(quick)


def test_a_key_that_slips_into_it_is_masked(written: list[str]) -> None:
    _configure()
    logs.log_exchange(replace(RECORD, model="pls_live_0123456789abcdef0123456789abcdef"))
    assert "0123456789abcdef0123456789abcdef" not in "".join(written)
    assert json.loads("".join(written))["event"] == "exchange"


def test_it_is_not_written_below_the_level(written: list[str]) -> None:
    _configure()
    logs.set_log_level("warning")
    logs.log_exchange(RECORD)
    assert written == []


def test_people_get_theirs(written: list[str]) -> None:
    _configure("console")
    logs.log_exchange(RECORD)
    assert "exchange" in "".join(written)
    assert not "".join(written).startswith("{")


async def test_lines_of_one_turn_leave_in_one_write_and_before_any_other(written: list[str]) -> None:
    _configure()
    logs.log_exchange(RECORD)
    logs.log_exchange(RECORD)
    assert written == []
    await asyncio.sleep(0)
    assert [text.count("\n") for text in written] == [2]
    written.clear()
    logs.log_exchange(RECORD)
    logging.getLogger("pulse").warning("after it")
    assert [json.loads(line)["event"] for line in "".join(written).splitlines()] == ["exchange", "after it"]


async def test_no_write_is_longer_than_a_pipe_takes_at_once(written: list[str]) -> None:
    _configure()
    for _ in range(50):
        logs.log_exchange(RECORD)
    await asyncio.sleep(0)
    assert "".join(written).count("\n") == 50
    assert max(map(len, written)) <= 4096
    assert all(text.endswith("\n") for text in written)


def test_what_was_gathered_is_written_when_the_loop_ends(written: list[str]) -> None:
    _configure()

    async def last() -> None:
        logs.log_exchange(RECORD)

    asyncio.run(last())
    assert "".join(written).count("\n") == 1


def test_it_says_when_to_the_microsecond(written: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _configure()
    moments = (1_795_000_000.25, 1_795_000_000.0, 1_795_000_000.999_999, 1_795_000_061.015_625, 0.5)
    for moment in moments:
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        logs.log_exchange(RECORD)
    told = [json.loads(line)["timestamp"] for line in "".join(written).splitlines()]
    assert [datetime.fromisoformat(each).timestamp() for each in told] == pytest.approx(moments, abs=2e-6)
    assert told[0] == "2026-11-18T11:06:40.250000Z"
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", each) for each in told)
