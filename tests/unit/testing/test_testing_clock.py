"""The clock that tests steer."""

from __future__ import annotations

import asyncio

import pytest

from pulse_gateway.testing import FakeClock


async def test_time_stands_still_until_it_is_advanced() -> None:
    clock = FakeClock(now=100.0, monotonic=5.0)
    await asyncio.sleep(0.01)
    assert (clock.now(), clock.monotonic()) == (100.0, 5.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 7.5)


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = FakeClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, seconds in (("late", 3), ("early", 1), ("never", 100), ("middle", 2)):
            tasks.create_task(sleeper(name, seconds))
        await asyncio.sleep(0)
        assert clock.sleepers == 4
        clock.advance(1)
        await asyncio.sleep(0)
        assert woken == ["early"]
        clock.advance(2)
        await asyncio.sleep(0)
        assert woken == ["early", "middle", "late"]
        assert clock.sleepers == 1
        clock.advance(100)


async def test_a_sleep_of_nothing_only_yields() -> None:
    await FakeClock().sleep(0)
    await FakeClock().sleep(-1)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleepers == 0
    clock.advance(1)


def test_it_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        FakeClock().advance(-1)
