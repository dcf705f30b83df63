r"""A conversation as one text, for models that take a prompt and nothing else.

    System: أجب بإيجاز

    User: Who are you?

    Assistant: An assistant.

    User: And since when?

    Assistant:

A line inside a turn that would begin another one gets a backslash in front, and so does one that has such backslashes already: so turns
can be told apart, and nobody can write another's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["as_transcript"]

_MARK = r"\\"  # a backslash, as a replacement is written
_TITLES = {"system": "System", "user": "User", "assistant": "Assistant"}
_LIKE_A_TITLE = re.compile(rf"^(?=\\*(?:{'|'.join(_TITLES.values())}):)", re.MULTILINE)


def as_transcript(turns: Iterable[tuple[str, str]]) -> str:
    """`turns` are (role, text). It ends where the model is to go on."""
    told = [f"{_TITLES[role]}: {_LIKE_A_TITLE.sub(_MARK, text)}" for role, text in turns]
    return "\n\n".join([*told, f"{_TITLES['assistant']}:"])
