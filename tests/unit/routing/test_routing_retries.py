from __future__ import annotations

import pytest

from pulse_gateway.routing.retries import RetryBudget, retry_wait_s
from pulse_gateway.testing import FakeClock


def longest(retries: int, retry_after_s: float | None = None, left_s: float = 600.0) -> float | None:
    return retry_wait_s(retries, retry_after_s, left_s, random=lambda: 1.0)


def test_the_wait_doubles_up_to_its_cap() -> None:
    assert [longest(retries) for retries in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert longest(10_000) == 8.0


def test_the_jitter_is_full() -> None:
    assert retry_wait_s(2, None, 600.0, random=lambda: 0.0) == 0.0
    assert retry_wait_s(2, None, 600.0, random=lambda: 0.25) == 0.5
    waits = [retry_wait_s(3, None, 600.0) for _ in range(1_000)]
    assert all(wait is not None and 0 <= wait <= 4 for wait in waits)
    assert len(set(waits)) > 900


def test_a_provider_that_names_a_time_is_not_asked_before_it() -> None:
    assert longest(0, retry_after_s=12.0) == 12.0
    assert longest(4, retry_after_s=1.0) == 8.0


def test_a_wait_that_does_not_fit_what_is_left_is_not_begun() -> None:
    assert longest(0, left_s=0.5) is None
    assert longest(0, left_s=0.55) == 0.5
    assert longest(0, retry_after_s=3_600.0) is None
    assert retry_wait_s(0, None, 0.04, random=lambda: 0.0) is None
    assert retry_wait_s(0, None, -1.0, random=lambda: 0.0) is None


def test_base_and_cap_can_be_set() -> None:
    assert retry_wait_s(5, None, 600.0, base_s=0.1, max_wait_s=1.0, random=lambda: 1.0) == 1.0
    assert retry_wait_s(0, None, 600.0, base_s=0.1, max_wait_s=1.0, random=lambda: 1.0) == 0.1


def test_in_an_outage_retries_add_a_tenth_and_one_a_second() -> None:
    """P8, at 200 requests a second for a minute, each of which would like to be retried."""
    clock = FakeClock()
    budget = RetryBudget(clock)
    retries = 0
    for _ in range(12_000):
        budget.first_attempt("openai:gpt")
        retries += budget.retry("openai:gpt")
        clock.advance(1 / 200)
    assert retries <= 1_200 + 60 + 10
    assert retries >= 1_200 + 60 - 2  # the budget is also there to be used


def test_a_new_deployment_may_be_retried_ten_times_at_once_and_then_once_a_second() -> None:
    clock = FakeClock()
    budget = RetryBudget(clock)
    budget.first_attempt("a")
    assert [budget.retry("a") for _ in range(11)] == [True] * 10 + [False]
    clock.advance(1)
    assert [budget.retry("a"), budget.retry("a")] == [True, False]


def test_what_was_not_used_is_kept_up_to_ten() -> None:
    clock = FakeClock()
    budget = RetryBudget(clock)
    budget.first_attempt("a")
    clock.advance(3_600)
    assert sum(budget.retry("a") for _ in range(50)) == 10
    for _ in range(1_000):
        budget.first_attempt("a")
    assert sum(budget.retry("a") for _ in range(50)) == 10


def test_one_deployment_does_not_spend_another_ones_budget() -> None:
    budget = RetryBudget(FakeClock())
    assert [budget.retry("a") for _ in range(11)].count(True) == 10
    assert budget.retry("b")


@pytest.mark.parametrize("call", ["first_attempt", "retry"])
def test_names_from_clients_do_not_fill_the_memory(call: str) -> None:
    budget = RetryBudget(FakeClock())
    for number in range(5_000):
        getattr(budget, call)(f"openai:invented-{number}")
    assert len(budget._balances) <= 1_000
