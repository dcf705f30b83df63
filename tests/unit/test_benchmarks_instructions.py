"""The guard of the hot path says by how much a figure has moved, and compares only what can be compared."""

from __future__ import annotations

from benchmarks.instructions import lines

KEPT = {"python": "3.11.7", "instructions": {"answer": 1_000_000}}


def test_a_figure_is_told_with_how_far_it_is_from_the_run_that_is_kept() -> None:
    _, answer, stream = lines({"python": "3.11.7", "instructions": {"answer": 1_100_000, "stream": 5}}, KEPT)
    assert "1,100 K" in answer
    assert "+10.0 %" in answer
    assert "nothing to compare with" in stream


def test_another_interpreter_is_not_compared_with() -> None:
    told = lines({"python": "3.13.0", "instructions": {"answer": 1_100_000}}, KEPT)
    assert "nothing to compare with" in told[1]
    assert "3.11.7: not compared" in told[2]
