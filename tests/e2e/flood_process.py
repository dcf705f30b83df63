"""One replica's limits in a process of their own, flooded by its clients; what it let in is printed as JSON.

python flood_process.py URL SECONDS CLIENTS SKEW_S REPLICAS DEADLINE_S

`granted`: moments in µs, by Redis, or by this machine for what was let in without it; `away`: of these, what was; `took_tenth_ms`:
how many decisions took how many tenths of a millisecond; `refused`, `unavailable`: how many. The cap is 60 in 60 s.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter

from pulse_gateway.errors import AdmissionError, StoreUnavailable
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.transport.redis import RedisClient

CAP, WINDOW_S = 60, 60.0
PAUSE_S = 0.05


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


class Books:
    """No quota is asked for, so that there is nothing to say."""

    async def balances(self, tenant_id: str, accounts: object, period: int, /) -> dict[str, dict[str, int]]:
        return {}


class Flood:
    def __init__(self, limiter: RedisLimiter) -> None:
        self.limiter = limiter
        self.granted: list[int] = []
        self.away: list[int] = []
        self.took: Counter[int] = Counter()
        self.refused = self.unavailable = 0

    async def client(self, seconds: float) -> None:
        charge = Charge(account="u1", kind="requests", amount=1, cap=CAP, window_s=WINDOW_S)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.perf_counter()
            try:
                permit = await self.limiter.acquire([charge], tenant="acme")
            except AdmissionError:
                self.refused += 1
            except StoreUnavailable:
                self.unavailable += 1
            else:
                if permit.degraded is None:
                    self.granted.append(permit.granted_us)  # type: ignore[attr-defined]
                else:
                    self.away.append(round(time.time() * 1e6))
                await permit.settle({})
            self.took[int((time.perf_counter() - began) * 10_000)] += 1
            await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))


async def main(url: str, seconds: float, clients: int, skew_s: float, replicas: int, deadline_s: float) -> None:
    clock = SkewedClock(skew_s)
    client = RedisClient(url, clock=clock, deadline_s=deadline_s)
    await client.open()
    limiter = RedisLimiter(client, ledger=Books(), clock=clock, replicas=replicas)
    await limiter.open()
    flood = Flood(limiter)
    await asyncio.gather(*[flood.client(seconds) for _ in range(clients)])
    await limiter.aclose()
    await client.aclose()
    print(
        json.dumps(
            {
                "granted": sorted(flood.granted + flood.away),
                "away": sorted(flood.away),
                "took_tenth_ms": flood.took,
                "refused": flood.refused,
                "unavailable": flood.unavailable,
            }
        )
    )


if __name__ == "__main__":
    url, seconds, clients, skew_s, replicas, deadline_s = sys.argv[1:]
    asyncio.run(main(url, float(seconds), int(clients), float(skew_s), int(replicas), float(deadline_s)))
