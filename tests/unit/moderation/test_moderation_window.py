"""A streamed answer is let go only behind what has been reviewed."""

from __future__ import annotations

import asyncio

import pytest

from pulse_gateway.errors import ContentBlocked
from pulse_gateway.moderation import ALLOWED, AnswerWindow, Chain, Content, HookSpec, TermModerator, Verdict

INNOCENT = "The quick brown fox jumps over the lazy dog and reads a book about gardens. "


class Recorder:
    """Refuses a word wherever it stands in the text it is shown, and keeps what it was shown."""

    name = "recorder"

    def __init__(self, word: str = "FORBIDDEN") -> None:
        self.word = word
        self.shown: list[Content] = []

    def review_now(self, content: Content, /) -> Verdict:
        self.shown.append(content)
        return Verdict(allowed=False, category="word") if self.word in content.text else ALLOWED

    async def review(self, content: Content, /) -> Verdict:
        return self.review_now(content)


def window(moderator: Recorder | TermModerator, hold_chars: int = 200, overlap_chars: int = 400) -> AnswerWindow[int]:
    chain = Chain([HookSpec(name=moderator.name, moderator=moderator)])
    return AnswerWindow(
        chain, user_id="u1", tenant_id="t1", model="echo", hold_chars=hold_chars, overlap_chars=overlap_chars
    )


async def test_nothing_is_released_before_enough_text_came_in() -> None:
    recorder = Recorder()
    held = window(recorder)
    for index in range(199):
        assert await held.push("x", index) == []
    assert recorder.shown == []
    assert await held.finish() == list(range(199))
    assert [content.text for content in recorder.shown] == ["x" * 199]


async def test_items_are_released_once_they_lie_behind_the_held_back_text() -> None:
    held = window(Recorder())
    released = []
    for index in range(40):
        released += await held.push("ten chars.", index)
        assert len(released) <= max(0, index + 1 - 20)
    assert released == list(range(20))
    assert released + await held.finish() == list(range(40))


async def test_items_without_text_keep_their_place() -> None:
    held = window(Recorder(), hold_chars=20)
    assert await held.push("", 0) == [0]
    assert await held.push("some", 1) == []
    assert await held.push("", 2) == []
    assert await held.push("x" * 40, 3) == [1, 2]
    assert await held.push("", 4) == []
    assert await held.finish() == [3, 4]


async def test_a_refusal_rises_and_what_is_held_stays() -> None:
    held = window(Recorder())
    released = []
    with pytest.raises(ContentBlocked, match="word") as blocked:
        for index in range(100):
            text = INNOCENT if index != 20 else "FORBID"
            text = "DEN and on " if index == 21 else text
            released += await held.push(text, index)
    assert "FORBIDDEN" not in blocked.value.message
    assert max(released) < 20
    with pytest.raises(ContentBlocked):
        await held.push("more", 100)
    with pytest.raises(ContentBlocked):
        await held.finish()


async def test_a_refusal_in_the_last_characters_is_found_at_the_end() -> None:
    held = window(Recorder())
    assert await held.push("a short FORBIDDEN answer", 0) == []
    with pytest.raises(ContentBlocked):
        await held.finish()


async def test_the_work_is_linear_in_the_answer() -> None:
    recorder = Recorder()
    held = window(recorder)
    length = 0
    for index in range(5000):
        await held.push("four", index)
        length += 4
    await held.finish()
    assert len(recorder.shown) <= length // 200 + 1
    assert sum(len(content.text) for content in recorder.shown) <= 5 * length
    assert max(len(content.text) for content in recorder.shown) <= 200 + 400 + 64


async def test_hooks_are_told_whose_answer_it_is() -> None:
    recorder = Recorder()
    held = window(recorder)
    await held.push("text", 0)
    await held.finish()
    assert recorder.shown == [Content(text="text", stage="answer", user_id="u1", tenant_id="t1", model="echo")]


async def test_choices_are_texts_of_their_own_but_items_keep_one_order() -> None:
    recorder = Recorder()
    held = window(recorder, hold_chars=10, overlap_chars=20)
    assert await held.push("FORB", 0, 0) == []
    assert await held.push("IDDEN of another choice", 1, 1) == []
    assert await held.push("orange", 2, 0) == []
    assert await held.push(" juice and more", 3, 0) == [0]
    assert await held.finish() == [1, 2, 3]
    assert all("FORBIDDEN" not in content.text for content in recorder.shown)


async def test_a_term_split_over_the_pieces_of_one_choice_is_found_between_those_of_another() -> None:
    held = window(Recorder())
    for index in range(30):
        await held.push(INNOCENT, index, index % 2)
    await held.push("FORB", 30, 0)
    await held.push(INNOCENT * 10, 31, 1)
    await held.push("IDDEN", 32, 0)
    with pytest.raises(ContentBlocked):
        await held.finish()


async def test_a_choice_that_ended_does_not_hold_up_the_others() -> None:
    held = window(Recorder())
    assert await held.push("a short first choice", 0, 0) == []
    assert await held.push("", 1, 0, last=True) == [0, 1]
    released = []
    for index in range(2, 60):
        released += await held.push("ten chars.", index, 1)
    assert released
    assert released + await held.finish() == list(range(2, 60))


async def test_the_end_of_a_choice_is_reviewed_before_it_goes() -> None:
    held = window(Recorder())
    await held.push("a FORBIDDEN", 0, 0)
    with pytest.raises(ContentBlocked):
        await held.push(" end", 1, 0, last=True)


async def test_a_word_cut_by_the_window_is_not_taken_for_a_term() -> None:
    held = window(TermModerator(extra_terms=["ass"]), hold_chars=200)
    released = await held.push(INNOCENT * 4 + "ass", 0)
    released += await held.push("ignment of the class. " + INNOCENT * 4, 1)
    assert released + await held.finish() == [0, 1]


async def test_a_phrase_that_makes_a_term_innocent_may_come_after_the_cut() -> None:
    held = window(TermModerator(), hold_chars=200)
    released = await held.push(INNOCENT * 4 + "Explain how to make a bomb", 0)
    released += await held.push(" shelter. " + INNOCENT * 4, 1)
    assert released + await held.finish() == [0, 1]


async def test_a_phrase_that_makes_a_term_innocent_may_be_forgotten_already() -> None:
    for shift in range(0, 120, 3):
        held = window(TermModerator(extra_terms=["dog"], exemptions=["lazy dog"]), hold_chars=100, overlap_chars=200)
        released = await held.push("y" * shift, 0)
        for index in range(1, 60):
            released += await held.push(INNOCENT[: 44 + index % 20] + " ", index)
        assert released + await held.finish() == list(range(60))


async def test_text_without_any_blank_flows_too() -> None:
    recorder = Recorder()
    held = window(recorder)
    released = []
    for index in range(1000):
        released += await held.push("谢谢你们", index)
    assert len(released) > 900
    assert max(len(content.text) for content in recorder.shown) <= 200 + 400 + 64


async def test_without_answer_hooks_everything_passes_at_once() -> None:
    chain = Chain([HookSpec(name="r", moderator=Recorder(), stages=frozenset({"prompt"}))])
    held: AnswerWindow[int] = AnswerWindow(chain, user_id="u1", tenant_id="t1", model="echo")
    assert await held.push("FORBIDDEN", 0) == [0]
    assert await held.finish() == []


async def test_a_cancelled_review_loses_nothing() -> None:
    class Gate:
        name = "gate"

        def __init__(self) -> None:
            self.asked, self.open = asyncio.Event(), asyncio.Event()

        async def review(self, content: Content, /) -> Verdict:
            self.asked.set()
            await self.open.wait()
            return ALLOWED

    gate = Gate()
    chain = Chain([HookSpec(name="gate", moderator=gate, timeout_s=None)])
    held: AnswerWindow[int] = AnswerWindow(chain, user_id="u1", tenant_id="t1", model="echo", hold_chars=10)
    push = asyncio.ensure_future(held.push("x" * 30, 0))
    await gate.asked.wait()
    push.cancel()
    with pytest.raises(asyncio.CancelledError):
        await push
    gate.open.set()
    assert await held.finish() == [0]
