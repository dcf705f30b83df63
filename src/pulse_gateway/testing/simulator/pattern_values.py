"""Strings that match a regular expression, for schemas with `pattern`."""

from __future__ import annotations

import re
import string

from pulse_gateway.testing.simulator.dice import Dice

__all__ = ["UnsupportedPattern", "matching"]

_MORE = 2  # how many times an open-ended repetition goes beyond its least
_MOST_PIECES = 10_000
_CLASSES = {
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": " ",
    "D": string.ascii_letters,
    "W": "-.,",
    "S": string.ascii_letters,
}
_PRINTABLE = [chr(code) for code in range(32, 127)]
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class UnsupportedPattern(ValueError):
    """The pattern uses a construct that is not generated: lookaround, back-references, flags."""


def matching(pattern: str, dice: Dice) -> str:
    """A string in which `pattern` is found.

    Raises: UnsupportedPattern.
    """
    text = _Generator(pattern, dice).alternatives()
    try:
        found = re.search(pattern, text)
    except re.error as error:
        raise UnsupportedPattern(pattern) from error
    if not found:
        raise UnsupportedPattern(pattern)
    return text


class _Generator:
    """Walks the pattern once and writes what it reads."""

    def __init__(self, pattern: str, dice: Dice) -> None:
        self._pattern = pattern
        self._at = 0
        self._dice = dice
        self._pieces = 0

    def alternatives(self) -> str:
        """Everything up to the end or a closing parenthesis; one branch of `|` is kept."""
        branches = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._sequence())
        return self._dice.pick(branches)

    def _sequence(self) -> str:
        out: list[str] = []
        while (character := self._peek()) and character not in "|)":
            start = self._at
            piece = self._atom()
            end = self._at
            least, most = self._repetition()
            times = least + (self._dice.below(most - least + 1) if most > least else 0)
            pieces = [piece] if times else []
            for _ in range(times - 1):  # each repetition draws anew
                after = self._at
                self._at = start
                pieces.append(self._atom())
                self._at = after
            out += pieces
            if end == self._at and end == start:
                raise UnsupportedPattern(self._pattern)
        return "".join(out)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        character = self._peek()
        if not character:
            raise UnsupportedPattern(self._pattern)
        self._at += 1
        return character

    def _atom(self) -> str:
        character = self._take()
        self._pieces += 1
        if self._pieces > _MOST_PIECES:
            raise UnsupportedPattern(self._pattern)
        if character in "^$":
            return ""
        if character == ".":
            return self._dice.pick(string.ascii_lowercase)
        if character == "[":
            return self._dice.pick(self._set())
        if character == "(":
            return self._group()
        if character == "\\":
            if self._peek() in {"b", "B", "A", "Z", "z"}:  # places, not characters
                self._at += 1
                return ""
            return self._dice.pick(self._escape())
        if character in "*+?{":
            raise UnsupportedPattern(self._pattern)
        return character

    def _group(self) -> str:
        if self._peek() == "?":
            named = re.compile(r"\?(?:P?<[A-Za-z_]\w*>|:)").match(self._pattern, self._at)
            if not named:
                raise UnsupportedPattern(self._pattern)
            self._at = named.end()
        inner = self.alternatives()
        if self._take() != ")":
            raise UnsupportedPattern(self._pattern)
        return inner

    def _escape(self) -> str:
        character = self._take()
        if character.isdigit() or character in "pPk":
            raise UnsupportedPattern(self._pattern)
        return _CLASSES.get(character) or _ESCAPES.get(character, character)

    def _set(self) -> list[str]:
        negated = self._peek() == "^"
        self._at += negated
        members: list[str] = []
        first = True
        while first or self._peek() != "]":
            first = False
            character = self._take()
            options = self._escape() if character == "\\" else character
            if (
                len(options) == 1
                and self._peek() == "-"
                and self._pattern[self._at + 1 : self._at + 2] not in {"]", ""}
            ):
                self._at += 1
                last = self._take()
                if last == "\\":
                    last = self._escape()
                members += [chr(code) for code in range(ord(options), ord(last) + 1)]
            else:
                members += options
        self._take()
        if negated:
            members = [character for character in _PRINTABLE if character not in set(members)]
        if not members:
            raise UnsupportedPattern(self._pattern)
        return members

    def _repetition(self) -> tuple[int, int]:
        character = self._peek()
        if character in {"*", "+", "?"}:
            self._at += 1
            least = 1 if character == "+" else 0
            most = 1 if character == "?" else least + _MORE
        elif bounds := re.compile(r"\{(\d*)(,?)(\d*)\}").match(self._pattern, self._at):
            self._at = bounds.end()
            least = int(bounds.group(1) or 0)
            most = int(bounds.group(3)) if bounds.group(3) else least + (_MORE if bounds.group(2) else 0)
        else:
            return 1, 1
        if self._peek() in {"?", "+"}:  # lazy or possessive: the same strings
            self._at += 1
        return least, most
