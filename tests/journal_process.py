"""Processes that write a journal, for tests that kill them: `python journal_process.py WHAT FOLDER [SEED]`.

`write` says on stdout what it is about to do and, once the journal has returned, that it did it; for ever. `hold` takes a slot,
says which, and waits for its stdin to end. `full` fills what it may of the disk; see `test_journal_disk.py`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import sys
from pathlib import Path

from journal_entries import entry
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.journal import Journal, read_journal

SMALL = {"max_bytes": 2 * 2**20, "segment_bytes": 64 * 1024}


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def write(folder: Path, seed: int) -> None:
    """Every line but the first is `? STEP ENTRY_ID TOKENS` before a step and `! …` after it."""
    chance = random.Random(seed)
    journal = Journal(folder, sync_s=0.002, **SMALL)
    await journal.start()
    recovered = journal.recovered()
    opened = {each.entry_id: each.tokens for each in recovered.open}
    ended = [each.entry_id for each in recovered.closed]
    say("ready", len(recovered.open), len(recovered.closed))
    number = steps = 0
    while True:
        step = chance.choices(("open", "mark", "close", "done"), (3, 6, 3 if len(opened) > 50 else 1, 0.05))[0]
        tokens = chance.randrange(10**6)
        if step == "open":
            number += 1
            entry_id = f"{seed}-{number}"
            say("?", step, entry_id, tokens)
            journal.open(entry(entry_id, tokens=tokens))
            opened[entry_id] = tokens
        elif step == "mark" and opened:
            entry_id = chance.choice(list(opened))
            say("?", step, entry_id, tokens)
            journal.mark(entry(entry_id, tokens=tokens))
        elif step == "close" and opened:
            entry_id = chance.choice(list(opened))
            say("?", step, entry_id, tokens)
            journal.close(entry(entry_id, tokens=tokens))
            del opened[entry_id]
            ended.append(entry_id)
        elif step == "done" and ended:
            entry_id = ",".join(ended)
            say("?", step, entry_id, tokens)
            journal.done(ended)
            ended = []
        else:
            continue
        assert journal.waiting == 0, "what waits in memory is not said to be kept"
        say("!", step, entry_id, tokens)
        steps += 1
        if steps % 30 == 0:  # segments are small here: time to make the next one
            await journal.sync()


async def hold(root: Path) -> None:
    journal = Journal.take(root)
    await journal.start()
    journal.close(entry(f"of {os.getpid()}"))
    say(journal.directory.name)
    await asyncio.to_thread(sys.stdin.read)


class Ballast:
    """Leaves the disk no room: by filling a small file system, or, where there is none, by a limit on the size of files."""

    def __init__(self, folder: Path, how: str) -> None:
        self._file = folder / "ballast"
        self._how = how

    def put(self) -> None:
        if self._how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, resource.RLIM_INFINITY))
            return
        with self._file.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.errno in {errno.ENOSPC, errno.EDQUOT}, error

    def take_away(self) -> None:
        if self._how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            self._file.unlink()


async def full(folder: Path, how: str) -> None:
    """A disk without room, and with room again. Says what was seen; an assertion that fails ends it with status 1."""
    ballast = Ballast(folder, how)
    journal = Journal(folder / "journal", sync_s=0.005, **SMALL)
    await journal.start()
    await journal.sync()
    ballast.put()
    begun: list[str] = []
    try:
        while True:
            said = entry(tokens=0)
            journal.open(said)
            begun.append(said.entry_id)
            await asyncio.sleep(0)
    except StoreUnavailable:
        say("refused after", len(begun))
    assert len(begun) > 20, "what was set aside is used"
    while journal.refusal is None:
        await asyncio.sleep(0.005)
    say("because", journal.refusal)
    for entry_id in begun:
        journal.mark(entry(entry_id, tokens=1))
        journal.close(entry(entry_id, tokens=2))
    say("waiting", journal.waiting)
    kept = {each.entry_id for each in read_journal(folder / "journal").closed}
    if how != "limit":  # there the limit also holds for room that was set aside
        assert kept == set(begun), "whatever was begun could end"
        assert journal.waiting == 0
    ballast.take_away()
    while journal.refusal is not None:
        await asyncio.sleep(0.005)
    say("taken again")
    assert journal.waiting == 0
    last = entry()
    journal.open(last)
    journal.close(last)
    found = read_journal(folder / "journal")
    assert {each.entry_id: each.tokens for each in found.closed} == {**dict.fromkeys(begun, 2), last.entry_id: 122}
    assert (found.open, found.unsent, found.damaged) == ([], [], [])
    await journal.aclose()
    again = Journal(folder / "journal", **SMALL)
    assert len(again.recovered().closed) == len(begun) + 1
    await again.aclose()
    say("nothing lost", len(begun))


def main() -> None:
    what, folder, *more = sys.argv[1:]
    if what == "write":
        asyncio.run(write(Path(folder), int(more[0])))
    elif what == "hold":
        asyncio.run(hold(Path(folder)))
    else:
        asyncio.run(full(Path(folder), more[0]))


if __name__ == "__main__":
    main()
