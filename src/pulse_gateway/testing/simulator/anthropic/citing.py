"""Citations of documents and search results whose sender wants them cited.

Source: https://platform.claude.com/docs/en/build-with-claude/citations (read 2026-11-24) and anthropic 2.12.0
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.testing.simulator.anthropic.schema import (
    ContentSource,
    DocumentBlock,
    SearchResultBlock,
    TextBlock,
    TextSource,
)
from pulse_gateway.testing.simulator.dice import conceal

__all__ = ["SEARCHED", "cite_document", "cite_found", "cite_result", "found"]

_CITED_CHARACTERS = 40
SEARCHED: dict[str, str] = {"url": "https://example.com/simulated", "title": "A simulated page"}
"""The only page there is on the simulated web."""


def cite_document(block: DocumentBlock, index: int) -> dict[str, Any] | None:
    """Its beginning; None if it is not to be cited. `index` counts the documents of the request."""
    if block.citations is None or block.citations.enabled is not True:
        return None
    base = {"document_index": index, "document_title": block.title, "file_id": None}
    source = block.source
    if isinstance(source, TextSource):
        cited = source.data[:_CITED_CHARACTERS]
        return {
            "type": "char_location",
            "cited_text": cited,
            **base,
            "start_char_index": 0,
            "end_char_index": len(cited),
        }
    if isinstance(source, ContentSource):
        first = source.content if isinstance(source.content, str) else ""
        if not first and not isinstance(source.content, str):
            first = next((part.text for part in source.content if isinstance(part, TextBlock)), "")
        place = {"start_block_index": 0, "end_block_index": 1}
        return {"type": "content_block_location", "cited_text": first[:_CITED_CHARACTERS], **base, **place}
    cited = "The first page, simulated."
    return {"type": "page_location", "cited_text": cited, **base, "start_page_number": 1, "end_page_number": 2}


def cite_result(block: SearchResultBlock, index: int) -> dict[str, Any] | None:
    """Its beginning; None if it is not to be cited. `index` counts the search results of the request."""
    wanted = getattr(block.citations, "enabled", False) is True
    if not wanted or not block.content:
        return None
    return {
        "type": "search_result_location",
        "cited_text": block.content[0].text[:_CITED_CHARACTERS],
        "search_result_index": index,
        "source": block.source,
        "title": block.title,
        "start_block_index": 0,
        "end_block_index": 1,
    }


def found(seed: int, digest: bytes) -> dict[str, Any]:
    """The one result of a web search."""
    return {
        "type": "web_search_result",
        **SEARCHED,
        "encrypted_content": conceal(seed, digest),
        "page_age": "1 day ago",
    }


def cite_found(seed: int, digest: bytes) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "cited_text": "Simulated words.",
        **SEARCHED,
        "encrypted_index": conceal(seed, digest[::-1]),
    }
