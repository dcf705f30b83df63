"""Whether a hit is a word of its own, in Arabic with what that language writes onto its words."""

from __future__ import annotations

from itertools import product

__all__ = ["ENCLITICS", "whole_word"]

_PROCLITICS = frozenset(map("".join, product(("", "و", "ف"), ("", "ب", "ك", "ل"), ("", "ال", "لل"))))
ENCLITICS = frozenset({"", "ات", "ين", "ون", "ها", "هم", "هن", "كم", "نا", "ني", "ه", "ك", "ي"})
_LONGEST_PROCLITIC = max(map(len, _PROCLITICS))
_LONGEST_ENCLITIC = max(map(len, ENCLITICS))


def whole_word(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The word or phrase that `text[start:end]` is, with the clitics around it; None if it is only a part of a word.

    `text` is normalised. An Arabic edge may carry `وبال…` in front and `…هم` behind; a Latin edge carries nothing, but an
    Arabic article may stand before it. An underscore is no letter: Markdown writes emphasis with it.
    """
    left, right = start, end
    if _is_arabic(text[start]):
        while left and start - left <= _LONGEST_PROCLITIC and _is_arabic(text[left - 1]):
            left -= 1
        if text[left:start] not in _PROCLITICS:
            return None
    elif start and _is_latin(text[start - 1]):
        return None
    if _is_arabic(text[end - 1]):
        length = len(text)
        while right < length and right - end <= _LONGEST_ENCLITIC and _is_arabic(text[right]):
            right += 1
        if text[end:right] not in ENCLITICS:
            return None
    elif end < len(text) and _is_latin(text[end]):
        return None
    return left, right


def _is_arabic(character: str) -> bool:
    return "\u0621" <= character <= "\u064a"


def _is_latin(character: str) -> bool:
    """Every letter and digit that is not Arabic: all that could continue a word in another script."""
    return character.isalnum() and not _is_arabic(character)
