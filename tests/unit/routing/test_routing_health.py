from __future__ import annotations

import pytest

from pulse_gateway.errors import (
    DeadlineExceeded,
    UpstreamError,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamSuspended,
    UpstreamUnreachable,
)
from pulse_gateway.routing.health import Health
from pulse_gateway.testing import FakeClock

NAME = "acme:fast"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def health(clock: FakeClock) -> Health:
    return Health(clock, random=lambda: 0.5)


def fail(health: Health, count: int, error: UpstreamError | None = None) -> None:
    for _ in range(count):
        health.failed(NAME, error or UpstreamFailed("no"))


def let_in(health: Health, *, last_resort: bool = False) -> bool:
    try:
        health.enter(NAME, last_resort=last_resort)
    except UpstreamSuspended:
        return False
    return True


def test_nineteen_failures_open_nothing_and_the_twentieth_does(health: Health) -> None:
    fail(health, 19)
    assert let_in(health)
    fail(health, 1)
    assert not let_in(health)


def test_less_than_half_bad_is_well_enough(health: Health) -> None:
    for _ in range(30):
        health.succeeded(NAME)
    fail(health, 29)
    assert let_in(health)
    fail(health, 1)
    assert not let_in(health)


def test_what_is_older_than_ten_seconds_no_longer_counts(health: Health, clock: FakeClock) -> None:
    fail(health, 19)
    clock.advance(10.1)
    fail(health, 19)
    assert let_in(health)


def test_five_refused_connections_in_a_row_are_enough(health: Health) -> None:
    fail(health, 4, UpstreamUnreachable("no"))
    health.succeeded(NAME)
    fail(health, 4, UpstreamUnreachable("no"))
    assert let_in(health)
    fail(health, 1, UpstreamUnreachable("no"))
    assert not let_in(health)


@pytest.mark.parametrize("error", [UpstreamRejected("yours"), DeadlineExceeded("late"), UpstreamRateLimited("slow")])
def test_what_is_not_the_deployments_fault_never_counts(health: Health, error: UpstreamError) -> None:
    fail(health, 100, error)
    assert let_in(health)


def test_after_the_pause_one_call_goes_through_and_a_failure_doubles_the_pause(
    health: Health, clock: FakeClock
) -> None:
    fail(health, 20)
    clock.advance(4.9)
    assert not let_in(health)
    clock.advance(0.2)
    assert let_in(health)
    assert not let_in(health)
    fail(health, 1)
    clock.advance(9.9)
    assert not let_in(health)
    clock.advance(0.2)
    assert let_in(health)


def test_a_probe_of_which_nothing_is_known_leaves_room_for_another(health: Health, clock: FakeClock) -> None:
    fail(health, 20)
    clock.advance(5.1)
    assert let_in(health)
    health.left(NAME)
    assert let_in(health)


def test_traffic_comes_back_by_parts(clock: FakeClock) -> None:
    draws = iter([0.5] + [value / 100 for value in range(100)] * 3)
    health = Health(clock, random=lambda: next(draws))
    fail(health, 20)
    clock.advance(5.1)
    assert let_in(health)
    health.succeeded(NAME)
    shares = []
    for _ in range(3):
        shares.append(sum(let_in(health) for _ in range(100)))
        clock.advance(2.0)
    assert shares == [10, 25, 50]
    assert all(let_in(health) for _ in range(100))


def test_a_failure_while_traffic_comes_back_opens_again_for_longer(health: Health, clock: FakeClock) -> None:
    fail(health, 20)
    clock.advance(5.1)
    assert let_in(health)
    health.succeeded(NAME)
    fail(health, 1)
    clock.advance(9.9)
    assert not let_in(health)


def test_recovering_wholly_makes_the_next_pause_short_again(health: Health, clock: FakeClock) -> None:
    fail(health, 20)
    clock.advance(5.1)
    assert let_in(health)
    health.succeeded(NAME)
    clock.advance(6.1)
    assert let_in(health)
    fail(health, 20)
    clock.advance(5.1)
    assert let_in(health)


def test_as_a_last_resort_one_call_a_second_goes_through(health: Health, clock: FakeClock) -> None:
    fail(health, 20)
    assert [let_in(health, last_resort=True) for _ in range(3)] == [True, False, False]
    clock.advance(1.0)
    assert let_in(health, last_resort=True)
    health.succeeded(NAME)
    clock.advance(6.1)
    assert let_in(health)


def test_a_provider_that_says_when_to_come_back_is_left_alone_until_then(health: Health, clock: FakeClock) -> None:
    health.failed(NAME, UpstreamRateLimited("slow", retry_after_s=3.0))
    with pytest.raises(UpstreamRateLimited) as caught:
        health.enter(NAME)
    assert caught.value.retry_after_s == pytest.approx(3.0)
    clock.advance(3.0)
    assert let_in(health)


def test_calls_under_way_when_it_opened_do_not_make_the_pause_longer(health: Health, clock: FakeClock) -> None:
    fail(health, 40)
    clock.advance(5.1)
    assert let_in(health)


def test_only_so_many_names_are_remembered(health: Health) -> None:
    for number in range(1_500):
        health.succeeded(f"acme:{number}")
    assert len(health._states) == 1_000
