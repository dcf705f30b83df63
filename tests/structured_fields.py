"""Lists of HTTP structured fields, read as strictly as RFC 9651 §4.2 says: what is not allowed there is an error here.

Bare items are strings, tokens, integers, decimals and booleans; inner lists, byte sequences and dates do not occur in what is tested.
"""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["Item", "parse_list"]

BareItem = str | int | Decimal | bool
Item = tuple[BareItem, dict[str, BareItem]]

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*")
_NUMBER = re.compile(r"-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])")
_STRING = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*")


def parse_list(text: str) -> list[Item]:
    """Raises: ValueError, with the place that is wrong."""
    reader = _Reader(text.strip(" "))
    items = []
    while not reader.at_end:
        items.append((reader.bare_item(), reader.parameters()))
        reader.skip(" \t")
        if reader.at_end:
            break
        reader.expect(",")
        reader.skip(" \t")
        if reader.at_end:
            raise reader.error("a list that ends in a comma")
    return items


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._text)

    def error(self, what: str) -> ValueError:
        return ValueError(f"{what} at {self._at} of {self._text!r}")

    def skip(self, characters: str) -> None:
        while not self.at_end and self._text[self._at] in characters:
            self._at += 1

    def expect(self, character: str) -> None:
        if self._text[self._at : self._at + 1] != character:
            raise self.error(f"no {character!r}")
        self._at += 1

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def bare_item(self) -> BareItem:
        first = self._text[self._at : self._at + 1]
        if first == '"' and (string := self._match(_STRING)):
            return re.sub(r"\\(.)", r"\1", string[1])
        if (first.isdigit() or first == "-") and (number := self._match(_NUMBER)):
            return Decimal(number[0]) if "." in number[0] else int(number[0])
        if first == "?" and self._text[self._at + 1 : self._at + 2] in {"0", "1"}:
            self._at += 2
            return self._text[self._at - 1] == "1"
        if token := self._match(_TOKEN):
            return token[0]
        raise self.error("no item")

    def parameters(self) -> dict[str, BareItem]:
        found: dict[str, BareItem] = {}
        while not self.at_end and self._text[self._at] == ";":
            self._at += 1
            self.skip(" ")
            key = self._match(_KEY)
            if key is None:
                raise self.error("no key")
            if self._text[self._at : self._at + 1] == "=":
                self._at += 1
                found[key[0]] = self.bare_item()
            else:
                found[key[0]] = True
        return found
