"""A gateway's limits in a process of their own, for tests that race several of them, or kill one.

python limits_process.py URL flood CAP WINDOW_S SECONDS SKEW_S   prints the moments (µs, by the server) of its grants, as JSON
python limits_process.py URL hold LEASE_S                        prints `held` and keeps a permit until it is killed
python limits_process.py URL race CAP AMOUNT RACERS              prints how many of its racers were granted
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from limits_parts import at_once, limiting_at, requests, taken, tokens

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.limits.redis import RedisLimiter

CLIENTS = 50


class SkewedClock:
    """Off by some seconds, as the clocks of machines are."""

    def __init__(self, skew_s: float) -> None:
        self._skew_s = skew_s

    def now(self) -> float:
        return time.time() + self._skew_s

    def monotonic(self) -> float:
        return time.monotonic() - self._skew_s

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def flood(limiter: RedisLimiter, cap: int, window_s: float, seconds: float) -> list[int]:
    granted: list[int] = []
    end = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < end:
            permit = await taken(limiter, requests(cap, window_s=window_s))
            if permit is not None:
                granted.append(permit.granted_us)  # type: ignore[attr-defined]
                await permit.settle({})
            await asyncio.sleep(0.004)

    await asyncio.gather(*[client() for _ in range(CLIENTS)])
    return granted


async def main(url: str, what: str, *numbers: float) -> None:
    skew_s = numbers[3] if what == "flood" else 0.0
    lease_s = numbers[0] if what == "hold" else 60.0
    async with limiting_at(url, clock=SkewedClock(skew_s), lease_s=lease_s, deadline_s=2.0) as limiter:
        if what == "flood":
            print(json.dumps(await flood(limiter, int(numbers[0]), numbers[1], numbers[2])))
        elif what == "race":
            cap, amount, racers = map(int, numbers)
            sys.stdin.readline()  # the shot
            results = await asyncio.gather(
                *[taken(limiter, tokens(amount, cap)) for _ in range(racers)], return_exceptions=True
            )
            assert not any(isinstance(each, StoreUnavailable) for each in results)
            print(sum(each is not None for each in results))
        else:
            await limiter.acquire([at_once(5), tokens(700)], tenant="acme")
            print("held", flush=True)
            await asyncio.sleep(3_600)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(float, sys.argv[3:])))
