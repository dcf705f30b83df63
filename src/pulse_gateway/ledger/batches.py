"""Writing entries: one statement for a batch, and a second one in the rare case that it brings better word on estimates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pulse_gateway.ledger.columns import JOURNAL, PERMIT, as_uuid, clean, columns_of, correction_id
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.sql import CORRECT_ESTIMATES, RECORD, composed, query

__all__ = ["Unwritable", "Written", "write_entries", "write_permits"]

_CORRECTIONS_LOCK = 0x70756C73650001  # what writers of corrections share: each must see what the one before has added
_WORTH = {None: 0, JOURNAL: 1, PERMIT: 2}


class Unwritable(ValueError):
    """An entry of the batch holds values that are not what their types say."""


class Written(msgspec.Struct, frozen=True):
    """How many entries are new, and how many corrections they brought."""

    added: int
    corrected: int


async def write_entries(
    connection: Any,
    entries: Sequence[UsageEntry],
    recovered: Sequence[str | None],
    permits: Sequence[str],
    timeout_s: float | None = None,
) -> Written:
    """Add `entries` to the ledger, to balances and to roll-ups, each once however often it is written.

    `recovered` says of each what it was recovered from (`JOURNAL`, `PERMIT`; None: it was not). An entry that stands there as a
    recovered one gets a correction by the first better word on it. `permits` are the ids whose open permits end. A statement
    that fails has done nothing; `timeout_s` bounds each. Not to be called within a transaction unless all are from `PERMIT`: two
    that hold what they have added while they wait for their turn to correct would wait for each other.

    Raises: Unwritable; what the driver raises.
    """
    entries, recovered = _best_of_each(entries, recovered)
    added, ids = await connection.fetchrow(
        composed(RECORD),
        *_columns(entries, recovered),
        [as_uuid(entry_id) for entry_id in permits],
        timeout=timeout_s,
    )
    if ids is None:
        return Written(added, 0)
    there_before = [
        (entry, origin)
        for entry, origin in zip(entries, recovered, strict=True)
        if origin != PERMIT and entry.reverses is None and as_uuid(entry.entry_id) not in ids
    ]
    if not there_before:
        return Written(added, 0)
    return Written(added, await _correct(connection, there_before, timeout_s))


async def write_permits(
    connection: Any, entries: Sequence[UsageEntry], permit_s: float, timeout_s: float | None = None
) -> None:
    """Tell of attempts under way, or again with what is now known; somebody else may end them after `permit_s` seconds.

    Raises: what the driver raises.
    """
    cleaned = [clean(entry) for entry in entries]
    await connection.execute(
        query("open_permits"),
        [entry.entry_id for entry in cleaned],
        [entry.tenant_id for entry in cleaned],
        [entry.at for entry in cleaned],
        [msgspec.json.encode(entry) for entry in cleaned],
        permit_s,
        timeout=timeout_s,
    )


async def _correct(connection: Any, words: Sequence[tuple[UsageEntry, str | None]], timeout_s: float | None) -> int:
    """Corrections of those of the entries that are there as estimates; returns how many there were."""
    async with connection.transaction():
        await connection.execute(f"select pg_advisory_xact_lock({_CORRECTIONS_LOCK})", timeout=timeout_s)
        corrected: int = await connection.fetchval(
            composed(CORRECT_ESTIMATES),
            *_columns([entry for entry, _ in words], [origin for _, origin in words]),
            [correction_id(entry.entry_id, JOURNAL) for entry, _ in words],
            [correction_id(entry.entry_id, None) for entry, _ in words],
            timeout=timeout_s,
        )
    return corrected


def _columns(entries: Sequence[UsageEntry], recovered: Sequence[str | None]) -> list[str | None]:
    try:
        return columns_of(entries, recovered)
    except (AttributeError, TypeError, ValueError) as error:
        raise Unwritable(f"{type(error).__name__}: {error}") from error


def _best_of_each(
    entries: Sequence[UsageEntry], recovered: Sequence[str | None]
) -> tuple[Sequence[UsageEntry], Sequence[str | None]]:
    """Of several entries with one id, the one that knows best."""
    if len({entry.entry_id for entry in entries}) == len(entries):
        return entries, recovered
    best: dict[str, tuple[UsageEntry, str | None]] = {}
    for entry, origin in zip(entries, recovered, strict=True):
        held = best.get(entry.entry_id)
        if held is None or _WORTH[origin] < _WORTH[held[1]]:
            best[entry.entry_id] = (entry, origin)
    return [entry for entry, _ in best.values()], [origin for _, origin in best.values()]
