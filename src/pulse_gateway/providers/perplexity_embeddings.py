"""Vectors of Perplexity's: texts as OpenAI takes them, answered in whole numbers of eight bits.

They are to be compared by the cosine, for which their length means nothing; so clients get them at length one, as OpenAI's are, where the
product of two is their cosine. Models that embed the pieces of a document together (`pplx-embed-context-…`) want lists of lists of texts,
which no client's dialect can say.

Source: https://docs.perplexity.ai/api-reference/embeddings-post, /docs/embeddings/best-practices and the types of `perplexityai` 0.46
(read 2026-11-24)
"""

from __future__ import annotations

import binascii
import math
from array import array
from typing import Any

import msgspec

from pulse_gateway.providers.compatible import PERPLEXITY
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.embeddings import EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.http import HttpAnswer, HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.openai_chat.errors import upstream_error
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["EMBEDDINGS", "PerplexityEmbeddings"]

_MOST_TEXTS = 512  # of a call


class _Vector(msgspec.Struct):
    embedding: str
    index: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Vector] | None = None
    model: str | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Answer).decode


class PerplexityEmbeddings:
    """An `Offer` of `embeddings`."""

    dialect: str | None = None  # its answers are in nobody else's

    def check(self, request: EmbeddingRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra(request.extra, model)
        if "-context-" in model.name:
            raise unsupported(model, "model", "embeds the pieces of a document together, which no client can ask for")
        if request.has_tokens:
            raise unsupported(model, "input", "takes texts, not tokens")
        if not all(each.text for each in request.input):
            raise unsupported(model, "input", "takes no empty text")
        if request.task is not None:
            raise unsupported(model, "task", "is not told what an embedding is for")
        if any(each.title is not None for each in request.input):
            raise unsupported(model, "title", "is not told the titles of documents")
        return () if request.user is None else ("user",)

    def steps(self, request: EmbeddingRequest, call: OfferCall, /) -> Steps[EmbeddingReply]:
        texts, tab, vectors, model = [each.text for each in request.input], Tab(), list[list[float]](), ""
        for start in range(0, len(texts), _MOST_TEXTS):
            some = texts[start : start + _MOST_TEXTS]
            body: dict[str, Any] = {
                "model": call.deployment.model.name,
                "input": some,
                "encoding_format": "base64_int8",
            }
            if request.dimensions is not None:
                body["dimensions"] = request.dimensions
            url = PERPLEXITY.url(call.deployment, "/v1/embeddings")
            headers = (("content-type", "application/json"), *PERPLEXITY.headers(call))
            answer = yield from ask(HttpRequest("POST", url, headers, to_provider(body)))
            read = _read(answer, len(some))
            counted = read.usage or _Usage()
            tokens = counted.total_tokens if counted.prompt_tokens is None else counted.prompt_tokens
            if tokens is not None:
                yield tab.add(Usage(input_tokens=tokens))
            vectors += map(_unit, _in_order(read.data or []))
            model = read.model or model
        return EmbeddingReply(model=model or request.model, vectors=tuple(vectors), usage=_known(tab.usage))


def _read(answer: HttpAnswer, texts: int) -> _Answer:
    read = from_provider(_decode, answer.body)
    if read.error and read.data is None:
        raise upstream_error(200, (), answer.body)
    if len(read.data or ()) != texts:
        raise not_of_protocol(f"{len(read.data or ())} vectors for {texts} inputs")
    return read


def _in_order(data: list[_Vector]) -> list[str]:
    places = sorted(enumerate(data), key=lambda at: at[0] if at[1].index is None else at[1].index)
    return [each.embedding for _, each in places]


def _unit(written: str) -> list[float]:
    """The numbers of a base64 text, a signed byte each, as a vector of length one; one of nothing but zeros stays what it is.

    Raises: UpstreamProtocolError.
    """
    try:
        numbers = array("b", binascii.a2b_base64(written, strict_mode=True))
    except ValueError as error:  # binascii.Error is one; so is a character beyond ASCII
        raise not_of_protocol("a vector is no base64") from error
    if not numbers:
        raise not_of_protocol("an empty vector")
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]


def _known(usage: Usage) -> Usage | None:
    return None if usage.input_tokens is None else usage


EMBEDDINGS = PerplexityEmbeddings()
