"""The head that a connection sent last: SDKs send the same bytes again on a connection they keep, but for the length of the body."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulse_host.cycle import Cycle

__all__ = ["RememberedHead", "remember"]

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})\r\n", re.IGNORECASE)
_MOST_DIGITS = 18
_NAME = b"content-length"


class RememberedHead:
    """What was parsed of it once. `scope` is ASGI's, but for what belongs to one request. `again` is set by an application that has read
    the head, and serves another request with it.
    """

    __slots__ = ("_length_at", "_rest", "_start", "again", "scope")

    def __init__(self, start: bytes, rest: bytes, length_at: int, scope: dict[str, Any]) -> None:
        self._start, self._rest, self._length_at = start, rest, length_at  # the bytes before and behind the length
        self.scope = scope
        self.again: Callable[[Cycle], Awaitable[None]] | None = None

    def body_at(self, data: bytes) -> int:
        """Where the body begins in `data`, if that is this head, with any length, and the whole body; else 0."""
        start, rest = self._start, self._rest
        if not data.startswith(start):
            return 0
        at = len(start)
        end = data.find(b"\r", at, at + _MOST_DIGITS + 1)
        if end < 0 or not data.startswith(rest, end):
            return 0
        body_at = end + len(rest)
        return body_at if data[at:end] == b"%d" % (len(data) - body_at) else 0

    def scope_of(self, length: int) -> dict[str, Any]:
        """A scope of its own for a request whose body has so many bytes."""
        scope = self.scope.copy()
        scope["headers"] = headers = scope["headers"].copy()
        headers[self._length_at] = (_NAME, b"%d" % length)
        return scope


def remember(data: bytes, scope: dict[str, Any]) -> RememberedHead | None:
    """`data` is one whole request, of which the parser made `scope`; None if its head alone does not say how it is read.

    The bytes are cut around the digits of its one `content-length`. A parser that begins at the same point reads the same from the same
    bytes, and other digits only say where the body ends.
    """
    end = data.find(b"\r\n\r\n") + 4
    names = [name for name, _ in scope["headers"]]
    if end < 4 or names.count(_NAME) != 1 or b"transfer-encoding" in names or b"expect" in names or b"upgrade" in names:
        return None
    found = _LENGTH.search(data, 0, end)
    if found is None or len(data) != end + int(found[1]):
        return None
    kept = {**scope, "headers": scope["headers"].copy()}  # the application may change what it was given
    return RememberedHead(data[: found.start(1)], data[found.end(1) : end], names.index(_NAME), kept)
