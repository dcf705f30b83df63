"""Journals of processes that have ended: taken over, and held until all they say is written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from pulse_gateway.ledger.backlog import Pending
from pulse_gateway.ledger.columns import JOURNAL
from pulse_gateway.ledger.estimates import estimate_of
from pulse_gateway.ledger.journal import Journal, JournalError, JournalLocked, orphans

__all__ = ["Inheritance", "pending_of"]

_log = logging.getLogger(__name__)


class Inheritance:
    """The journals beside this process' own whose owners have ended. Each has a number, from 1 on."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[int, tuple[Journal, set[str]]] = {}  # with the entries that are not written yet
        self._last_number = 0

    async def adopt(self, now: float) -> list[Pending]:
        """Take over what nobody holds; returns what is to be written. Several processes may do so at once: each journal has one heir."""
        pending: list[Pending] = []
        try:
            found = await asyncio.to_thread(orphans, self._root)
        except JournalError as error:
            _log.error("journals left behind cannot be looked for: %s", error)
            return []
        for directory in found:
            try:
                journal = await asyncio.to_thread(Journal, directory)
            except JournalLocked:
                continue
            except JournalError as error:
                _log.error("a journal left behind cannot be taken over: %s", error)
                continue
            self._last_number += 1
            items = list(pending_of(journal, now, self._last_number))
            _log.warning("%s: its process has ended; %d usage entries are taken over", directory, len(items))
            self._held[self._last_number] = (journal, {item.entry.entry_id for item in items})
            pending += items
            if not items:
                await self.done(self._last_number, [])
        return pending

    async def done(self, number: int, entry_ids: Sequence[str]) -> None:
        """These are written. A journal with nothing else in it is let go, and its folder is free."""
        journal, waiting = self._held[number]
        journal.done(entry_ids)
        waiting.difference_update(entry_ids)
        if not waiting:
            del self._held[number]
            await journal.aclose()

    async def aclose(self) -> None:
        """Let go of all: what is not written stays for the next heir."""
        while self._held:
            _, (journal, _) = self._held.popitem()
            await journal.aclose()


def pending_of(journal: Journal, now: float, number: int) -> Iterator[Pending]:
    """What earlier processes left to be written: ended attempts as they ended, as estimates those that were sent and never ended.

    Those that were never sent are done.
    """
    recovered = journal.recovered()
    journal.done([entry.entry_id for entry in recovered.unsent])
    for entry in recovered.closed:
        yield Pending(entry, now, permit=True, journal=number, left=True)
    for entry in recovered.open:
        yield Pending(estimate_of(entry), now, recovered=JOURNAL, permit=True, journal=number, left=True)
