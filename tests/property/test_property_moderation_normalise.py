"""Normalisation and the way back agree, whatever the text."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.moderation.normalise import normalise, spaced_runs
from pulse_gateway.moderation.term_file import Term
from pulse_gateway.moderation.terms import TermList

SCRIPTS = st.text(
    st.one_of(
        st.sampled_from("ab 1.A\n\tßİǅé'’"),
        st.characters(min_codepoint=0x0600, max_codepoint=0x06FF),
        st.characters(min_codepoint=0xFB50, max_codepoint=0xFEFF),
        st.characters(min_codepoint=0x0300, max_codepoint=0x036F),
        st.characters(min_codepoint=0x2000, max_codepoint=0x206F),
        st.sampled_from("\u1100\u1161\u11a8가\u09c7\u09be\uff76\uff9e\u3099각\u0344\u1e9b\u0323"),
    ),
    max_size=60,
)


@settings(max_examples=1000)
@given(st.one_of(SCRIPTS, st.text(max_size=60)))
def test_the_way_back_covers_every_character_of_the_normalised_text(text: str) -> None:
    normalised = normalise(text)
    spans = [normalised.original_span(place, place + 1) for place in range(len(normalised.text))]
    for (start, end), character in zip(spans, normalised.text, strict=True):
        assert 0 <= start < end <= len(text)
        assert character in normalise(text[start:end]).text or character == " "
    assert spans == sorted(spans)


@settings(max_examples=300)
@given(SCRIPTS)
def test_what_is_normalised_holds_nothing_that_normalisation_removes(text: str) -> None:
    plain = normalise(text).text
    assert not set(plain) & set("أإآٱىئؤةگکیڤپچـ\u200b\u200d\u202e\ufeff\u064e\u0670٣۳\n\t")
    assert plain == plain.strip() and "  " not in plain
    assert all(plain[place : place + 3] != plain[place] * 3 for place in range(len(plain)))


@settings(max_examples=300)
@given(st.text(st.sampled_from("كلبحمادسةأإى "), max_size=30), st.data())
def test_marks_joiners_and_decomposition_change_nothing(word: str, data: st.DataObject) -> None:
    noise = st.sampled_from(["", "\u064e", "\u0651\u064f", "\u200c", "\u0640", "\u2067"])
    noisy = "".join(letter + data.draw(noise) for letter in word)
    assert normalise(noisy).text == normalise(word).text
    assert normalise(unicodedata.normalize("NFD", word)).text == normalise(word).text


@settings(max_examples=300)
@given(SCRIPTS, SCRIPTS)
def test_a_listed_term_between_blanks_is_found_where_it_stands(before: str, after: str) -> None:
    terms = TermList([Term("forbidden fruit", "fruit")])
    text = f"{before} !! Forbidden\u00a0FRUIT !! {after}"
    place = len(f"{before} !! ")
    assert (place, place + 15) in [(match.start, match.end) for match in terms.find(text)]


@settings(max_examples=300)
@given(st.text("abك.- 1", max_size=60))
def test_spaced_runs_are_letters_of_the_text_in_order(text: str) -> None:
    plain = normalise(text).text
    for run in spaced_runs(plain):
        assert len(run.text) == len(run.positions) >= 3
        assert run.positions == sorted(set(run.positions))
        assert "".join(plain[place] for place in run.positions) == run.text
