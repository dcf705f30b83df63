"""What a server sees to again and again, and that nothing of it can hurt the rest."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from pulse_gateway.errors import StoreUnavailable
from pulse_host import maintenance
from pulse_host.maintenance import Maintenance

EVERY_S = 0.001


class Chore:
    """Fails until `works`; `times(n)` returns when it was called n times more."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls = 0
        self._called = asyncio.Condition()

    async def __call__(self) -> None:
        self.calls += 1
        async with self._called:
            self._called.notify_all()
        if self.error is not None:
            raise self.error

    async def times(self, more: int) -> None:
        wanted = self.calls + more
        async with self._called:
            await self._called.wait_for(lambda: self.calls >= wanted)


async def test_every_chore_is_done_again_and_again() -> None:
    first, second = Chore(), Chore()
    async with Maintenance({"first": first, "second": second}, every_s=EVERY_S):
        await first.times(3)
        await second.times(3)
    calls = first.calls
    await asyncio.sleep(EVERY_S * 5)
    assert first.calls == calls


@pytest.mark.parametrize(
    "error", [StoreUnavailable("it is away"), ZeroDivisionError("a defect")], ids=["away", "defect"]
)
async def test_one_that_fails_is_logged_once_and_the_others_go_on(error: Exception) -> None:
    failing, other = Chore(error), Chore()
    with structlog.testing.capture_logs() as logs:
        async with Maintenance({"failing": failing, "other": other}, every_s=EVERY_S):
            await failing.times(3)
            await other.times(3)
            failing.error = None
            await failing.times(2)
    assert [(line["event"], line["chore"]) for line in logs] == [
        ("maintenance failed", "failing"),
        ("maintenance works again", "failing"),
    ]
    assert str(error) in logs[0]["reason"]
    assert logs[0]["exc_info"] is isinstance(error, ZeroDivisionError)


async def test_one_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_PATIENCE_S", 0.005)
    other = Chore()
    with structlog.testing.capture_logs() as logs:
        async with Maintenance({"stuck": asyncio.Event().wait, "other": other}, every_s=EVERY_S):
            await other.times(2)
    assert [line["chore"] for line in logs] == ["stuck"]


async def test_leaving_does_not_wait_for_one_under_way() -> None:
    begun = asyncio.Event()

    async def long() -> None:
        begun.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(5), Maintenance({"long": long}, every_s=EVERY_S):
        await begun.wait()
