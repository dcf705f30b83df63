"""The permits of this process that have not ended, and their leases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pulse_gateway.clock import Clock
from pulse_gateway.limits.scripts import Grant, Room, Scripts
from pulse_gateway.transport.redis import RedisUnavailable

__all__ = ["Leases"]

_PER_CALL = 100
_ANEW_WITHIN_S = 0.5


class Leases:
    """Every open permit, by id. A lease lasts `lease_s` and is renewed when a third of it is over."""

    def __init__(self, scripts: Scripts, lease_s: float, clock: Clock) -> None:
        self._scripts, self._lease_s, self._clock = scripts, lease_s, clock
        self.lease_us = round(lease_s * 1e6)
        self.open: dict[str, Grant] = {}
        self._renewing_all: asyncio.Task[int] | None = None
        self._renewed_all_s = float("-inf")

    @property
    def renewed_every_s(self) -> float:
        return self._lease_s / 3

    async def renew(self) -> int:
        """Prolong the leases of those that were granted more than a third of a lease ago. Returns how many had to be taken anew.

        Raises: RedisUnavailable.
        """
        before_us = (self._scripts.now_s - self.renewed_every_s) * 1e6
        return await self._renew([grant for grant in self.open.values() if grant.granted_us <= before_us])

    def renew_all_soon(self) -> None:
        """The store may have forgotten everything: hold anew what every permit holds. Once in half a second is enough."""
        if (self._renewing_all is None or self._renewing_all.done()) and (
            self._clock.monotonic() - self._renewed_all_s > _ANEW_WITHIN_S
        ):
            self._renewed_all_s = self._clock.monotonic()
            work = self._renew(list(self.open.values()))
            self._renewing_all = asyncio.get_running_loop().create_task(work, name="renew all leases")
            self._renewing_all.add_done_callback(_seen)

    async def renew_all(self) -> None:
        """The same, and wait for it.

        Raises: RedisUnavailable.
        """
        self.renew_all_soon()
        if (task := self._renewing_all) is not None:
            await asyncio.wait([task])
            task.result()

    async def aclose(self) -> None:
        """Renew nothing any more; what is under way is waited for."""
        if self._renewing_all is not None:
            await asyncio.wait([self._renewing_all])

    async def _renew(self, grants: Sequence[Grant]) -> int:
        rooms: dict[Room, list[Grant]] = {}
        for grant in grants:
            rooms.setdefault(grant.room, []).append(grant)
        batches = [
            (room, members[begin : begin + _PER_CALL])
            for room, members in rooms.items()
            for begin in range(0, len(members), _PER_CALL)
        ]
        return sum(await asyncio.gather(*[self._renew_batch(room, members) for room, members in batches]))

    async def _renew_batch(self, room: Room, grants: Sequence[Grant]) -> int:
        # Looked at when the call is made, since calls are executed in that order: a renewal after the settlement would hold for ever.
        still_open = [grant for grant in grants if grant.permit_id in self.open]
        if not still_open:
            return 0
        try:
            anew = await self._scripts.renew(room, still_open, self.lease_us)
        except RedisUnavailable as away:
            if away.maybe_done:
                for grant in still_open:
                    grant.doubted = True
            raise
        for grant in still_open:
            grant.known = True
        return anew


def _seen(task: asyncio.Task[int]) -> None:
    """Whoever asked may have left: then nobody else takes note of the error."""
    if not task.cancelled():
        task.exception()
