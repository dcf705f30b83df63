"""Reading what the ledger knows, once for all who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

__all__ = ["Balances", "SharedBalances"]

_MOST_AT_ONCE = 500  # accounts in one query
_NOTHING: Mapping[str, int] = {}


class Balances(Protocol):
    """The part of the ledger that limits read."""

    async def balances(self, tenant_id: str, accounts: Sequence[str], period: int, /) -> dict[str, dict[str, int]]:
        """What each account has used in a month (`202611`), by kind; accounts without use are left out.

        Raises: StoreUnavailable.
        """
        ...


_Answer = Mapping[str, Mapping[str, int]]


class SharedBalances:
    """Questions for one account that come before the answer share one look-up; all of one turn of the loop are one query."""

    def __init__(self, ledger: Balances) -> None:
        self._ledger = ledger
        self._gathering: dict[tuple[str, int], tuple[list[str], asyncio.Task[_Answer]]] = {}
        self._under_way: dict[tuple[str, int, str], asyncio.Task[_Answer]] = {}

    async def read(self, tenant: str, accounts: Sequence[str], period: int) -> dict[str, Mapping[str, int]]:
        """What each of `accounts` has used in a month, by kind: every one of them is in the answer.

        Raises: StoreUnavailable.
        """
        tasks = {account: self._task(tenant, period, account) for account in accounts}
        if tasks:
            await asyncio.wait(set(tasks.values()))  # a caller who leaves takes the answer from nobody else
        return {account: task.result().get(account, _NOTHING) for account, task in tasks.items()}

    def _task(self, tenant: str, period: int, account: str) -> asyncio.Task[_Answer]:
        place = (tenant, period, account)
        if (task := self._under_way.get(place)) is not None:
            return task
        accounts, task = self._gathering.get((tenant, period)) or self._begin(tenant, period)
        accounts.append(account)
        self._under_way[place] = task
        if len(accounts) >= _MOST_AT_ONCE:
            del self._gathering[tenant, period]
        return task

    def _begin(self, tenant: str, period: int) -> tuple[list[str], asyncio.Task[_Answer]]:
        accounts: list[str] = []
        task = asyncio.get_running_loop().create_task(self._look_up(tenant, period, accounts), name="balances")
        task.add_done_callback(_seen)
        self._gathering[tenant, period] = (accounts, task)
        return accounts, task

    async def _look_up(self, tenant: str, period: int, accounts: list[str]) -> _Answer:
        if (gathering := self._gathering.get((tenant, period))) is not None and gathering[0] is accounts:
            del self._gathering[tenant, period]
        try:
            return await self._ledger.balances(tenant, accounts, period)
        finally:
            for account in accounts:
                del self._under_way[tenant, period, account]


def _seen(task: asyncio.Task[_Answer]) -> None:
    """Whoever asked may have left: then nobody else takes note of the error."""
    if not task.cancelled():
        task.exception()
