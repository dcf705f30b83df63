"""The calls of a caller's permits as Redis reads them, prepared: of each only its id, moments and amounts are written. Pure.

Packing the some thirty words of a call one by one took more than everything else that is done for it in this process.
Source: https://redis.io/docs/latest/develop/reference/protocol-spec/ (arrays of bulk strings; read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Sequence

from pulse_gateway.limits.asks import HELD, Ask
from pulse_gateway.transport.redis_calls import Script

__all__ = ["ID_CHARACTERS", "Packed"]

ID_CHARACTERS = 36  # of a permit's id, as `ids.new_entry_id` makes them
_WORDS_OF_ACQUIRE, _WORDS_OF_SETTLE = 5, 3  # beside those of each charge: four, five


class Packed:
    """`keys` are those of the scripts, `asks` have the amounts that are the same in each call, and at the places `differing` any.
    `begin` are the words after a permit's id.

    All of it has to be ASCII, so that there are as many bytes as characters.
    """

    __slots__ = ("_acquire", "_amounts", "_held", "_settle", "_settled", "begin")

    def __init__(
        self,
        scripts: tuple[Script, Script],
        keys: Sequence[str],
        begin: tuple[int, int, int],
        asks: Sequence[Ask],
        differing: Sequence[int],
    ) -> None:
        acquire, settle = scripts
        self.begin = begin
        self._held = [(at, f"{ask.form}|{ask.key}|") for at, ask in enumerate(asks) if ask.form in HELD]
        # Parts that are joined; those that are empty here are written for each call.
        self._acquire = [
            _head(acquire, keys, _WORDS_OF_ACQUIRE + 4 * len(asks)),
            "",
            f"\r\n{''.join(map(_bulk, begin))}",
            "",
        ]
        self._amounts: list[tuple[int, int]] = []  # the place of a part, and of its ask
        self._settle = [_head(settle, keys, _WORDS_OF_SETTLE + 5 * len(asks)), "", f"\r\n{_bulk('settle')}", ""]
        self._settled: list[tuple[int, int, str]] = []  # the same, and the part of a call that used nothing of it
        for at, ask in enumerate(asks):
            form, rest = _bulk(ask.form), f"{_bulk(ask.cap)}{_bulk(ask.window_us)}"
            if at in differing:
                self._amounts.append((len(self._acquire) + 1, at))
                self._acquire += (form, "", rest)
            else:
                self._acquire.append(f"{form}{_bulk(ask.amount)}{rest}")
            used_nothing = "" if at in differing else f"{_bulk(ask.amount)}{_bulk(0)}"
            self._settled.append((len(self._settle) + 1, at, used_nothing))
            self._settle += (form, "", rest)

    def holds(self, asks: Sequence[Ask]) -> str:
        """As `asks.holds_of` writes it."""
        holds = ""
        for at, begin in self._held:
            if amount := asks[at].amount:
                holds = f"{holds};{begin}{amount}" if holds else f"{begin}{amount}"
        return holds

    def acquire(self, permit_id: str, holds: str, asks: Sequence[Ask]) -> bytes:
        parts = self._acquire.copy()
        parts[1] = permit_id
        parts[3] = f"${len(holds)}\r\n{holds}\r\n"
        for place, at in self._amounts:
            amount = f"{asks[at].amount}"
            parts[place] = f"${len(amount)}\r\n{amount}\r\n"
        return "".join(parts).encode("ascii")

    def settle(self, permit_id: str, granted_us: int, asks: Sequence[Ask], actual: Sequence[int]) -> bytes:
        parts = self._settle.copy()
        parts[1] = permit_id
        moment = f"{granted_us}"
        parts[3] = f"${len(moment)}\r\n{moment}\r\n"
        for place, at, used_nothing in self._settled:
            if used_nothing and not actual[at]:
                parts[place] = used_nothing
            else:
                amount, used = f"{asks[at].amount}", f"{actual[at]}"
                parts[place] = f"${len(amount)}\r\n{amount}\r\n${len(used)}\r\n{used}\r\n"
        return "".join(parts).encode("ascii")


def _head(script: Script, keys: Sequence[str], words: int) -> str:
    """Up to the length of a permit's id."""
    words_before = ["EVALSHA", script.sha1, f"{len(keys)}", *keys]
    first = "".join(map(_bulk, words_before))
    return f"*{3 + len(keys) + words}\r\n{first}${ID_CHARACTERS}\r\n"


def _bulk(word: str | int) -> str:
    text = f"{word}"
    return f"${len(text)}\r\n{text}\r\n"
