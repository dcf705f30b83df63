from __future__ import annotations

import pytest

from pulse_gateway.testing.clock import FakeClock
from pulse_gateway.transport.breaker import Breaker


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_it_opens_after_three_failures_one_after_the_other(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    opened = []
    for _ in range(3):
        clock.advance(0.1)
        opened.append(breaker.fail(waited_s=0.1))
    assert opened == [False, False, True]
    assert breaker.is_open


def test_what_failed_together_counts_once(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    clock.advance(0.1)
    assert not any(breaker.fail(waited_s=0.1 - 0.001 * began) for began in range(100))
    assert not breaker.is_open


def test_calls_that_began_before_the_last_failure_failed_with_it(clock: FakeClock) -> None:
    breaker = Breaker(clock, failures=2)
    clock.advance(1)
    assert not breaker.fail(waited_s=0.1)
    clock.advance(0.05)
    assert not breaker.fail(waited_s=0.1), "it had begun before the first was known to have failed"
    assert breaker.fail(waited_s=0.05)


def test_a_success_between_failures_begins_anew(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    for _ in range(10):
        clock.advance(1)
        breaker.fail()
        clock.advance(1)
        breaker.fail()
        breaker.succeed()
    assert not breaker.is_open


def test_an_answer_does_not_close_it_but_close_does(clock: FakeClock) -> None:
    breaker = Breaker(clock, failures=1)
    assert breaker.fail()
    clock.advance(2)
    breaker.succeed()
    assert breaker.is_open
    assert breaker.open_s == 2
    breaker.close()
    assert not breaker.is_open
    assert breaker.open_s == 0
    assert breaker.fail(), "counting begins anew"


def test_it_opens_once(clock: FakeClock) -> None:
    breaker = Breaker(clock, failures=1)
    assert breaker.fail()
    clock.advance(1)
    assert not breaker.fail()
    breaker.trip()
    assert breaker.open_s == 1, "opened when it was opened first"


def test_it_looks_soon_and_then_twice_a_second(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    breaker.trip()
    assert [breaker.next_probe_s() for _ in range(6)] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5])


def test_it_can_be_opened_at_once(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    breaker.trip()
    assert breaker.is_open


def test_a_server_that_fails_again_soon_is_not_looked_at_sooner(clock: FakeClock) -> None:
    breaker = Breaker(clock)
    breaker.trip()
    waits = [breaker.next_probe_s() for _ in range(4)]
    breaker.close()
    clock.advance(1)
    breaker.trip()
    assert breaker.next_probe_s() > waits[-1]
    breaker.close()
    clock.advance(60)
    breaker.trip()
    assert breaker.next_probe_s() == waits[0]
