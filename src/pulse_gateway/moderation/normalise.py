"""Text folded so that one word has one spelling, for matching only: models and stores get what the user wrote."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

__all__ = ["Normalised", "Run", "normalise", "spaced_runs"]

# Marks that presentation forms carry on a blank or a tatweel. NFKC would leave the blank and split the word around it.
_MARK_FORMS = "\ufc5e-\ufc63\ufcf2-\ufcf4\ufe70-\ufe72\ufe74\ufe76-\ufe7f"
_MARK_FORM = re.compile(f"[{_MARK_FORMS}]")

# Composing sorts the marks on a letter in quadratic time: 60,000 of them take seconds. No writing has more than a few; the
# limit is the one of Unicode's Stream-Safe Text Format. The expression finds all runs that may hold too many marks.
# Source: https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format (read 2026-11-24)
_MOST_MARKS = 30
_MANY_MARKS = re.compile(rf"[\W{_MARK_FORMS}\uff9e\uff9f]{{{_MOST_MARKS + 1},}}")

_REMOVED = re.compile(
    "["
    "\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u061c"  # zero width, directions
    "\u00ad\u034f\u180e\ufe00-\ufe0f\U000e0000-\U000e007f"  # soft hyphen, joiner, variation selectors, tags: as invisible
    "\u0640"  # tatweel
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"  # vowel and recitation marks
    "]+"
)

_FOLDED = [
    *zip("أإآٱىئیؤةگکڤپچ", "ااااييي" + "وهكك" + "فبج", strict=True),
    *((chr(0x0660 + digit), str(digit)) for digit in range(10)),
    *((chr(0x06F0 + digit), str(digit)) for digit in range(10)),
    *(
        ("\u2018", "'"),
        ("\u2019", "'"),
        ("\u02bc", "'"),
    ),  # typographic apostrophes: keyboards choose them, writers do not
]

_REPEATED = re.compile(r"(.)\1\1+")

# Two letters standing alone next to each other. Literal first character: the regular expression skips to the blanks.
_MAY_BE_SPACED = re.compile(r" [^\W\d_][\W_]{1,3}[^\W\d_](?![^\W_])")
_SPACED = re.compile(r"(?<![^\W_])[^\W\d_](?:[\W_]{1,3}[^\W\d_](?![^\W_])){2,}")

_FIRST_COMPOSING_STARTER = "\u0900"  # below it only combining marks join the character before them


class Normalised:
    """`text` is what to match in; `original_span` leads back to what was written.

    `squeezed` holds the positions in `text` that stand for three or more equal characters.
    """

    __slots__ = ("_offsets", "original", "squeezed", "text")

    def __init__(self, original: str, text: str, squeezed: frozenset[int]) -> None:
        self.original = original
        self.text = text
        self.squeezed = squeezed
        self._offsets: list[int] | None = None

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Where `text[start:end]` stands in the original, marks and repeats that belong to it included.

        The first call walks the whole original: ask only about what was found.
        """
        if self.original.isascii() and len(self.original) == len(self.text):
            return start, end
        if self._offsets is None:
            self._offsets = _offsets(self.original)
        offsets = self._offsets
        stop = end
        while offsets[stop] == offsets[end - 1]:  # one original character may have become several
            stop += 1
        return offsets[start], offsets[stop]


class Run:
    """Letters that stand alone, one after another, closed up: `text[i]` is at `positions[i]` of the normalised text."""

    __slots__ = ("positions", "text")

    def __init__(self, text: str, positions: list[int]) -> None:
        self.text = text
        self.positions = positions


def normalise(text: str) -> Normalised:
    """The text with one form per letter, digits in ASCII, no marks or invisible characters, repeats and blanks squeezed.

    In this order: NFKC; invisible characters, tatweel and marks removed; variants of a letter folded to one; case folded;
    every run of white space made one blank; three or more equal characters made one.
    """
    # NFKC first: a decomposed hamza has to be composed before its mark would be removed.
    folded = text.lower() if text.isascii() else _fold(_compose(_without_needless_marks(text)))
    folded = " ".join(folded.split())
    first = _REPEATED.search(folded)
    if first is None:
        return Normalised(text, folded, frozenset())
    pieces: list[str] = []
    squeezed: list[int] = []
    done = length = 0
    for run in _REPEATED.finditer(folded, first.start()):
        piece = folded[done : run.start() + 1]
        pieces.append(piece)
        length += len(piece)
        squeezed.append(length - 1)
        done = run.end()
    pieces.append(folded[done:])
    return Normalised(text, "".join(pieces), frozenset(squeezed))


def spaced_runs(text: str) -> list[Run]:
    """Words written letter by letter (`ك ل ب`, `k.i.l.l`) in a normalised text: three or more letters, each alone."""
    if _MAY_BE_SPACED.search(f" {text}") is None:
        return []
    runs = []
    for found in _SPACED.finditer(text):
        positions = [place for place in range(found.start(), found.end()) if text[place].isalpha()]
        runs.append(Run("".join([text[place] for place in positions]), positions))
    return runs


def _without_needless_marks(text: str) -> str:
    needless = _needless_marks(text)
    return "".join([text[place] for place in range(len(text)) if place not in needless]) if needless else text


def _needless_marks(text: str) -> set[int]:
    """Places of marks to drop before composing: those in a form of their own, and those beyond any sane number."""
    needless = {form.start() for form in _MARK_FORM.finditer(text)}
    for run in _MANY_MARKS.finditer(text):
        needless.update(place for place in range(run.start() + _MOST_MARKS, run.end()) if _is_mark(text[place]))
    return needless


def _is_mark(character: str) -> bool:
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0


def _compose(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _fold(composed: str) -> str:
    folded = _REMOVED.sub("", composed)
    for variant, plain in _FOLDED:  # thirty scans for one character each are faster than one `str.translate`
        folded = folded.replace(variant, plain)
    return folded.casefold()


def _offsets(original: str) -> list[int]:
    """For every character of the normalised text where it starts in the original, and the original's length at the end.

    Does by segments what `normalise` does at once.
    """
    folded: dict[str, str] = {}
    characters: list[str] = []
    starts: list[int] = []
    for start, segment in _segments(original):
        plain = folded.get(segment)
        if plain is None:
            plain = folded[segment] = _fold(_compose(segment))
        for character in plain:
            if not character.isspace():
                characters.append(character)
                starts.append(start)
            elif characters and characters[-1] != " ":
                characters.append(" ")
                starts.append(start)
    if characters and characters[-1] == " ":
        characters.pop()
        starts.pop()
    offsets: list[int] = []
    done = 0
    for run in _REPEATED.finditer("".join(characters)):
        offsets += starts[done : run.start() + 1]
        done = run.end()
    return [*offsets, *starts[done:], len(original)]


def _segments(original: str) -> Iterator[tuple[int, str]]:
    """The shortest pieces that can be composed apart from each other, with their starts."""
    needless = _needless_marks(original)
    segment = ""
    start = 0
    for place, character in enumerate(original):
        if place in needless:
            continue
        if segment and _joins(segment, character):
            segment += character
            continue
        if segment:
            yield start, segment
        segment = character
        start = place
    if segment:
        yield start, segment


def _joins(segment: str, character: str) -> bool:
    if character.isascii():
        return False
    if _is_mark(character):
        return True
    return character >= _FIRST_COMPOSING_STARTER and _compose(segment + character) != _compose(segment) + _compose(
        character
    )
