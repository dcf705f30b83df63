"""The built-in list: in order, and measured."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest

from pulse_gateway.moderation.normalise import normalise
from pulse_gateway.moderation.term_file import Severity, read_terms
from pulse_gateway.moderation.terms import TermList

LISTED = read_terms()
TERMS = TermList(LISTED.terms, LISTED.exempt)
SENTENCES: dict[str, dict[str, list[str]]] = tomllib.loads(
    (Path(__file__).parent / "moderation_sentences.toml").read_text(encoding="utf-8")
)


def test_every_term_is_found_in_itself_and_listed_once() -> None:
    for term in LISTED.terms:
        spans = [(m.category, m.severity, m.start, m.end) for m in TERMS.find(term.text)]
        assert (term.category, term.severity, 0, len(term.text)) in spans, term
    assert [
        text for text, count in Counter(normalise(term.text).text for term in LISTED.terms).items() if count > 1
    ] == []


def test_every_exemption_is_needed_and_enough() -> None:
    strict = TermList(LISTED.terms)
    for phrase in LISTED.exempt:
        assert strict.find(phrase), f"{phrase!r} holds no listed term"
        assert TERMS.find(phrase) == [], phrase


def test_categories_are_the_documented_ones_and_hold_both_scripts() -> None:
    assert set(LISTED.categories) == {
        "violence", "self-harm", "hate", "harassment", "sexual", "sexual/minors", "illicit",
    }  # fmt: skip
    for category, levels in LISTED.categories.items():
        assert any(term.isascii() for term in levels.high), category
        assert any("\u0621" <= term[0] <= "\u064a" for term in levels.high), category


@pytest.mark.parametrize("language", ["english", "arabic"])
def test_ordinary_sentences_are_never_refused_at_the_default_severity(language: str) -> None:
    assert [(text, found) for text in SENTENCES[language]["innocent"] if (found := TERMS.gravest(text, "high"))] == []


@pytest.mark.parametrize(
    ("language", "severity", "precision", "recall"),
    [
        ("english", "high", 0.86, 0.86),
        ("english", "medium", 0.83, 0.86),
        ("arabic", "high", 0.90, 0.87),
        ("arabic", "medium", 0.83, 0.87),
    ],
)
def test_precision_and_recall_are_what_the_guide_says(
    language: str, severity: Severity, precision: float, recall: float
) -> None:
    """Measured on sentences that include quotations and paraphrases, which no list of terms can judge."""
    good = SENTENCES[language]["innocent"] + SENTENCES[language]["mentioned"]
    bad = SENTENCES[language]["bad"]
    refused_in_error = sum(TERMS.gravest(text, severity) is not None for text in good)
    refused_rightly = sum(TERMS.gravest(text, severity) is not None for text in bad)
    measured = (refused_rightly / (refused_rightly + refused_in_error), refused_rightly / len(bad))
    assert (round(measured[0], 2), round(measured[1], 2)) == (precision, recall)
