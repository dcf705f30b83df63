"""What dead processes held comes back, also where nobody calls any more and the store has forgotten whom it serves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from pulse_gateway.clock import SystemClock
from pulse_gateway.limits.asks import asks_of, holds_of
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.overdue import Overdue
from pulse_gateway.limits.scripts import Grant, Scripts, room_of
from pulse_gateway.transport.redis import RedisClient
from valkey_server import ValkeyProcess

ROOM = room_of("pulse", "acme")


@pytest.fixture
def server() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as running:
        yield running


@pytest.fixture
async def redis(server: ValkeyProcess) -> AsyncIterator[RedisClient]:
    client = RedisClient(server.url, clock=SystemClock(), deadline_s=2.0)
    await client.open()
    yield client
    await client.aclose()


async def hold(scripts: Scripts, permits: int) -> str:
    """Permits whose lease is over as soon as it is given; returns the key of the month they hold."""
    month = scripts.month
    asks = asks_of(ROOM.prefix, [Charge(account="u1", kind="tokens", amount=5, cap=None)], month.period)
    await scripts.warm(asks[0].key, 0, month, as_of=int(scripts.now_s * 1e6))
    for number in range(permits):
        grant = Grant(ROOM, f"permit-{number}", month, asks, holds_of(asks))
        reply = await scripts.acquire(grant, 1, grant.permit_id)
        assert reply[0] == 0
    return asks[0].key


@pytest.mark.parametrize("forgets", [False, True])
async def test_what_is_overdue_comes_back_without_a_caller(
    server: ValkeyProcess, redis: RedisClient, forgets: bool
) -> None:
    scripts = Scripts(redis, SystemClock())
    overdue = Overdue(redis, scripts, prefix="pulse")
    overdue.serves("acme")
    await overdue.sweep()
    assert server.command("ZRANGE", "pulse:v1:tenants", 0, -1) == [b"acme"]
    if forgets:
        server.command("FLUSHALL")
    key = await hold(scripts, 40)
    assert int(server.command("HGET", key, "held")) > 0
    await overdue.sweep()
    assert int(server.command("HGET", key, "held")) == 0
    await overdue.sweep()
    assert server.command("ZRANGE", "pulse:v1:tenants", 0, -1) == [b"acme"]
    assert server.command("TTL", "pulse:v1:tenants") > 0
