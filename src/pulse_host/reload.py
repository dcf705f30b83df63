"""A new configuration while the server runs: a valid one is swapped in whole, an invalid one is reported and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import structlog

from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError
from pulse_host.server import Signals

__all__ = ["Source", "reloading"]

_log = structlog.get_logger("pulse")
_LOOK_S = 0.5
_COUNTING = ("store", "lease_s", "deadline_ms", "replicas", "without_redis")

_Stamp = tuple[int, int, int]  # inode, time of the last change in ns, size


class Source(msgspec.Struct, frozen=True):
    """Where the configuration comes from. `read` gives all of it, the options of the command line included; `file` is what is
    watched for changes, None: nothing is.

    `read` raises ConfigError.
    """

    read: Callable[[], Config]
    file: Path | None


@asynccontextmanager
async def reloading(
    source: Source, started_with: Config, apply: Callable[[Config], None], signals: Signals
) -> AsyncIterator[None]:
    """While inside, SIGHUP and a changed file hand the new configuration to `apply`, which takes all of it or raises ConfigError.

    How the server listens, where its stores are, how many connections it opens, and where limits are counted was settled at the start, and stays until the next one.
    """
    in_force = started_with

    def reload(*, unless_same: bool = False) -> None:
        nonlocal in_force
        try:
            fresh = source.read()
            if unless_same and fresh == in_force:
                return
            apply(fresh)
        except ConfigError as error:
            _log.error("configuration refused; the last good one stays", reason=str(error))
            return
        in_force = fresh
        late = _late(fresh, started_with)
        _log.info(
            "configuration reloaded",
            providers=sorted(fresh.providers),
            models=sorted(fresh.models),
            **({"takes_a_restart": late} if late else {}),
        )

    signals.on_hangup = reload
    watching = (
        None if source.file is None else asyncio.create_task(_watch(source.file, partial(reload, unless_same=True)))
    )
    try:
        yield
    finally:
        signals.on_hangup = None
        if watching is not None:
            watching.cancel()


def _late(fresh: Config, started_with: Config) -> list[str]:
    """What differs and is not taken over while the server runs."""
    sections = [name for name in ("server", "stores", "network") if getattr(fresh, name) != getattr(started_with, name)]
    counting = [name for name in _COUNTING if getattr(fresh.limits, name) != getattr(started_with.limits, name)]
    return [*sections, *(f"limits.{name}" for name in counting)]


async def _watch(file: Path, changed: Callable[[], None]) -> None:
    """Call `changed` now, for what happened during the start, and whenever the file has become another and rests."""
    reported: _Stamp | None = None
    last = _stamp(file)
    while True:
        # Two looks that agree: a file that is being written is not read.
        now = _stamp(file)
        if now is not None and now == last != reported:
            reported = now
            changed()
        last = now
        await asyncio.sleep(_LOOK_S)


def _stamp(file: Path) -> _Stamp | None:
    """None while there is no such file; an editor may put another in its place at any moment."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
