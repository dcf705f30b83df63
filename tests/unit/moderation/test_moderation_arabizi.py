"""Arabic in Latin letters and digits."""

from __future__ import annotations

import pytest

from pulse_gateway.moderation.arabizi import arabizi_candidates, arabizi_words


def anything(_: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("latin", "arabic"),
    [
        ("7mar", "حمار"),
        ("7abibi", "حبيبي"),
        ("3arabi", "عربي"),
        ("5obz", "خبز"),
        ("7'obz", "خبز"),
        ("3'areeb", "غريب"),
        ("6ayara", "طياره"),
        ("8alb", "قلب"),
        ("9alb", "قلب"),
        ("9abr", "صبر"),
        ("ra2s", "راس"),
        ("ma2", "مء"),
        ("shi3r", "شعر"),
        ("kha6a2", "خطا"),
        ("thala8", "ثلق"),
        ("gha6a", "غطا"),
        ("mo7ammad", "محمد"),
        ("el7mar", "حمار"),
        ("wel7mar", "حمار"),
    ],
)
def test_the_arabic_word_is_among_the_candidates(latin: str, arabic: str) -> None:
    assert arabic in arabizi_candidates(latin, anything)


def test_candidates_are_few_and_only_those_that_begin_well() -> None:
    assert len(arabizi_candidates("7aza8asada9ozega", anything)) <= 64
    assert arabizi_candidates("7mar", "حمار".startswith) == ["حمار"]
    assert arabizi_candidates("7mar", "بغل".startswith) == []


def test_only_words_of_letters_and_meaningful_digits_are_looked_at() -> None:
    text = "ya 7mar 2024 hello h264 mp3x 3f2a8c97b6e5d7a63c2b9 b2b k8s 100 (6eez)"
    assert [word.group() for word in arabizi_words(text)] == ["7mar", "mp3x", "b2b", "k8s", "6eez"]
    assert list(arabizi_words("no digits, 2024 alone")) == []
