"""Fifty times what `test_kill.py` does three times."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from killing import kill_and_compare
from pulse_process import Simulation

from valkey_server import ValkeyProcess


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
async def test_fifty_kills_lose_and_double_nothing(
    new_database: Callable[[], str], simulation: Simulation, seed: int
) -> None:
    simulation.reset()
    with ValkeyProcess() as redis_server:
        found = await kill_and_compare(new_database(), simulation, redis_server, kills=10, seed=seed)
    print(f"seed {seed}: {found.attempts} attempts, {found.estimated} estimated, unasked {found.unasked}")
