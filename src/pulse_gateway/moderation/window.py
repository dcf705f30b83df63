"""A streamed answer reviewed while it flows: the newest text is held back until it can be judged."""

from __future__ import annotations

import re
from collections import deque
from typing import Generic, TypeVar

from pulse_gateway.errors import ContentBlocked
from pulse_gateway.moderation.chain import Chain, content_blocked
from pulse_gateway.moderation.moderator import Content, Verdict

__all__ = ["AnswerWindow"]

T = TypeVar("T")

# Where text may be cut: after a word of two or more characters. Single ones may be a word spelled out.
_WORD_END = re.compile(r"\S\S(?=\s)")
_LONGEST_WORD_CHARS = 64


class _Choice:
    """The text of one choice. Positions count from its beginning; what stood before `base` is forgotten."""

    __slots__ = ("base", "due", "hold_chars", "length", "pieces", "reviewed", "text")

    def __init__(self, hold_chars: int) -> None:
        self.hold_chars = hold_chars
        self.text = ""
        self.base = 0
        self.pieces: list[str] = []  # came after `text`; joined for a review only
        self.length = 0
        self.reviewed = 0
        self.due = max(hold_chars, 1)  # the length at which the next review happens

    @property
    def released(self) -> int:
        """What ends here or before may go: had something refused begun there, a review would have seen all of it."""
        return max(self.reviewed - self.hold_chars, 0)


class AnswerWindow(Generic[T]):
    """Holds the items of a stream until their text lies `hold_chars` behind the reviewed end; releases them in order.

    A review happens once per `hold_chars` of new text and looks back `overlap_chars`, so its cost is linear in the answer.
    Of what a hook refuses no character is released, if it is at most `hold_chars` and `overlap_chars` long.
    Units: characters. Every choice is a text of its own; an item waits for all that were pushed before it.
    """

    def __init__(
        self,
        chain: Chain,
        *,
        user_id: str,
        tenant_id: str,
        model: str,
        hold_chars: int = 200,
        overlap_chars: int = 400,
    ) -> None:
        self._chain = chain
        self._user_id = user_id
        self._tenant_id = tenant_id
        self._model = model
        self._hold_chars = hold_chars
        self._overlap_chars = overlap_chars
        self._choices: dict[int, _Choice] = {}
        self._held: deque[tuple[T, _Choice, int]] = deque()
        self._refusal: ContentBlocked | None = None

    async def push(self, text: str, item: T, choice: int = 0, *, last: bool = False) -> list[T]:
        """Take the next item and the text it shows, possibly none; returns the items that may go now.

        `last` says that the choice ends here: it is reviewed to its end and delays the other choices no longer.
        Raises: ContentBlocked when a hook refuses; what is held is never released then.
        """
        if not self._chain.reviews_answers:
            return [item]
        if self._refusal is not None:
            raise self._refusal
        state = self._choices.get(choice)
        if state is None:
            state = self._choices[choice] = _Choice(self._hold_chars)
        end = 0  # an item that shows nothing only keeps its place
        if text:
            state.pieces.append(text)
            state.length += len(text)
            end = state.length
        self._held.append((item, state, end))
        if last:
            await self._close(state)
        elif state.length >= state.due:
            await self._review(state, final=False)
        return self._release()

    async def finish(self) -> list[T]:
        """Review what is left; returns everything that is still held.

        Raises: ContentBlocked when a hook refuses; what is held is never released then.
        """
        if self._refusal is not None:
            raise self._refusal
        for state in self._choices.values():
            await self._close(state)
        return self._release()

    async def _close(self, state: _Choice) -> None:
        if state.reviewed < state.length:
            await self._review(state, final=True)
        state.hold_chars = 0

    async def _review(self, state: _Choice, *, final: bool) -> None:
        """Review the new text together with what stands before it.

        A refusal is confirmed on a narrower text: the edge may have made a word of a part of one, or cut off the words that
        make a term innocent. What only the last characters give rise to is judged when more text has come.
        """
        text = state.text = state.text + "".join(state.pieces)
        state.pieces.clear()
        new = state.reviewed - state.base  # up to here the text was reviewed before
        start, end = 0, len(text)
        verdict = await self._ask(text)
        if not verdict.allowed:
            if state.base:
                start = _word_end(text, new - min(self._hold_chars, self._overlap_chars))
            if not final:
                end = max(_word_end(text, len(text) - _LONGEST_WORD_CHARS), new)
            if end > new and (start, end) != (0, len(text)):
                verdict = await self._ask(text[start:end])
            if end > new and not verdict.allowed:
                self._held.clear()
                self._refusal = content_blocked(verdict, "answer")
                raise self._refusal
        state.reviewed = state.base + end
        more = (
            1 if end == len(text) else _LONGEST_WORD_CHARS
        )  # a suspicion is not asked about at every further character
        state.due = max(state.reviewed + state.hold_chars, state.length + more)
        if (forget := _word_end(text, state.reviewed - state.base - self._overlap_chars)) > 0:
            state.text = text[forget:]
            state.base += forget

    async def _ask(self, text: str) -> Verdict:
        return await self._chain.review(
            Content(text=text, stage="answer", user_id=self._user_id, tenant_id=self._tenant_id, model=self._model)
        )

    def _release(self) -> list[T]:
        released: list[T] = []
        while self._held and self._held[0][2] <= self._held[0][1].released:
            released.append(self._held.popleft()[0])
        return released


def _word_end(text: str, place: int) -> int:
    """The last end of a word within a word's length before `place`; `place` itself where there is none."""
    if place <= 0:
        return 0
    nearest = place
    for word in _WORD_END.finditer(text, max(place - _LONGEST_WORD_CHARS, 0), place + 1):
        nearest = word.end()
    return nearest
