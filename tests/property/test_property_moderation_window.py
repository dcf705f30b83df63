"""However a stream is cut: nothing listed gets out, and everything innocent does, in order and once."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import ContentBlocked
from pulse_gateway.moderation import AnswerWindow, Chain, HookSpec, TermModerator

MODERATOR = TermModerator(extra_terms=["assail", "فاكهة محرمة"])
CHAIN = Chain([HookSpec(name="terms", moderator=MODERATOR)])

WORDS = [
    "the",
    "class",
    "assessed",
    "an",
    "assignment",
    ",",
    ".",
    "!",
    "and",
    "niger",
    "kill",
    "process",
    "a",
    "I",
    "m",
    "x",
    "3d",
    "k8s",
    "ok",
    "assai",
    "assailant",
    "assailants",
    "قال",
    "الرجل",
    "والكلب",
    "في",
    "البيت،",
    "سيارة",
    "كُتُبٌ",
    "ﻛﺘﺎﺏ",
    "و",
    "ك",
    "ل",
    "قاتل",
    "فاكهة",
    "محرم",
]


def words(seed: int, count: int) -> list[str]:
    """Many words from few draws: the interesting streams are longer than what a strategy makes word by word."""
    return random.Random(seed).choices(WORDS, k=count)


INNOCENT = st.builds(words, st.integers(0, 2**32), st.integers(0, 150))
LISTED = st.sampled_from(
    [
        "kill yourself", "KILL  yourself", "k i l l y o u r s e l f", "killlll yourself", "ki\u200bll your\u00adself", "assail",
        "sharmou6a", "how to make a bomb", "سأقتلك", "سَأَقْتُلُكَ", "وبالقحبة", "ﻗﺤﺒﺔ", "ق ح ب ة", "فاكهة محرمة",
    ]
)  # fmt: skip
SIZES = st.tuples(st.integers(60, 120), st.integers(0, 150)).map(lambda sizes: (sizes[0], sizes[0] + sizes[1]))


def pieces(text: str, cuts: list[int]) -> list[str]:
    """The text in pieces, some of them empty."""
    places = sorted(cut for cut in cuts if cut <= len(text))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def window(sizes: tuple[int, int]) -> AnswerWindow[int]:
    return AnswerWindow(CHAIN, user_id="u", tenant_id="t", model="m", hold_chars=sizes[0], overlap_chars=sizes[1])


CUTS = st.one_of(
    st.lists(st.integers(0, 800), max_size=60),
    st.integers(1, 12).map(lambda size: list(range(0, 5000, size))),  # as models stream: a few characters at a time
)


@settings(max_examples=120)
@given(INNOCENT, LISTED, INNOCENT, CUTS, SIZES)
def test_a_listed_term_is_found_before_any_of_its_characters_is_released(
    before: list[str], listed: str, after: list[str], cuts: list[int], sizes: tuple[int, int]
) -> None:
    # "zz" keeps single letters of the surroundings from running into a term that is spelled out
    text = " ".join([*before, "zz", listed, "zz", *after])
    start = len(" ".join([*before, "zz", ""]))
    stream = pieces(text, cuts)
    held = window(sizes)
    released: list[int] = []

    async def run() -> None:
        for index, piece in enumerate(stream):
            released.extend(await held.push(piece, index))
        released.extend(await held.finish())

    with pytest.raises(ContentBlocked):
        asyncio.run(run())
    assert released == list(range(len(released)))
    assert sum(len(stream[index]) for index in released) <= start


@settings(max_examples=120)
@given(INNOCENT, INNOCENT, CUTS, SIZES)
def test_an_innocent_stream_is_released_whole_in_order_and_once(
    first: list[str], then: list[str], cuts: list[int], sizes: tuple[int, int]
) -> None:
    text = " ".join(first + then)
    stream = pieces(text, cuts)
    held = window(sizes)

    async def run() -> list[int]:
        released: list[int] = []
        for index, piece in enumerate(stream):
            released += await held.push(piece, index)
            assert released == list(range(len(released)))
        return released + await held.finish()

    assert asyncio.run(run()) == list(range(len(stream)))


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40).map(lambda size: ("ab " * 14)[:size])), max_size=120),
    st.integers(0, 2),
    st.integers(0, 119),
    SIZES,
)
def test_of_interleaved_choices_the_guilty_one_stops_all_and_nothing_of_it_gets_out(
    stream: list[tuple[int, str]], guilty: int, place: int, sizes: tuple[int, int]
) -> None:
    place = min(place, len(stream))
    halves = [(guilty, " kill your"), ((guilty + 1) % 3, "other"), (guilty, "self ")]
    stream = stream[:place] + halves + stream[place:]
    held = window(sizes)
    released: list[int] = []

    async def run() -> None:
        for index, (choice, text) in enumerate(stream):
            released.extend(await held.push(text, index, choice))
        released.extend(await held.finish())

    with pytest.raises(ContentBlocked):
        asyncio.run(run())
    assert released == list(range(len(released)))
    assert len(released) <= place
