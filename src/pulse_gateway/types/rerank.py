"""Documents in the order of their relevance to a query, in no vendor's dialect."""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = ["RerankReply", "RerankRequest", "RerankResult"]


class RerankRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A document is a text, or an object that holds one as `text`. `return_documents` None: as the vendor likes."""

    model: str
    query: str
    documents: tuple[str | dict[str, Any], ...]
    top_n: int | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: int | None = None
    extra: dict[str, Any] = {}  # wire path → value: no neutral form, another dialect refuses it by this name


class RerankResult(msgspec.Struct, frozen=True, kw_only=True):
    """`index` is the document's place in the request."""

    index: int
    score: float
    document: dict[str, Any] | None = None


class RerankReply(msgspec.Struct, frozen=True, kw_only=True):
    """The most relevant first."""

    id: str
    model: str
    results: tuple[RerankResult, ...]
    usage: Usage | None = None
