"""Listed terms as whole words, in Arabic and Latin script."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import ConfigError
from pulse_gateway.moderation.term_file import Term
from pulse_gateway.moderation.terms import Match, TermList

DOG = TermList([Term("كلب", "insult", "low")])
DONKEY = TermList([Term("حمار", "insult", "high")])


def found(terms: TermList, text: str) -> list[str]:
    return [text[match.start : match.end] for match in terms.find(text)]


@pytest.mark.parametrize(
    "text",
    [
        "كلب",
        "وبالكلبِ",
        "كلبهم",
        "ﻛﻠﺐ",
        "ك\u200dل\u200cب",
        "الكلب",
        "للكلب",
        "فكلبين",
        "كلبة",
        "كـــلـــب",
        "گلب",
        "ك ل ب",
        "ك-ل-ب",
    ],
)
def test_an_arabic_term_is_found_with_clitics_marks_joiners_and_spaces(text: str) -> None:
    assert found(DOG, text) == [text]
    assert found(DOG, f"قال {text}، ثم سكت") == [text]


@pytest.mark.parametrize("text", ["مكلبش", "الكلاب", "كلبشة", "تكلب", "كلبا", "كلبتك", "كل باب", "ك ل"])
def test_a_longer_word_is_not_the_term(text: str) -> None:
    assert found(DOG, text) == []


def test_a_verb_from_the_same_root_is_not_the_noun() -> None:
    assert found(DONKEY, "استحمارك") == []


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("ass", ["ass"]),
        ("An ASS!", ["ASS"]),
        ("_ass_", ["ass"]),
        ("الass", ["ass"]),
        ("class assess assign", []),
        ("ass1", []),
        ("ａｓｓ", ["ａｓｓ"]),
        ("assé", []),
    ],
)
def test_a_latin_term_is_bounded_by_what_is_no_letter_or_digit(text: str, matches: list[str]) -> None:
    assert found(TermList([Term("ass")]), text) == matches


def test_a_phrase_matches_across_line_breaks_and_drawn_out_blanks() -> None:
    terms = TermList([Term("kill yourself"), Term("اقتل نفسك")])
    assert found(terms, "kill \n\t yourself") == ["kill \n\t yourself"]
    assert found(terms, "واقْتُلْ   نفسك") == ["واقْتُلْ   نفسك"]


def test_a_doubled_letter_drawn_out_is_still_the_term_and_single_is_not() -> None:
    terms = TermList([Term("nigger")])
    assert found(terms, "niggggger") == ["niggggger"]
    assert found(terms, "Niger") == []
    assert found(terms, "Niger hmmmm niger") == []


def test_a_phrase_spelled_out_is_found_though_its_words_run_together() -> None:
    terms = TermList([Term("kill yourself"), Term("ass")])
    assert found(terms, "go k i l l y o u r s e l f now") == ["k i l l y o u r s e l f"]
    assert found(terms, "a s s i g n") == []


def test_arabizi_is_compared_with_high_severity_only() -> None:
    terms = TermList([Term("حمار", "insult", "high"), Term("حقير", "insult", "medium")])
    assert found(terms, "ya 7mar") == ["7mar"]
    assert found(terms, "wel7marhom 7marash") == ["wel7marhom"]
    assert found(terms, "ya 7a8eer") == []
    assert found(DONKEY, "7mar123 x7mar") == []


def test_exempt_phrases_excuse_what_they_hold_or_overlap() -> None:
    terms = TermList(
        [Term("كلب"), Term("يا عبد"), Term("how to make a bomb"), Term("bomb them")],
        exempt=["نهر الكلب", "عبد الله", "bomb shelter"],
    )
    assert found(terms, "زرت نهر الكلب") == []
    assert found(terms, "يا عبد الله") == []
    assert found(terms, "how to make a bomb shelter") == []
    assert found(terms, "زرت نهر الكلب ورأيت كلب") == ["كلب"]
    assert found(terms, "a bomb shelter, or bomb them") == ["bomb them"]


def test_an_exempt_phrase_inside_a_term_does_not_excuse_it() -> None:
    terms = TermList([Term("death to all cats")], exempt=["all cats"])
    assert found(terms, "death to all cats") == ["death to all cats"]


def test_exempting_a_term_takes_it_off_the_list() -> None:
    assert found(TermList([Term("حمار")], exempt=["حِمار"]), "حمارهم وحمار ح م ا ر 7mar") == []


def test_matches_carry_category_severity_and_place() -> None:
    terms = TermList([Term("كلب", "insult", "low"), Term("bomb", "violence", "medium")])
    assert terms.find("a bomb, وكَلب") == [Match("violence", "medium", 2, 6), Match("insult", "low", 8, 13)]
    assert terms.find("a bomb, وكَلب", at_least="medium") == [Match("violence", "medium", 2, 6)]
    assert terms.find("a bomb, وكَلب", at_least="high") == []


def test_the_gravest_term_wins_whatever_the_order() -> None:
    terms = TermList([Term("mild", "a", "low"), Term("grave", "b", "high"), Term("middling", "c", "medium")])
    assert terms.gravest("mild middling grave mild") == Term("grave", "b", "high")
    assert terms.gravest("mild middling") == Term("middling", "c", "medium")
    assert terms.gravest("mild", at_least="medium") is None
    assert terms.gravest("") is None


def test_a_word_may_be_listed_twice() -> None:
    terms = TermList([Term("كلب", "insult", "low"), Term("كَلْب", "animal", "high")])
    assert {match.category for match in terms.find("كلب")} == {"insult", "animal"}


@pytest.mark.parametrize("text", ["", "x", "kkk", "ـــ", "ءءءء"])
def test_a_term_too_short_to_mean_anything_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="too short"):
        TermList([Term(text)])


def test_broken_unicode_is_text_like_any_other() -> None:
    assert found(DOG, "\ud800 كلب \udfff") == ["كلب"]


def test_an_empty_list_finds_nothing() -> None:
    assert TermList([]).find("anything, k i l l, 7mar") == []
