"""Thinking that a model writes into its text: what is between `<think>` at the very beginning and `</think>`.

Source: the model card of DeepSeek R1 at https://huggingface.co/deepseek-ai/DeepSeek-R1, whose template begins answers like that, and
https://docs.perplexity.ai/docs/sonar/models/sonar-reasoning-pro (read 2026-11-24)
"""

from __future__ import annotations

__all__ = ["ThinkingSplitter"]

_OPEN, _CLOSE = "<think>", "</think>"
_MOST_HELD = 1000  # characters of white space that may yet be trimmed


class ThinkingSplitter:
    """One answer, in any pieces. What is given out are (is thinking, text), never empty."""

    def __init__(self) -> None:
        self._held = ""  # may yet be the beginning of a mark, or the white space around one
        self._thinks: bool | None = None  # None: not known yet
        self._at_edge = False  # only white space since the last mark

    def feed(self, text: str) -> list[tuple[bool, str]]:
        held = self._held + text
        said: list[tuple[bool, str]] = []
        if self._thinks is None:
            bare = held.lstrip()
            if bare.startswith(_OPEN):
                self._thinks, self._at_edge, held = True, True, bare[len(_OPEN) :]
            elif _OPEN.startswith(bare) and len(held) <= _MOST_HELD:
                self._held = held
                return said
            else:
                self._thinks = False
        if self._thinks:
            thought, closed, rest = held.partition(_CLOSE)
            if closed:
                self._say(said, True, thought.rstrip())
                self._thinks, self._at_edge, held = False, True, rest
            else:
                keep = _kept(thought)
                self._say(said, True, thought[: len(thought) - keep])
                self._held = thought[len(thought) - keep :]
                return said
        self._held = ""
        self._say(said, False, held)
        return said

    def finish(self) -> list[tuple[bool, str]]:
        """What was held back."""
        said: list[tuple[bool, str]] = []
        thinks = bool(self._thinks)
        self._say(said, thinks, self._held.rstrip() if thinks else self._held)
        self._held = ""
        return said

    def _say(self, said: list[tuple[bool, str]], thinks: bool, text: str) -> None:
        if self._at_edge:
            text = text.lstrip()
        if text:
            self._at_edge = False
            said.append((thinks, text))


def _kept(thought: str) -> int:
    """How much of its end must wait: white space, which may be the last, and then what may begin the closing mark."""
    mark = next((size for size in range(len(_CLOSE) - 1, 0, -1) if thought.endswith(_CLOSE[:size])), 0)
    bare = thought[: len(thought) - mark]
    space = len(bare) - len(bare.rstrip())
    return mark + (space if space <= _MOST_HELD else 0)
