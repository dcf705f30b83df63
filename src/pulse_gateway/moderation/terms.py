"""Listed terms found in a text, in time linear in the text and whatever the length of the list."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate, combinations
from typing import Any

import ahocorasick
import msgspec

from pulse_gateway.errors import ConfigError
from pulse_gateway.moderation.arabizi import arabizi_candidates, arabizi_words
from pulse_gateway.moderation.boundaries import ENCLITICS, whole_word
from pulse_gateway.moderation.normalise import Normalised, normalise, spaced_runs
from pulse_gateway.moderation.term_file import Severity, Term

__all__ = ["Match", "TermList"]

_RANKS: dict[Severity, int] = {"low": 0, "medium": 1, "high": 2}
_EXEMPT_RANK = 3
_SHORTEST_TERM = 2
_SHORTEST_SPACED = 3
_SURE_INSIDE_SPACED = 6  # letters; so long a term is no accident where the borders of words are lost
_SHORTEST_ARABIZI = 3
_MOST_DOUBLED = 4


class Match(msgspec.Struct, frozen=True):
    """A term in the text as it was written: `text[start:end]`, with the clitics and marks on it."""

    category: str
    severity: Severity
    start: int
    end: int


class _Entry(msgspec.Struct, frozen=True):
    """What a key of the automaton stands for. `doubled`: where the key is shorter than the term by a squeezed repeat."""

    rank: int
    term: Term | None  # None: an exempt phrase
    length: int
    doubled: tuple[int, ...] = ()


class _Hit(msgspec.Struct, frozen=True):
    term: Term
    start: int
    end: int


class TermList:
    """Finds listed terms as whole words: with clitics, marks, joiners, spaced-out letters, and in Arabizi.

    `exempt` phrases excuse the terms they hold or overlap; one that equals a term takes that term off the list.
    Raises: ConfigError for a term too short to be told from ordinary text.
    """

    def __init__(self, terms: Iterable[Term], exempt: Iterable[str] = ()) -> None:
        spellings: dict[str, list[_Entry]] = {}
        closed_up: dict[str, list[_Entry]] = {}
        arabizi: dict[str, Term] = {}
        excused = {_plain(phrase) for phrase in exempt}
        for plain in excused:
            spellings[plain] = [_Entry(_EXEMPT_RANK, None, len(plain))]
        for term in terms:
            plain = _plain(term.text)
            if plain in excused:
                continue
            rank = _RANKS[term.severity]
            for spelling, doubled in _squeezed_spellings(plain):
                spellings.setdefault(spelling, []).append(_Entry(rank, term, len(spelling), doubled))
            letters = "".join(filter(str.isalpha, plain))
            if len(letters) >= _SHORTEST_SPACED:
                closed_up.setdefault(letters, []).append(_Entry(rank, term, len(letters)))
            if term.severity == "high" and len(plain) >= _SHORTEST_ARABIZI and plain.isalpha() and not plain.isascii():
                arabizi.update({plain + enclitic: term for enclitic in ENCLITICS})
        self._spellings = _automaton(spellings)
        self._closed_up = _automaton(closed_up)
        self._arabizi = ahocorasick.Automaton()  # as a trie: which beginnings lead to a term
        for spelling, term in arabizi.items():
            self._arabizi.add_word(spelling, term)

    def find(self, text: str, at_least: Severity = "low") -> list[Match]:
        """Every term of this severity or more, in the order of the text."""
        normalised = normalise(text)
        matches = {
            Match(hit.term.category, hit.term.severity, *normalised.original_span(hit.start, hit.end))
            for hit in self._hits(normalised, _RANKS[at_least])
        }
        return sorted(matches, key=lambda match: (match.start, match.end, match.category))

    def gravest(self, text: str, at_least: Severity = "low") -> Term | None:
        """The first of the most severe terms in the text; cheaper than `find`, which looks for the places too."""
        hits = self._hits(normalise(text), _RANKS[at_least])
        if not hits:
            return None
        return max(hits, key=lambda hit: (_RANKS[hit.term.severity], -hit.start)).term

    def _hits(self, normalised: Normalised, floor: int) -> list[_Hit]:
        hits = _outside(self._written(normalised, floor))
        hits += self._spaced(normalised.text, floor)
        hits += self._in_arabizi(normalised.text)
        return hits

    def _written(self, normalised: Normalised, floor: int) -> Iterator[_Hit | tuple[int, int]]:
        """Terms, and the spans of exempt phrases."""
        text = normalised.text
        for last, entries in self._spellings.iter(text):
            for entry in entries:
                start = last + 1 - entry.length
                if entry.rank < floor or (span := whole_word(text, start, last + 1)) is None:
                    continue
                if entry.term is None:
                    yield span
                elif all(start + place in normalised.squeezed for place in entry.doubled):
                    yield _Hit(entry.term, *span)

    def _spaced(self, text: str, floor: int) -> Iterator[_Hit]:
        for run in spaced_runs(text):
            for last, entries in self._closed_up.iter(run.text):
                for entry in entries:
                    start = last + 1 - entry.length
                    sure = entry.length >= _SURE_INSIDE_SPACED or whole_word(run.text, start, last + 1) is not None
                    if sure and entry.term is not None and entry.rank >= floor:
                        yield _Hit(entry.term, run.positions[start], run.positions[last] + 1)

    def _in_arabizi(self, text: str) -> Iterator[_Hit]:
        """High severity only: one Latin spelling has many readings."""
        for word in arabizi_words(text):
            for candidate in arabizi_candidates(word.group(), self._arabizi.match):
                if (term := self._arabizi.get(candidate, None)) is not None:
                    yield _Hit(term, word.start(), word.end())


def _plain(text: str) -> str:
    plain = normalise(text).text
    if len(plain) < _SHORTEST_TERM:
        raise ConfigError(
            f"the listed term {text!r} is matched as {plain!r}, which is too short to be told from other text"
        )
    return plain


def _squeezed_spellings(plain: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The term, and what normalisation leaves of it where a doubled letter was drawn out (`killll` becomes `kil`)."""
    doubled = [place for place in range(len(plain) - 1) if plain[place] == plain[place + 1]][:_MOST_DOUBLED]
    for count in range(len(doubled) + 1):
        for places in combinations(doubled, count):
            spelling = "".join([letter for place, letter in enumerate(plain) if place - 1 not in places])
            if len(spelling) >= _SHORTEST_TERM:
                yield spelling, tuple(place - earlier for earlier, place in enumerate(places))


def _outside(found: Iterable[_Hit | tuple[int, int]]) -> list[_Hit]:
    """The hits that no exempt span excuses: it is the same span, or overlaps and reaches further than the hit on a side."""
    hits: list[_Hit] = []
    spans: list[tuple[int, int]] = []
    for one in found:
        if isinstance(one, _Hit):
            hits.append(one)
        else:
            spans.append(one)
    if not spans or not hits:
        return hits
    spans.sort()
    starts = [start for start, _ in spans]
    ends = [0, *accumulate((end for _, end in spans), max)]  # ends[i]: how far the first i spans reach
    same = set(spans)

    def excused(hit: _Hit) -> bool:
        return (
            ends[bisect_left(starts, hit.start)] > hit.start
            or ends[bisect_left(starts, hit.end)] > hit.end
            or (hit.start, hit.end) in same
        )

    return [hit for hit in hits if not excused(hit)]


def _automaton(spellings: dict[str, list[_Entry]]) -> Any:
    automaton = ahocorasick.Automaton()
    automaton.add_word("\0", [])  # an automaton of nothing cannot be searched
    for spelling, entries in spellings.items():
        automaton.add_word(spelling, entries)
    automaton.make_automaton()
    return automaton
