"""Steps that do not do as they should: whoever runs them ends, and says what is owed once."""

from __future__ import annotations

from typing import Any

import pytest

from pulse_gateway.errors import DeadlineExceeded, UpstreamError, UpstreamFailed
from pulse_gateway.pipeline.steps import Begun, StepRunner
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.providers.offer import Billed, Pause, Steps
from pulse_gateway.testing import FakeClock
from pulse_gateway.types.usage import Usage


async def run(steps: Steps[Any], **more: Any) -> Any:
    anything: Any = None  # these steps ask nobody
    runner = StepRunner(transport=anything, download=anything, clock=FakeClock(), supervisor=Supervisor())
    return await runner.run(Begun(steps), anything, anything, **more)


async def test_steps_that_take_every_failure_for_a_passing_one_end_with_the_time_of_the_request() -> None:
    """As somebody might write who looks again and again whether a job is done."""

    def patient() -> Steps[None]:
        for _ in range(1_000):  # without a bound in a test that fails
            try:
                yield Pause(1.0)
            except UpstreamError:
                continue
        raise AssertionError("it was never told to stop")

    with pytest.raises(DeadlineExceeded):
        await run(patient(), deadline=1_000.5)


async def test_steps_that_do_not_want_to_be_closed_do_not_hang() -> None:
    def stubborn() -> Steps[None]:
        try:
            yield Pause(10.0)
        finally:
            yield Pause(10.0)

    with pytest.raises(RuntimeError, match="GeneratorExit"):
        await run(stubborn(), deadline=1_001.0)


async def test_what_was_billed_before_a_defect_has_been_told() -> None:
    told: list[Billed] = []

    def broken() -> Steps[None]:
        yield Billed(Usage(images=1))
        yield Billed(Usage(images=2), 7)
        raise UpstreamFailed("no more")

    with pytest.raises(UpstreamFailed):
        await run(broken(), on_billed=told.append)
    assert told == [Billed(Usage(images=1)), Billed(Usage(images=2), 7)]
