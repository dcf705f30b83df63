"""How many gateways share the limits, by what each of them says in the store every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pulse_gateway.ids import new_entry_id
from pulse_gateway.limits.scripts import Scripts
from pulse_gateway.transport.redis import RedisClient, RedisUnavailable

__all__ = ["ANNOUNCED_EVERY_S", "Replicas"]

ANNOUNCED_EVERY_S = 3.0
_HOLDS_S = 15.0
_BEHIND_S = 1.0


class Replicas:
    """`fixed` is a number that was configured and is believed whatever is seen.

    `lag_s` says how far this process is behind with writing what it settled to the ledger: while any replica is behind, balances are
    too low to correct anything by.
    """

    def __init__(
        self, redis: RedisClient, scripts: Scripts, *, prefix: str, fixed: int | None, lag_s: Callable[[], float]
    ) -> None:
        self._redis, self._scripts, self._lag_s, self._fixed = redis, scripts, lag_s, fixed
        self._key = f"{prefix}:v1:replicas"
        self._id = new_entry_id()
        self._seen: int | None = None
        self._behind = 0

    @property
    def count(self) -> int | None:
        """How many share the limits, this one among them; what was seen last holds on. None while nobody knows."""
        return self._fixed or self._seen

    @property
    def are_behind(self) -> bool:
        """Whether one of them, or this one, has settled what the ledger does not know yet."""
        return self._behind > 0 or self._lag_s() > _BEHIND_S

    async def announce(self) -> bool:
        """Say that this one lives, and count. Returns whether the store has forgotten what it was told before.

        Raises: RedisUnavailable.
        """
        was_new, count, self._behind = await self._scripts.announce(
            self._key, self._id, is_behind=self._lag_s() > _BEHIND_S, holds_s=_HOLDS_S
        )
        was_known, self._seen = self._seen is not None, count
        return was_new and was_known

    async def leave(self) -> None:
        """Be counted no longer; where the store does not answer, that comes by itself."""
        try:
            await asyncio.gather(
                *[self._redis.command("ZREM", self._key, name) for name in (self._id, f"{self._id} behind")]
            )
        except RedisUnavailable:
            return
