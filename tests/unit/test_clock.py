"""The machine's clocks, as far as they could surprise."""

from __future__ import annotations

import asyncio
import time

import uvloop

from pulse_gateway.clock import SystemClock


def test_a_sleep_is_never_short_on_any_loop() -> None:
    async def shortest() -> float:
        clock = SystemClock()
        over = []
        for _ in range(100):
            time.sleep(0.0013)  # a turn of the loop that takes a while is what makes timers early
            began = clock.monotonic()
            await clock.sleep(0.0057)
            over.append(clock.monotonic() - began - 0.0057)
        return min(over)

    assert asyncio.run(shortest()) >= 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(shortest()) >= 0
