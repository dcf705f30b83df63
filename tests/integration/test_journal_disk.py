"""A disk without room: what was begun ends, nothing is lost, and the journal goes on by itself when there is room again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROCESS = Path(__file__).parents[1] / "journal_process.py"


def test_a_disk_that_takes_no_more_closes_admission_and_loses_nothing(tmp_path: Path) -> None:
    """The limit on a file's size stands in for the disk's: it fails writes and allocation alike, and asks for no privilege.

    `unshare -m sh -c 'mount -t tmpfs -o size=640k none /mnt && python tests/journal_process.py full /mnt fill'` does the same with
    a file system that is really full.
    """
    command = [sys.executable, str(PROCESS), "full", str(tmp_path), "limit"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[1].startswith(("because cannot make room: ", "because cannot write: "))
    assert said[-1].startswith("nothing lost ")
