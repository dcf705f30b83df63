"""What is asked of Redis, and what its error replies mean. Does no I/O."""

from __future__ import annotations

import hashlib
import re
from asyncio import Future
from collections.abc import Callable
from typing import Any, cast

import hiredis
import msgspec

from pulse_gateway.errors import InternalError, StoreUnavailable

__all__ = [
    "REDIRECTS",
    "UNAVAILABLE",
    "WRONG_SERVER",
    "Call",
    "RedisRefused",
    "RedisUnavailable",
    "Script",
    "error_code",
    "pack",
]


class Script(msgspec.Struct, frozen=True):
    """A Lua script, run by its digest; the server learns the source when it does not know it."""

    name: str
    source: str
    sha1: str = ""

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        msgspec.structs.force_setattr(self, "sha1", digest)


class RedisUnavailable(StoreUnavailable):
    """Redis gave no answer that decides anything; the call may be made again later.

    `maybe_done`: it may have been executed all the same, because it was sent and the answer never came. False: it was not.
    """

    def __init__(self, message: str, *, maybe_done: bool) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


class RedisRefused(InternalError):
    """Redis answered that the command or script itself is wrong: a defect of ours, never to be answered by a policy.

    `reply` is what it said, for the log; it may name keys.
    """

    def __init__(self, reply: str) -> None:
        super().__init__("the limits store refused a command of the gateway")
        self.reply = reply
        self.add_note(f"Redis: {reply}")


Word = str | int | bytes
pack: Callable[[tuple[Word, ...]], bytes] = cast(Any, hiredis.pack_command)  # its stub knows tuples of one word alone
_ASKING = pack(("ASKING",))


class Call(msgspec.Struct, eq=False):
    """One command under way. `made_at` is in the clock's monotonic seconds; its deadline counts from there. `redirects`: how often a
    cluster has sent it elsewhere; `skips`: replies that come before its own, to what is packed with it.
    """

    packed: bytes
    future: Future[Any]
    made_at: float
    script: Script | None = None
    ends_batch: bool = False
    is_check: bool = False
    redirects: int = 0
    skips: int = 0

    def say_the_source(self) -> None:
        """Run the script by its source, from which the server learns it."""
        assert self.script is not None
        asking = self.packed.startswith(_ASKING)
        source = self.script.source.encode()
        words, _, rest = self.packed.removeprefix(_ASKING).partition(_by_digest(self.script))
        self.packed = b"%b\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n%b" % (words, len(source), source, rest)
        self.script = None
        self._ask(asking)

    def go_elsewhere(self, *, asking: bool) -> None:
        """Be sent to another node of a cluster; `asking` when the slot is on its way there."""
        self.redirects += 1
        self.packed = self.packed.removeprefix(_ASKING)
        self._ask(asking)

    def _ask(self, asking: bool) -> None:
        self.skips = int(asking)
        if asking:
            self.packed = _ASKING + self.packed

    def fail(self, error: Exception) -> None:
        """Tell the caller, unless it has left."""
        if not self.future.done():
            self.future.set_exception(error)


def _by_digest(script: Script) -> bytes:
    """How a call of `script` goes on behind the number of its words."""
    return b"\r\n$7\r\nEVALSHA\r\n$%d\r\n%b\r\n" % (len(script.sha1), script.sha1.encode())


UNAVAILABLE = frozenset({
    "BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOAUTH", "NOPERM", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN",
    "UNBLOCKED", "WRONGPASS",
})  # fmt: skip
"""Codes of replies that speak of the server's state, not of the command.

Source: https://github.com/valkey-io/valkey/blob/unstable/src/server.c, createSharedObjects (read 2026-11-24).
"""

REDIRECTS = frozenset({"ASK", "MOVED"})

WRONG_SERVER = frozenset({"MASTERDOWN", "NOAUTH", "READONLY", "WRONGPASS"})
"""Codes after which another connection may reach a server that answers: the primary, or one that takes our password."""

_INSIDE_A_SCRIPT = re.compile(
    r"@user_script: ?\d+: -?([A-Z]{3,})\b"
)  # Redis 6.2: ERR Error running script … -READONLY …


def error_code(reply: str) -> str:
    """The code of an error reply: its first word, or for scripts in Redis 6.2 that of the command that failed inside."""
    code, _, rest = reply.partition(" ")
    if code == "ERR" and (inside := _INSIDE_A_SCRIPT.search(rest)):
        return inside[1]
    return code
