"""Gives back what dead processes held, also where nobody calls any more: the scripts do it only for tenants that are asked for."""

from __future__ import annotations

import asyncio

from pulse_gateway.limits.counters import SWEPT
from pulse_gateway.limits.scripts import Grant, Room, Scripts, room_of
from pulse_gateway.transport.redis import RedisClient

__all__ = ["Overdue"]

_TENANTS_KEPT_S = 2 * 86_400
_TOLD_AGAIN_S = 3_600.0
_MOST_CALLS = 64  # for one tenant at a time


class Overdue:
    """Every process tells the store which tenants it serves (`{prefix}:v1:tenants`), and looks after the leases of all of them."""

    def __init__(self, redis: RedisClient, scripts: Scripts, *, prefix: str) -> None:
        self._redis, self._scripts, self._prefix = redis, scripts, prefix
        self._key = f"{prefix}:v1:tenants"
        self._told: dict[str, float] = {}  # tenant → when the store was told of it
        self._new: set[str] = set()

    def serves(self, tenant: str) -> None:
        """Somebody of `tenant` has called."""
        if tenant not in self._told:
            self._new.add(tenant)

    async def sweep(self) -> None:
        """Tell of new tenants, and put away the overdue permits of all. Raises: RedisUnavailable."""
        now_s = self._scripts.now_s
        self._new.update(tenant for tenant, told_s in self._told.items() if now_s - told_s > _TOLD_AGAIN_S)
        if fresh := list(self._new):
            words: list[str | int] = []
            for tenant in fresh:
                words += (int(now_s), tenant)
            await self._redis.command("ZADD", self._key, *words)
            await self._redis.command("EXPIRE", self._key, _TENANTS_KEPT_S)
            self._told.update(dict.fromkeys(fresh, now_s))
            self._new.difference_update(fresh)
        oldest_s = int(now_s) - _TENANTS_KEPT_S
        self._told = {tenant: told_s for tenant, told_s in self._told.items() if told_s > oldest_s}
        await self._redis.command("ZREMRANGEBYSCORE", self._key, "-inf", oldest_s)
        tenants = {name.decode() for name in await self._redis.command("ZRANGE", self._key, 0, -1)}
        forgotten = (
            self._told.keys() - tenants
        )  # by a store that has lost its memory: what it was told since is looked after too
        self._new.update(forgotten)
        tenants |= forgotten
        await asyncio.gather(*[self._sweep_tenant(room_of(self._prefix, tenant)) for tenant in tenants])

    async def _sweep_tenant(self, room: Room) -> None:
        now_us = int(self._scripts.now_s * 1e6)
        overdue = await self._redis.command("ZCOUNT", room.leases, "-inf", now_us)
        look = Grant(room, "", self._scripts.month, [], "")  # any look puts some away
        for _ in range(min(_MOST_CALLS, -(-overdue // SWEPT))):
            await self._scripts.acquire(look, 0, "")
