from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from benchmarks import scale
from benchmarks.comparison.load import Found, Times

FIGURES = {"per_s": [100.0], "cpu_us": [300.0], "per_busy_core_s": [3_000.0], "redis_cpu_us": [80.0], "p99_ms": [4.0]}
NONE = {figure: list[float]() for figure in FIGURES}
ALL = ("1 worker", "2 workers", "1 replica", "2 replicas", "3 replicas")


def gateway() -> Any:
    cpu = iter((1.0, 1.5))
    return SimpleNamespace(
        host="127.0.0.1", port=1, path=lambda _: "/", model=lambda _: "m", headers=lambda _: {},
        tree=SimpleNamespace(cpu_s=lambda: next(cpu)),
    )  # fmt: skip


@pytest.mark.parametrize("done", [0, 1_000])
def test_requests_that_fail_are_counted_and_leave_the_round_its_figures(
    monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    whole = Times.of([1.0]) if done else None
    answer = Found(done=done, failed=19, errors={"status 429": 19}, seconds=2.0, whole=whole, added=None)
    monkeypatch.setattr(scale, "under_load", lambda _: answer)
    book: dict[str, list[float]] = {figure: [] for figure in FIGURES}
    failed = scale._round(book, [gateway(), gateway()], 2, psutil.Process(os.getpid()), 2.0)
    assert failed == {"status 429": 38}
    assert book["per_s"] == ([1_000.0] if done else [])
    assert book["cpu_us"] == ([500.0] if done else [])


def test_the_table_has_what_failed_beside_the_figures() -> None:
    books = dict.fromkeys(ALL, FIGURES)
    told = scale.lines({"scale": books, "failed": {name: {"status 429": 19} if name == ALL[1] else {} for name in ALL}})
    assert [line.split()[-1] for line in told[:6]] == ["failed", "0", "19", "0", "0", "0"]
    assert "2 workers, failed: status 429: 19" in told
    assert any(line.startswith("one Redis at 80 µs") for line in told)


def test_a_part_without_any_answer_is_said_to_have_none() -> None:
    books = {name: NONE if name == "3 replicas" else FIGURES for name in ALL}
    told = scale.lines({"scale": books, "failed": {name: {} for name in ALL}})
    assert "no answer" in told[5]
    assert [line for line in told if "linear" in line] == [
        "2 workers to 1 worker, answers per busy core second (1 is linear): 1.00 (1.00, 1.00)"
    ]
