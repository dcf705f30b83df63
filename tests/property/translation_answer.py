"""What answers of every vendor are made of."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from translation_writer import Draw

__all__ = ["COUNTS", "NAMES", "Answer", "as_json", "named", "pieces_of"]

NAMES = st.sampled_from(("get_weather", "lookup-2", "f"))
COUNTS = st.integers(0, 9_999)


class Answer:
    """`whole` is the body of an answer in one piece, `frames` are those of a stream that says the same."""

    def __init__(self, whole: dict[str, Any], frames: list[bytes]) -> None:
        self.whole = json.dumps(whole, ensure_ascii=False).encode()
        self.frames = frames

    @property
    def stream(self) -> bytes:
        return b"".join(self.frames)

    def __repr__(self) -> str:
        return f"Answer({self.whole.decode()}, {self.stream.decode()})"


def pieces_of(draw: Draw, text: str) -> list[str]:
    """`text` cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def named(kind: str, **members: Any) -> bytes:
    """An event that says its type twice."""
    return f"event: {kind}\n".encode() + b"data: " + as_json({"type": kind, **members}) + b"\n\n"
