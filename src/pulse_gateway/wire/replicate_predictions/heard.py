"""How much of a text has been heard, without keeping it.

Line ends may change on their way through server-sent events, so white space is not compared.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from pulse_gateway.wire.foreign_json import not_of_protocol

__all__ = ["Heard"]

_WORDS = re.compile(r"\S+")


class Heard:
    """Grows piece by piece."""

    def __init__(self) -> None:
        self._chars = 0  # without white space
        self._space = 0  # behind the last of them
        self._digest = blake2b(digest_size=16)

    def add(self, text: str) -> None:
        bare = "".join(text.split())
        if bare:
            self._chars += len(bare)
            self._digest.update(_bytes(bare))
            self._space = 0
        self._space += len(text) - len(text.rstrip())

    def rest_of(self, whole: str) -> str:
        """What is still missing of `whole`; nothing but white space is nothing.

        Raises: UpstreamProtocolError if something else was heard.
        """
        left, at, digest = self._chars, 0, blake2b(digest_size=16)
        for word in _WORDS.finditer(whole) if left else ():
            taken = word[0][:left]
            digest.update(_bytes(taken))
            left -= len(taken)
            at = word.start() + len(taken)
            if not left:
                break
        if left or digest.digest() != self._digest.digest():
            raise not_of_protocol("a stream that is not what the prediction has for output")
        rest = whole[at:]
        space = len(rest) - len(rest.lstrip())
        return rest[min(self._space, space) :] if rest.strip() else ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
