"""How a request is stopped whose time is over, and that nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from pulse_gateway.clock import SystemClock
from pulse_gateway.errors import DeadlineExceeded
from pulse_gateway.pipeline.deadline import Deadline
from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.steps import ClientLeft

FOR_EVER_S = 3_600.0


def exchange(timeout_s: float | None = None) -> Exchange:
    return Exchange(Inbound(timeout_s=timeout_s), None, 0.0)


class Inner:
    """Answers what `go` is given, once it is."""

    def __init__(self) -> None:
        self.go: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self.cancelled = 0

    async def __call__(self, exchange: Exchange) -> Reply:
        try:
            return await asyncio.shield(self.go)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def deadline(inner: Inner, total_s: float = FOR_EVER_S) -> Deadline:
    return Deadline(inner, total_s=total_s, clock=SystemClock())


async def test_whoever_is_in_time_gets_the_answer() -> None:
    inner, reply = Inner(), Reply(200, [])
    inner.go.set_result(reply)
    asked = exchange()
    assert await deadline(inner)(asked) is reply
    assert 0 < asked.deadline - SystemClock.monotonic() <= FOR_EVER_S


async def test_each_is_stopped_when_its_own_time_is_over_whatever_came_before_it() -> None:
    inner = Inner()
    within = deadline(inner)

    async def ask(timeout_s: float) -> None:
        with pytest.raises(DeadlineExceeded, match=f"within the request's {timeout_s:g} s"):
            await within(exchange(timeout_s))
        task = asyncio.current_task()
        assert task is not None and not task.cancelling()

    patient = asyncio.create_task(within(exchange()))
    await asyncio.gather(ask(0.06), ask(0.02), ask(0.04), ask(0.0))
    await asyncio.gather(ask(0.01))  # the timer was not set any more for less than the hour of the patient one
    assert inner.cancelled == 5
    inner.go.set_result(Reply(200, []))
    assert (await patient).status == 200


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    inner = Inner()
    asking = asyncio.create_task(deadline(inner)(exchange()))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert inner.cancelled == 1


async def test_a_cancellation_that_comes_together_with_the_end_of_the_time_counts() -> None:
    within = Deadline(ignorant, total_s=0.01, clock=SystemClock())
    asking = asyncio.create_task(within(exchange()))
    await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await asking


async def ignorant(exchange: Exchange) -> Reply:
    """Notices that it is cancelled, and is cancelled once more while it tidies up."""
    task = asyncio.current_task()
    assert task is not None
    try:
        await asyncio.sleep(FOR_EVER_S)
    finally:
        task.cancel()
    raise AssertionError("not reached")


async def test_what_fails_on_its_own_is_not_taken_for_the_deadline() -> None:
    async def times_out(exchange: Exchange) -> Reply:
        raise TimeoutError("some other")

    async def leaves(exchange: Exchange) -> Reply:
        raise ClientLeft

    async def is_late_and_answers(exchange: Exchange) -> Reply:
        try:
            await asyncio.sleep(FOR_EVER_S)
        except asyncio.CancelledError:
            return Reply(200, [])
        raise AssertionError("not reached")

    clock = SystemClock()
    with pytest.raises(TimeoutError, match="some other"):
        await Deadline(times_out, total_s=FOR_EVER_S, clock=clock)(exchange())
    with pytest.raises(ClientLeft):
        await Deadline(leaves, total_s=FOR_EVER_S, clock=clock)(exchange())
    reply = await Deadline(is_late_and_answers, total_s=0.01, clock=clock)(exchange())
    task = asyncio.current_task()
    assert reply.status == 200 and task is not None and not task.cancelling()
