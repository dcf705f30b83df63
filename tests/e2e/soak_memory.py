"""A gateway after very many requests is as large as before them: PULSE_SOAK_REQUESTS of them, a million if that is not set."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import linear_regression

from pulse_process import open_folder, run_pulse

from valkey_server import ValkeyProcess

REQUESTS = int(os.environ.get("PULSE_SOAK_REQUESTS", "1000000"))
SLOPE_MIB = 1.0  # for each 100,000
WARM_UP = 0.2


async def test_memory_is_flat(new_database: Callable[[], str]) -> None:
    """EN-1."""
    database_url = new_database()
    assert run_pulse("migrate", env={"PULSE_DATABASE_URL": database_url}).returncode == 0
    with ValkeyProcess() as redis, open_folder() as folder:
        child = await asyncio.create_subprocess_exec(
            sys.executable, Path(__file__).with_name("memory_process.py"), database_url, redis.url, folder / "journal",
            str(REQUESTS), stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout is not None
        told = []
        async for line in child.stdout:
            told.append(json.loads(line))
            print(line.decode().rstrip(), flush=True)
        assert await child.wait() == 0
        held = sum(int(redis.command("HGET", key, "held")) for key in redis.command("KEYS", "*:usage:*"))
    last = told[-1]
    assert last["requests"] == last["written"] == REQUESTS
    assert last["statuses"] == {"200": REQUESTS - REQUESTS // 50, "400": REQUESTS // 50}
    assert held == 0
    warm = [each for each in told if each["requests"] > WARM_UP * REQUESTS]
    slope = linear_regression([each["requests"] for each in warm], [each["rss_bytes"] for each in warm]).slope
    mib = slope * 100_000 / 2**20
    print(f"{REQUESTS} requests in {last['seconds']} s: {mib:+.2f} MiB per 100,000 after warm-up")
    assert mib <= SLOPE_MIB
    for name in ("fds", "tasks", "permits"):
        assert max(each[name] for each in warm) - min(each[name] for each in warm) <= 2, name
