"""Texts as vectors, in no vendor's dialect."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = ["EmbeddingInput", "EmbeddingReply", "EmbeddingRequest"]


class EmbeddingInput(msgspec.Struct, frozen=True):
    """What becomes one vector: a `text`, or the `tokens` of one in the model's own vocabulary. `title` is the document's."""

    text: str = ""
    tokens: tuple[int, ...] | None = None
    title: str | None = None


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`task` is one of Gemini's words, such as `RETRIEVAL_QUERY`. `encoding` is how the client wants its vectors written."""

    model: str
    input: tuple[EmbeddingInput, ...]
    dimensions: int | None = None
    task: str | None = None
    encoding: Literal["float", "base64"] = "float"
    user: str | None = None
    extra: dict[str, Any] = {}  # wire path → value: no neutral form, another dialect refuses it by this name

    @property
    def has_tokens(self) -> bool:
        return any(each.tokens is not None for each in self.input)


class EmbeddingReply(msgspec.Struct, frozen=True, kw_only=True):
    """A vector for each input, in their order."""

    model: str
    vectors: tuple[list[float], ...]
    usage: Usage | None = None
