"""Arabic typed in Latin letters and digits (`7mar`, `3ahra`): what a word may stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

__all__ = ["arabizi_candidates", "arabizi_words"]

# Digits without a reading and longer words are keys, hashes and addresses. The first expression only says whether it is
# worth looking for words: few texts have one of these digits next to a letter.
_DIGIT_AT_LETTER = re.compile(r"[2356789](?:(?<=[a-z'].)|(?=[a-z']))")
_WORD = re.compile(
    r"(?<![a-z0-9'])(?=[a-z']{0,16}+[2356789])(?=[2356789']{0,16}+[a-z])[a-z2356789']{3,16}(?![a-z0-9'])"
)
_PROCLITIC = re.compile(r"[wfbl]?[aei]?l|[wfb]")
_SHADDA = re.compile(r"([b-df-hj-np-tv-z2-9])\1")

# What one or two characters may stand for. Short vowels are not written in Arabic, hence the empty readings.
_READINGS: dict[str, tuple[str, ...]] = {
    "2": ("ء", "ا"), "3": ("ع",), "3'": ("غ",), "5": ("خ",), "6": ("ط",), "7": ("ح",), "7'": ("خ",), "8": ("ق", "غ"),
    "9": ("ص", "ق"), "sh": ("ش",), "th": ("ث",), "kh": ("خ",), "gh": ("غ",), "dh": ("ذ", "ض"), "ch": ("ش",),
    "aa": ("ا",), "ee": ("ي",), "oo": ("و",), "ou": ("و",), "a": ("", "ا"), "e": ("", "ي"), "i": ("", "ي"), "o": ("", "و"),
    "u": ("", "و"), "b": ("ب",), "c": ("ك", "س"), "d": ("د", "ض"), "f": ("ف",), "g": ("ج", "ق", "غ"), "h": ("ه", "ح"),
    "j": ("ج",), "k": ("ك", "ق"), "l": ("ل",), "m": ("م",), "n": ("ن",), "p": ("ب",), "q": ("ق",), "r": ("ر",),
    "s": ("س", "ص"), "t": ("ت", "ط"), "v": ("ف",), "w": ("و",), "x": ("كس",), "y": ("ي",), "z": ("ز", "ذ", "ظ"), "'": ("",),
}  # fmt: skip
_FINAL_READINGS = {"a": ("ه", "ا", ""), "e": ("ه", "ي", "")}


def arabizi_words(text: str) -> Iterator[re.Match[str]]:
    """The words of a normalised text that mix Latin letters with digits that stand for Arabic letters."""
    return _WORD.finditer(text) if _DIGIT_AT_LETTER.search(text) else iter(())


def arabizi_candidates(word: str, viable: Callable[[str], bool], most: int = 64) -> list[str]:
    """The Arabic spellings a Latin word may stand for, normalised, at most `most` of them; with and without an article.

    A beginning that is not `viable` is not pursued, which keeps the work small whatever the word.
    """
    word = _SHADDA.sub(r"\1", word)
    article = _PROCLITIC.match(word)
    stem = article.end() if article else 0
    begun: dict[str, None] = {"": None}  # spellings of word[:place], each once and in order
    ahead: dict[str, None] = {}  # those that took two characters and are at place + 1 already
    for place in range(len(word)):
        if place == stem:
            begun.setdefault("")
        following: dict[str, None] = ahead
        ahead = {}
        if begun:
            one, two = word[place : place + 1], word[place : place + 2]
            _extend(following, begun, _readings(one, place + 1 == len(word)), viable, most)
            if len(two) == 2:
                _extend(ahead, begun, _readings(two, place + 2 == len(word)), viable, most)
        elif not following and place >= stem:
            return []
        begun = following
    return list(begun)


def _readings(letters: str, final: bool) -> tuple[str, ...]:
    return (_FINAL_READINGS.get(letters) if final else None) or _READINGS.get(letters, ())


def _extend(
    into: dict[str, None], begun: dict[str, None], readings: tuple[str, ...], viable: Callable[[str], bool], most: int
) -> None:
    for spelling in begun:
        for reading in readings:
            if len(into) < most and (not reading or viable(spelling + reading)):
                into[spelling + reading] = None
