"""`kill -9` of a gateway under load: no call is lost, none is charged twice, and what it held comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from killing import kill_and_compare
from pulse_process import Simulation

from valkey_server import ValkeyProcess


@pytest.fixture
def redis_server() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


async def test_killed_gateways_leave_no_hold_and_a_ledger_that_is_the_providers_bill(
    new_database: Callable[[], str], simulation: Simulation, redis_server: ValkeyProcess
) -> None:
    await kill_and_compare(new_database(), simulation, redis_server, kills=3, seed=11)
