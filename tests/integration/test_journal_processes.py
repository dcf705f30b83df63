"""Processes and their journals: killed at any point, side by side, adopted, forked."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pulse_gateway.ledger.journal import Journal, JournalLocked, orphans, read_journal

TESTS = Path(__file__).parents[1]
PROCESS = TESTS / "journal_process.py"
KILLS = 24


class Said:
    """What a journal must hold, from what its writers have said. A step that was begun and not finished may count or not."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, int]] = {"open": {}, "closed": {}}

    def step(self, step: str, entry_ids: str, tokens: int) -> None:
        for entry_id in entry_ids.split(","):
            for state in self.tokens.values():
                state.pop(entry_id, None)
            if step != "done":
                self.tokens["closed" if step == "close" else "open"][entry_id] = tokens


def found_in(directory: Path) -> dict[str, dict[str, int]]:
    found = read_journal(directory)
    assert (found.unsent, found.damaged) == ([], [])
    states = {"open": found.open, "closed": found.closed}
    for entries in states.values():
        assert len({each.entry_id for each in entries}) == len(entries), "nothing is doubled"
    return {state: {each.entry_id: each.tokens for each in entries} for state, entries in states.items()}


def kill_at_line(directory: Path, seed: int, line: int) -> list[list[str]]:
    """Everything a writer says until it is killed, which happens soon after that many lines."""
    command = [sys.executable, str(PROCESS), "write", str(directory), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(line)]
        writer.kill()
        rest = writer.stdout.read()
    assert writer.returncode == -9, "it writes for ever"
    whole = "".join(lines) + rest
    return [each.split(" ") for each in whole[: whole.rindex("\n")].split("\n")]


def test_a_writer_killed_at_any_point_leaves_all_that_it_said_and_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    said = Said()
    steps = 0
    for seed in range(KILLS):
        lines = kill_at_line(tmp_path, seed, chance.choice((1, 2, 50, 400, 2000, 6000)) + chance.randrange(40))
        assert lines[0] == ["ready", str(len(said.tokens["open"])), str(len(said.tokens["closed"]))]
        begun = None
        for mark, step, entry_ids, tokens in lines[1:]:
            if mark == "!":
                said.step(step, entry_ids, int(tokens))
                begun = None
                steps += 1
            else:
                begun = (step, entry_ids, int(tokens))
        found = found_in(tmp_path)
        if begun is not None and found != said.tokens:
            said.step(*begun)
        assert found == said.tokens, f"seed {seed}"
        files = list(tmp_path.glob("*.journal"))
        assert sum(path.stat().st_size for path in files) < 2 * 2**20
    assert steps > 5000


async def test_a_reader_beside_a_busy_writer_always_sees_a_whole_state(tmp_path: Path) -> None:
    command = [sys.executable, str(PROCESS), "write", str(tmp_path), "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline().startswith("ready")
            lines = 0
            reader = asyncio.create_task(asyncio.to_thread(found_in, tmp_path))
            readings = 0
            while readings < 30:
                await asyncio.to_thread(writer.stdout.readline)
                lines += 1
                if reader.done():
                    found = reader.result()
                    assert all(len(entries) < 20_000 for entries in found.values())
                    readings += 1
                    reader = asyncio.create_task(asyncio.to_thread(found_in, tmp_path))
            await reader
            assert lines > 30
        finally:
            writer.kill()


def start_holder(root: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, str(PROCESS), "hold", str(root)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    return holder, holder.stdout.readline().strip()


def end(holder: subprocess.Popen[str], *, kill: bool) -> None:
    if kill:
        holder.kill()
    holder.communicate()


async def test_processes_side_by_side_have_a_slot_each_and_what_they_leave_is_adopted_once(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    holders = [start_holder(root) for _ in range(3)]
    try:
        assert sorted(slot for _, slot in holders) == ["0", "1", "2"]
        pid = holders[1][0].pid
        with pytest.raises(JournalLocked, match=rf"{root}/1: process {pid} has this journal"):
            Journal(root / "1")
        assert orphans(root) == []
        for holder, _ in holders[1:]:
            end(holder, kill=True)
        assert orphans(root) == [root / "1", root / "2"]
        left_by = {f"of {holder.pid}" for holder, _ in holders[1:]}

        first = Journal.take(root)
        assert first.directory == root / "1", "the next process takes the first free slot and what is in it"
        [adopted] = [Journal(slot) for slot in orphans(root)]
        assert orphans(root) == []
        found = [*first.recovered().closed, *adopted.recovered().closed]
        assert {each.entry_id for each in found} == left_by
        first.done([each.entry_id for each in found])
        adopted.done([each.entry_id for each in found])
        for journal in (first, adopted):
            await journal.aclose()
        assert orphans(root) == []
        assert {each.entry_id for each in read_journal(root / "0").closed} == {f"of {holders[0][0].pid}"}
    finally:
        for holder, _ in holders:
            end(holder, kill=True)


FORK = """
import asyncio, json, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from journal_entries import entry
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.journal import Journal

journal = Journal(Path(sys.argv[1]))
journal.close(entry("before"))
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    try:
        journal.close(entry("by the child"))
        told = "it wrote"
    except StoreUnavailable:
        told = "refused"
    os.write(writing, json.dumps([told, journal.refusal]).encode())
    os._exit(0)
os.waitpid(child, 0)
journal.close(entry("after"))
print(os.read(reading, 1000).decode(), flush=True)
sys.stdin.read()
"""


def test_a_child_made_by_fork_leaves_the_journal_to_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORK, str(tmp_path), str(TESTS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert json.loads(parent.stdout.readline()) == ["refused", "it is closed"]
        with pytest.raises(JournalLocked, match=f"process {parent.pid} has this journal"):
            Journal(tmp_path)
        end(parent, kill=False)
    assert parent.returncode == 0
    assert sorted(each.entry_id for each in read_journal(tmp_path).closed) == ["after", "before"]
