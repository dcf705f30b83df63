"""How many gateways share the limits, and whose usage the ledger may lack, by what each of them says in the store every few seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pulse_gateway.ids import new_entry_id
from pulse_gateway.limits.scripts import Scripts
from pulse_gateway.transport.redis import RedisClient, RedisUnavailable

__all__ = ["ANNOUNCED_EVERY_S", "Replicas", "forget_who_was_behind"]

ANNOUNCED_EVERY_S = 3.0
_HOLDS_S = 15.0
_BEHIND_S = 1.0
_MISSED_AFTER_S = 4.5  # an announcement is late: it may have died, with entries that only its journal has
_MISSED_FOR_S = 180.0  # time enough for somebody to take over its journal
_BEHIND_FOR_S = 86_400.0  # where Postgres was away for it, that may be long


class Replicas:
    """`fixed` is a number that was configured and is believed whatever is seen.

    `lag_s` says how far this process is behind with writing what it settled to the ledger. Three things make balances too low to
    lower a counter by: a replica that is behind, for it says so; one that has ended while it was, for a day, since nobody knows when its
    journal is taken over; and for three minutes one that is not heard of any more.
    """

    def __init__(
        self, redis: RedisClient, scripts: Scripts, *, prefix: str, fixed: int | None, lag_s: Callable[[], float]
    ) -> None:
        self._redis, self._scripts, self._lag_s, self._fixed = redis, scripts, lag_s, fixed
        self._key = _key(prefix)
        self._id = new_entry_id()
        self._epoch: str | None = None
        self._seen: int | None = None
        self._said_behind = False
        self._behind = self._missed = 0

    @property
    def count(self) -> int | None:
        """How many share the limits, this one among them; what was seen last holds on. None while nobody knows."""
        return self._fixed or self._seen

    @property
    def are_behind(self) -> bool:
        """Whether one that lives, this one among them, has settled what the ledger does not know yet."""
        return self._behind > 0 or self._is_behind

    @property
    def may_be_behind(self) -> bool:
        """The same, or one that has ended or is missed may have."""
        return self.are_behind or self._missed > 0

    @property
    def has_news(self) -> bool:
        """Whether this one is behind and has not said so, or the other way round."""
        return self._said_behind != self._is_behind

    @property
    def _is_behind(self) -> bool:
        return self._lag_s() > _BEHIND_S

    async def announce(self) -> bool:
        """Say that this one lives, and count. Returns whether the store has forgotten everything since it was last told.

        Raises: RedisUnavailable.
        """
        is_behind = self._is_behind
        found = await self._scripts.announce(
            self._key,
            self._id,
            is_behind=is_behind,
            holds_s=_HOLDS_S,
            missed_after_s=_MISSED_AFTER_S,
            missed_for_s=_MISSED_FOR_S,
            behind_for_s=_BEHIND_FOR_S,
            epoch=new_entry_id(),
        )
        has_forgotten = self._epoch is not None and self._epoch != found.epoch
        # A store that has forgotten has not heard yet who is behind: it will have by the next time.
        self._behind = max(self._behind, found.behind) if has_forgotten else found.behind
        self._missed, self._seen = found.missed, found.live
        self._epoch, self._said_behind = found.epoch, is_behind
        return has_forgotten

    async def leave(self) -> None:
        """Be counted no longer; where the store does not answer, that comes by itself. What is not in the ledger yet is told of."""
        mark = f"{self._id} behind"
        if self._lag_s() > 0:
            keep_s = _BEHIND_FOR_S if self._is_behind else _MISSED_FOR_S
            words: tuple[str | int, ...] = ("ZADD", self._key, round((self._scripts.now_s + keep_s) * 1e6), mark)
        else:
            words = ("ZREM", self._key, mark)
        try:
            await asyncio.gather(self._redis.command(*words), self._redis.command("ZREM", self._key, self._id))
        except RedisUnavailable:
            return


async def forget_who_was_behind(redis: RedisClient, prefix: str) -> None:
    """Take it that every journal left behind is in the ledger: whoever still lives and is behind says so again.

    Raises: RedisUnavailable.
    """
    members = await redis.command("ZRANGE", _key(prefix), 0, -1)
    marks = [member for member in members if member.endswith(b" behind")]
    if marks:
        await redis.command("ZREM", _key(prefix), *marks)


def _key(prefix: str) -> str:
    return f"{prefix}:v1:replicas"
