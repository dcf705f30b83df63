"""Matching normalisation: one spelling per word, and the way back to what was written."""

from __future__ import annotations

import time
import unicodedata

import pytest

from pulse_gateway.moderation.normalise import normalise, spaced_runs


@pytest.mark.parametrize(
    ("written", "matched"),
    [
        ("Hello World", "hello world"),
        ("أحمد إلى آخر ٱلأمر", "احمد الي اخر الامر"),
        ("مسؤول شيئ مدرسة", "مسوول شيي مدرسه"),
        ("گلب کلب ڤيديو پاب چار یوم", "كلب كلب فيديو باب جار يوم"),
        ("كَلْبٌ", "كلب"),
        ("قُرآنٰ", "قران"),
        ("كـــلـــب", "كلب"),
        ("ك\u200dل\u200cب", "كلب"),
        ("\u202bكلب\u202c\u061c\ufeff", "كلب"),
        ("ﻛﻠﺐ", "كلب"),
        ("ﷺ", "صلي الله عليه وسلم"),
        ("٠١٢٣٤٥٦٧٨٩ ۰۱۲۳۴۵۶۷۸۹", "0123456789 0123456789"),
        ("１２ ＡＢ", "12 ab"),
        ("STRASSE straße", "strasse strasse"),
        ("i’m", "i'm"),
        ("ki\u00adll", "kill"),
        ("kiiiiiill", "kill"),
        ("KIiIll", "kill"),
        ("جميييييل", "جميل"),
        ("ههههه", "ه"),
        ("aab", "aab"),
        ("  two\n\n\twords  ", "two words"),
        ("", ""),
    ],
)
def test_a_word_has_one_form_however_it_is_written(written: str, matched: str) -> None:
    assert normalise(written).text == matched


def test_decomposed_letters_are_the_same_as_composed_ones() -> None:
    """NFD splits the hamza off its carrier: removing marks before composing would be right for alef only by luck."""
    for word in ("أحمد", "مسؤول", "شئ", "résumé", "한국어"):
        assert normalise(unicodedata.normalize("NFD", word)).text == normalise(word).text


def test_a_mark_in_its_isolated_form_does_not_split_the_word() -> None:
    """NFKC alone turns such a mark into a blank and the mark."""
    assert normalise("ك\ufe76ل\ufc60ب").text == "كلب"


@pytest.mark.parametrize(
    ("written", "matched", "original"),
    [
        ("say kill now", "kill", "kill"),
        ("say   kiiiiill   now", "kill", "kiiiiill"),
        ("قال كَلْبٌ هنا", "كلب", "كَلْبٌ"),
        ("قال كـلـب", "كلب", "كـلـب"),
        ("ﻛﻠﺐ", "كلب", "ﻛﻠﺐ"),
        ("x ﷺ y", "الله", "ﷺ"),
        ("ＫＩＬＬ them", "kill", "ＫＩＬＬ"),
        ("\u200b\u200bab", "ab", "ab"),
        ("straße!", "strasse", "straße"),
    ],
)
def test_a_place_in_the_normalised_text_leads_back_to_the_original(written: str, matched: str, original: str) -> None:
    normalised = normalise(written)
    start = normalised.text.index(matched)
    begin, end = normalised.original_span(start, start + len(matched))
    assert written[begin:end] == original


def test_squeezed_places_are_known() -> None:
    normalised = normalise("aab kiiill  yooou")
    assert normalised.text == "aab kill you"
    assert {normalised.text[place] for place in normalised.squeezed} == {"i", "o"}
    assert normalised.squeezed == {5, 10}


def test_a_flood_of_combining_marks_costs_no_more_than_other_text() -> None:
    """Composing sorts marks in quadratic time; unbounded, this text would take longer than an hour."""
    flood = "a" + "\u0301\u0327" * 100_000 + "\ufe76\u0327\uff9e\u0301" * 100_000 + " kill"
    began = time.process_time()
    normalised = normalise(flood)
    assert normalised.text.endswith(" kill")
    assert normalised.original_span(len(normalised.text) - 4, len(normalised.text)) == (len(flood) - 4, len(flood))
    assert time.process_time() - began < 20


def test_words_written_letter_by_letter_are_closed_up() -> None:
    text = normalise("قال ك ل ب وذهب k-i-l.l you a b").text
    runs = spaced_runs(text)
    assert [run.text for run in runs] == ["كلب", "kill"]
    for run in runs:
        assert "".join(text[place] for place in run.positions) == run.text


def test_two_letters_alone_are_no_word() -> None:
    assert spaced_runs("i a am here") == []
