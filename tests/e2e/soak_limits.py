"""Minutes of flood on one account by several replicas: sixty in every sixty seconds, not one more and not one less; and what Redis
being away makes of that."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flood_process import CAP, WINDOW_S

from faults.proxy import FaultProxy
from valkey_server import ValkeyProcess

WINDOW_US = int(WINDOW_S * 1e6)
# A free place is taken by whoever asks next: clients pause, and the machine is shared.
TAKEN_US = 300_000
# What is let in without Redis is noted a moment after it was decided.
NOTED_US = 50_000


PATIENT_S = 2.0  # where the machine's being busy is not to pass for an outage
HURRIED_S = 0.5


class Flood:
    """What several processes let in, together."""

    def __init__(self, printed: Sequence[dict[str, Any]]) -> None:
        self.granted = sorted(moment for each in printed for moment in each["granted"])
        self.away = sorted(moment for each in printed for moment in each["away"])
        self.asked = sum(sum(each["took_tenth_ms"].values()) for each in printed)
        took: Counter[int] = Counter()
        for each in printed:
            took.update({int(tenths): count for tenths, count in each["took_tenth_ms"].items()})
        self.p99_ms = next(
            tenths / 10
            for tenths in sorted(took)
            if sum(took[each] for each in took if each <= tenths) >= 0.99 * self.asked
        )
        self.slowest_ms = max(took) / 10

    def most(self, window_us: int = WINDOW_US) -> int:
        """The most that were let in in any closed window."""
        return most(self.granted, window_us)


def most(moments: Sequence[int], window_us: int = WINDOW_US) -> int:
    found = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] > window_us:
            first += 1
        found = max(found, last - first + 1)
    return found


async def flooded(
    urls: Sequence[str], seconds: float, *, clients: int, skews_s: Sequence[float], deadline_s: float
) -> Flood:
    """A process for each address. An answer of Redis that is later than `deadline_s` is an outage to whoever waits for it."""
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, Path(__file__).with_name("flood_process.py"), url, str(seconds), str(clients), str(skew_s),
            str(len(urls)), str(deadline_s), stdout=asyncio.subprocess.PIPE,
        )
        for url, skew_s in zip(urls, skews_s, strict=True)
    ]  # fmt: skip
    printed = await asyncio.gather(*[each.communicate() for each in children])
    assert all(each.returncode == 0 for each in children)
    flood = Flood([json.loads(out) for out, _ in printed])
    print(
        f"{len(urls)} processes, {seconds:g} s: {flood.asked} asked, {len(flood.granted)} let in ({len(flood.away)} without Redis), "
        f"at most {flood.most()} in 60 s; a decision took p99 {flood.p99_ms:g} ms, at most {flood.slowest_ms:g} ms"
    )
    return flood


def no_place_stayed_free(flood: Flood) -> None:
    for earlier, later in zip(flood.granted, flood.granted[CAP:], strict=False):
        assert later - earlier < WINDOW_US + TAKEN_US, "there was demand, and a place stayed free"


async def test_three_replicas_of_fifty_clients_for_two_minutes() -> None:
    """RL-1."""
    with ValkeyProcess() as redis:
        flood = await flooded([redis.url] * 3, 130, clients=50, skews_s=[30, 0, -30], deadline_s=PATIENT_S)
    assert flood.most() <= CAP
    assert len(flood.granted) >= 178
    no_place_stayed_free(flood)
    assert flood.p99_ms <= 5


async def test_eight_processes_for_three_minutes() -> None:
    with ValkeyProcess() as redis:
        flood = await flooded(
            [redis.url] * 8, 185, clients=20, skews_s=[30, 0, -30, 5, -5, 0.5, -0.5, 0], deadline_s=PATIENT_S
        )
    assert flood.most() <= CAP
    assert len(flood.granted) >= 4 * CAP
    no_place_stayed_free(flood)


async def test_redis_dead_for_two_minutes_under_three_replicas() -> None:
    """DF-2."""
    with ValkeyProcess() as redis:
        flooding = asyncio.create_task(
            flooded([redis.url] * 3, 270, clients=20, skews_s=[0, 0, 0], deadline_s=HURRIED_S)
        )
        await asyncio.sleep(20)
        died_us = round(time.time() * 1e6)
        await asyncio.to_thread(redis.kill)
        await asyncio.sleep(125)
        back_us = round(time.time() * 1e6)
        await asyncio.to_thread(redis.start)
        flood = await flooding
    inside = [moment for moment in flood.granted if died_us < moment < back_us]
    after = [moment for moment in flood.granted if moment > back_us + WINDOW_US]
    print(f"inside the outage at most {most(inside, WINDOW_US - NOTED_US)}, later than a window after it {most(after)}")
    assert most(inside, WINDOW_US - NOTED_US) <= CAP
    assert len(inside) >= 2 * CAP, "the shares were not used"
    assert flood.most() <= 2 * CAP
    assert most(after) <= CAP
    assert len(after) >= CAP


async def test_one_of_three_replicas_cut_off_alone() -> None:
    with ValkeyProcess() as redis:
        async with FaultProxy(redis.port) as proxy:
            urls = [f"redis://127.0.0.1:{proxy.port}/0", redis.url, redis.url]
            flooding = asyncio.create_task(flooded(urls, 200, clients=20, skews_s=[0, 0, 0], deadline_s=HURRIED_S))
            await asyncio.sleep(20)
            proxy.is_black_hole = True
            await asyncio.sleep(100)
            proxy.is_black_hole = False
            flood = await flooding
    assert flood.away
    assert flood.most() <= CAP + CAP // 3
