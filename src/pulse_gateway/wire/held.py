"""How much of one streamed answer may be kept until more of it is there."""

from __future__ import annotations

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.wire.sse import MAX_EVENT_BYTES

__all__ = ["MOST_PARTS", "Held"]

MOST_PARTS = 10_000  # far more than any answer has, and little to remember
_MOST_CHARS = MAX_EVENT_BYTES


class Held:
    """Counts what one decoder or encoder keeps of its answer, so that memory is bounded whatever the provider sends.

    Raises: UpstreamProtocolError, from either method, beyond the bound.
    """

    __slots__ = ("_chars", "_parts")

    def __init__(self) -> None:
        self._chars = self._parts = 0

    def text(self, text: str) -> None:
        """A text is kept."""
        self._chars += len(text)
        if self._chars > _MOST_CHARS:
            raise UpstreamProtocolError(f"the provider's answer leaves more than {_MOST_CHARS} characters unfinished")

    def part(self) -> None:
        """A choice, a call or a block is remembered."""
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise UpstreamProtocolError(f"the provider's answer has more than {MOST_PARTS} parts")
