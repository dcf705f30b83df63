"""Requests as clients of each dialect write them: JSON of the wire, made without any codec.

`anything` also draws what another dialect may refuse or drop; without it a request holds what all can say.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from translation_anthropic import AnthropicWriter
from translation_gemini import GeminiWriter
from translation_openai import OpenAIWriter
from translation_responses import ResponsesWriter
from translation_writer import Body, Writer

__all__ = ["BODIES"]


def _bodies(writer: Callable[..., Writer]) -> Callable[..., st.SearchStrategy[Body]]:
    @st.composite
    def bodies(draw: st.DrawFn, *, anything: bool = True) -> Body:
        return writer(draw, anything=anything).body()

    return bodies


BODIES: dict[str, Callable[..., st.SearchStrategy[Body]]] = {
    "openai.chat": _bodies(OpenAIWriter),
    "openai.responses": _bodies(ResponsesWriter),
    "anthropic.messages": _bodies(AnthropicWriter),
    "gemini": _bodies(GeminiWriter),
}
