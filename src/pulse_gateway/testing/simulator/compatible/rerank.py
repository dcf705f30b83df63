"""Rerank, in the shape of Cohere and Jina that Together, vLLM and OpenRouter took over.

A document is as relevant as it has words of the query, between 0 and 1; ties keep their order. Everything read is billed:
the query once for each document.
Source: https://docs.cohere.com/reference/rerank and https://jina.ai/reranker (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.dice import Dice, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Strict, converted
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally, count_text
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["rerank"]

_WORD = re.compile(r"\w+")
_MOST_DOCUMENTS = 1024


class TextDocument(msgspec.Struct):
    """Other members than the text are passed over."""

    text: str


class RerankRequest(Strict):
    model: str
    query: str
    documents: list[Any]
    top_n: Annotated[int, Meta(ge=1)] | None = None
    return_documents: bool | None = None
    rank_fields: list[str] | None = None
    max_chunks_per_doc: int | None = None
    max_tokens_per_doc: int | None = None
    truncate_prompt_tokens: int | None = None
    user: str | None = None


def rerank(body: dict[str, Any], seed: int) -> Work:
    """Raises: Refusal."""
    request = converted(body, RerankRequest)
    model, spec = split_model(request.model)
    texts = [_text(each, at) for at, each in enumerate(request.documents)]
    if not request.query or not texts:
        name = "documents" if request.query else "query"
        raise refuse(f"Invalid '{name}': it must not be empty.", code="invalid_value", param=name)
    if len(texts) > _MOST_DOCUMENTS:
        raise refuse("Too many documents.", code="array_above_max_length", param="documents")
    tally = Tally(seed, "rerank", model)
    for text in (request.query, *texts):
        tally.text(text)
    tokens = sum(count_text(request.query + text) for text in texts)

    def render(faults: Faults) -> list[Frame]:
        scored = [(_score(request.query, text, tally.digest, at), at) for at, text in enumerate(texts)]
        ranked = sorted(scored, key=lambda each: (-each[0], each[1]))[: request.top_n]
        results: list[dict[str, Any]] = [{"index": at, "relevance_score": score} for score, at in ranked]
        if request.return_documents:
            for result in results:
                result["document"] = {"text": texts[result["index"]]}
        reply: dict[str, Any] = {
            "id": identifier("rerank-", tally.digest),
            "object": "rerank",
            "model": request.model,
            "results": results,
        }
        if not faults.no_usage:
            reply["usage"] = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
        return [Frame(msgspec.json.encode(reply))]

    return Work(
        model=request.model,
        fault_spec=spec,
        content_type="application/json",
        render=render,
        usage=Usage(input=tokens),
        units={"documents": len(texts)},
    )


def _text(document: Any, at: int) -> str:
    if isinstance(document, str):
        return document
    return converted(document, TextDocument, f"documents[{at}]").text


def _score(query: str, text: str, digest: bytes, at: int) -> float:
    words = set(_WORD.findall(query.lower()))
    found = words & set(_WORD.findall(text.lower()))
    noise = Dice(digest, f"score {at}").below(90) / 1000
    return round(min(1.0, 0.9 * len(found) / max(1, len(words)) + noise), 4)
