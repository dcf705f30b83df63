"""How many tokens a text is, while nobody has counted them. Pure.

**The rule: four characters a token, and a fifth of a token more for each byte that a character has beyond its first.** So a token
is four letters of English, a little over two of Arabic, Hebrew or Cyrillic, one and a half of Chinese or Japanese, about one
emoji: rather more than today's vocabularies make of them, for every script alike, and cheap enough for every request. It is for
what is only held, and replaced by the vendor's own count as soon as there is one.

**Answers that were cut before their usage frame** are charged by estimate for good, so where their text is at hand it is counted
with more care: split as byte-pair vocabularies split it, and each piece weighed by its script.
Source: counts of o200k_base (openai.com, 2024) on English, code, JSON, Markdown, Chinese, Japanese, Korean, French and Russian
text, from which it stays within a tenth, and on Arabic, Hindi and German, within a quarter; read 2026-11-24.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache, lru_cache

from pulse_gateway.wire.prompt_texts import Text, size_of

__all__ = ["OutputEstimate", "estimate_output_tokens", "estimate_prompt_tokens"]

_LONGEST_WORD = 256  # characters
_OFTEN_SEEN = 24  # characters of a piece that may well come again
# Of Arabic, where they are written: vocabularies know the words without them, and take a token for each.
_VOWEL_MARKS = re.compile("[\u064b-\u0652\u0670]")
_TOKENS_PER_ATTACHMENT = 1_600  # what an image of about one megapixel costs at the large vendors


def estimate_prompt_tokens(texts: Sequence[Text], attachments: int = 0) -> int:
    """Tokens of a prompt of `texts` and `attachments` images, audio clips or documents."""
    characters, size_bytes = size_of(texts)
    return -(-(characters + 4 * size_bytes) // 20) + _TOKENS_PER_ATTACHMENT * attachments


def estimate_output_tokens(text: str) -> int:
    """Tokens of an answer that was cut before its usage frame. To be flagged as an estimate wherever it is recorded."""
    return math.ceil(_tokens_of(text))


class OutputEstimate:
    """The same of an answer that grows: each part of it is looked at once, and only the word that may go on is kept."""

    __slots__ = ("_open", "_tokens")

    def __init__(self) -> None:
        self._tokens = 0.0
        self._open = ""

    @property
    def tokens(self) -> float:
        """Of all that was added so far."""
        return self._tokens + _tokens_of(self._open)

    def add(self, text: str) -> None:
        text = self._open + text
        end = len(text)
        while (end := text.rfind(" ", 0, end)) > 0 and text[end - 1].isspace():
            pass  # a run of spaces counts as one
        if end <= 0 and len(text) > _LONGEST_WORD:
            end = len(text)  # a script without spaces: what is cut through is at most one token more
        end = max(0, end)
        self._tokens += _tokens_of(text[:end])
        self._open = text[end:]


_PIECES = (
    r"[A-Za-z\u00c0-\u024f]+"  # Latin words
    r"|[\u0370-\u1fff]+"  # words of the other alphabets: Greek, Cyrillic, Hebrew, Arabic, Indic …
    r"|[\u2e80-\U0010ffff]"  # Chinese, Japanese, Korean, emoji: one by one
    r"|\d{1,3}|_|[^\w\s]+"  # digits in threes, and runs of punctuation
    r"|\s*\n\s*|\s{2,}"  # line breaks and indents; a single space belongs to the word after it
)


@cache
def _pieces() -> re.Pattern[str]:
    """Compiled for the first answer that was cut: its ranges take longer than all other expressions that importing the package needs."""
    return re.compile(_PIECES)


def _tokens_of(text: str) -> float:
    pieces = _pieces().findall(text)
    return sum(_known_weight(piece) if len(piece) <= _OFTEN_SEEN else _weight(piece) for piece in pieces)


def _weight(piece: str) -> float:
    first, length = piece[0], len(piece)
    if first.isspace():
        return 0.6
    if first.isdigit() or first == "_":
        return 1
    if first >= "\u2e80":
        return 0.72
    if not first.isalpha() and first < "\u0370":
        return max(1, length / 2.5)
    if first <= "\u024f":
        return 1 if length <= 8 else length / 5.5
    marks = len(_VOWEL_MARKS.findall(piece))
    return max(1, (length - marks) / (5.2 if first < "\u0590" else 2.9)) + marks  # Greek and Cyrillic are well covered


_known_weight = lru_cache(maxsize=8_192)(_weight)  # a text repeats its words; three times as fast
