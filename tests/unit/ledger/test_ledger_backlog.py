"""What waits to be written is kept in order, whole, and mostly not in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse_gateway.ledger.backlog import Backlog, Pending
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.types.usage import Outcome, Usage, UsageSource


def item(number: int) -> Pending:
    entry = UsageEntry(
        entry_id=str(number), request_id="request", trace_id="trace", tenant_id="default", user_id="مستخدم", key_id=None,
        period=202611, operation="chat", dialect="openai.chat", alias="alias", provider="provider", model="model", attempt=1,
        outcome=Outcome.COMPLETED, source=UsageSource.PROVIDER, usage=Usage(input_tokens=1), tokens=1, cost_nano_usd=None,
        price_source=None, total_ms=0.1 + number, at=1_795_000_000.123456, tags=(("a", "b"),), accounts=("alice",),
    )  # fmt: skip
    return Pending(entry, float(number), recovered="journal" if number % 3 else None, permit=number % 2 == 0, journal=7)


def drained(backlog: Backlog, most: int = 100) -> list[Pending]:
    found: list[Pending] = []
    while head := backlog.head(most):
        backlog.drop(len(head))
        found += head
    return found


@given(steps=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 1800)), max_size=6), in_memory=st.integers(0, 700))
def test_items_come_out_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]], in_memory: int
) -> None:
    backlog = Backlog(in_memory, tmp_path_factory.getbasetemp())
    came, went = 0, 0
    for more, fewer in steps:
        for _ in range(more):
            backlog.append(item(came))
            came += 1
        head = backlog.head(fewer)
        assert head == [item(went + number) for number in range(len(head))]
        assert bool(head) == bool(fewer and came > went)
        backlog.drop(len(head))
        went += len(head)
        assert backlog.count == came - went
        assert backlog.oldest_since == (None if came == went else float(went))
    assert drained(backlog) == [item(number) for number in range(went, came)]
    backlog.drop_all()


def test_what_is_beyond_memory_is_in_a_file_without_a_name(tmp_path: Path) -> None:
    backlog = Backlog(1000, tmp_path)
    for number in range(5000):
        backlog.append(item(number))
    assert backlog.spilled == 4000
    assert list(tmp_path.iterdir()) == []
    assert drained(backlog, 700) == [item(number) for number in range(5000)]
    assert (backlog.count, backlog.spilled) == (0, 0)
    backlog.append(item(1))  # and begins anew
    assert backlog.spilled == 0
    backlog.drop_all()


def test_without_a_folder_everything_is_in_memory() -> None:
    backlog = Backlog(10, None)
    for number in range(2000):
        backlog.append(item(number))
    assert backlog.spilled == 0
    assert drained(backlog) == [item(number) for number in range(2000)]


def test_what_the_disk_refuses_stays_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backlog = Backlog(100, tmp_path / "gone")
    for number in range(1200):
        backlog.append(item(number))
    assert "stay in memory" in caplog.text
    (tmp_path / "gone").mkdir()
    for number in range(1200, 2000):
        backlog.append(item(number))
    assert backlog.spilled == 1500
    assert drained(backlog) == [item(number) for number in range(2000)]
    backlog.drop_all()


def test_what_the_disk_does_not_give_back_is_left_to_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog = Backlog(100, tmp_path)
    for number in range(1700):
        backlog.append(item(number))
    file: Any = backlog._file
    file.truncate(10)
    assert drained(backlog) == [item(number) for number in (*range(100), *range(1600, 1700))]
    assert "500 usage entries cannot be read back" in caplog.text
    assert backlog.count == 0
    backlog.drop_all()
