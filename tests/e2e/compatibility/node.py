"""The SDKs for Node: installed once beside the SDKs for Python, and run in one process over many cells."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from pulse_process import environment

from .asking import b64
from .grid import Cell
from .operations import OPERATIONS
from .running import Observed, ask_of, headers_of

__all__ = ["SOURCE", "NodeUnusable", "install", "run_node"]

SOURCE = Path(__file__).parents[2] / "node"
OLDEST = 20
INSTALL_S = 300.0
RUN_S = 300.0


class NodeUnusable(Exception):
    """The SDKs for Node cannot be run here; the message says what is missing."""


def install() -> Path:
    """The folder whose `node_modules` has what package-lock.json names. Whoever comes first installs it, everybody else waits.

    Raises: NodeUnusable.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NodeUnusable(f"the SDKs for Node need Node {OLDEST} or newer with npm, and none is on the path")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", version)[0]) < OLDEST:
        raise NodeUnusable(f"the SDKs for Node need Node {OLDEST} or newer, and it is {version.strip()}")
    wanted = [SOURCE / name for name in ("package.json", "package-lock.json")]
    place = Path(sys.prefix) / "node" / hashlib.sha256(b"".join(file.read_bytes() for file in wanted)).hexdigest()[:16]
    place.parent.mkdir(exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=place.parent, ignore_cleanup_errors=True) as folder:
                for file in wanted:
                    shutil.copy(file, folder)
                command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
                done = subprocess.run(
                    command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False
                )
                if done.returncode:
                    raise NodeUnusable(
                        f"npm ci could not install the SDKs for Node, which is needed once:\n{done.stderr[-2000:]}"
                    )
                Path(folder).rename(place)
    return place


async def run_node(
    folder: Path, url: str, key: str, cells: Sequence[Cell], files: dict[str, bytes]
) -> dict[str, Observed]:
    """Cell name → what was observed, by the SDKs for Node. `folder` is an empty one."""
    try:
        installed = await asyncio.to_thread(install)
    except NodeUnusable as error:
        return {cell.name: Observed(broke=str(error)) for cell in cells}
    for file in SOURCE.glob("*.mjs"):
        shutil.copy(file, folder)
    (folder / "node_modules").symlink_to(installed / "node_modules")
    plan = {
        "url": url,
        "key": key,
        "files": {name: b64(data) for name, data in files.items()},
        "cells": [_planned(cell) for cell in cells],
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        "cells.mjs",
        cwd=folder,
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUN_S):
            told, complaints = await process.communicate(json.dumps(plan).encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, complaints.decode()
    lines = [msgspec.json.decode(line) for line in told.splitlines()]
    return {line.pop("name"): msgspec.convert(line, Observed) for line in lines}


def _planned(cell: Cell) -> dict[str, object]:
    planned: dict[str, object] = {
        "name": cell.name,
        "operation": cell.operation.name,
        "dialect": cell.dialect,
        "mode": cell.mode,
        "model": cell.model,
        "voice": cell.provider.voice,
        "seconds": cell.provider.seconds,
        "headers": headers_of("node", cell),
    }
    if (cell.operation.name, cell.dialect) not in OPERATIONS:
        planned["ask"] = msgspec.to_builtins(ask_of("node", cell))
    return planned
