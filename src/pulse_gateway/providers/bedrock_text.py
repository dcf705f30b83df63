"""Vectors, token counts and rankings on Bedrock. Vectors and rankings are asked of each maker in its own words, by `invoke`.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html, /model-parameters-embed.html,
/model-parameters-embed-v4.html and /rerank-api.html; the count that is billed stands in `x-amzn-bedrock-input-token-count`:
/API_runtime_InvokeModel.html; botocore 1.44, shape `CountTokensRequest` (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.providers.bedrock import asked, model_url
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.embeddings import EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.http import HttpAnswer, HttpRequest, header
from pulse_gateway.types.rerank import RerankReply, RerankRequest, RerankResult
from pulse_gateway.types.token_counts import TokenCount
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.bedrock_converse.families import is_cohere, is_titan
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.refusals import not_taken, refuse_extra, unsupported
from pulse_gateway.wire.token_counts.counted import counted

__all__ = ["COUNT_TOKENS", "EMBEDDINGS", "RERANK", "BedrockCount", "BedrockEmbeddings", "BedrockRerank"]

_MOST_TEXTS = 96  # of a call of Cohere's
_DOCUMENTS_A_SEARCH = 100
# Gemini's words for what a vector is for, in Cohere's.
_TASKS = {
    None: "search_document",
    "RETRIEVAL_DOCUMENT": "search_document",
    "RETRIEVAL_QUERY": "search_query",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
}
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")


class _Titan(msgspec.Struct, rename="camel"):
    embedding: list[float]
    input_text_token_count: int | None = None


class _Floats(msgspec.Struct):
    vectors: list[list[float]] = msgspec.field(name="float")


class _Cohere(msgspec.Struct):
    embeddings: _Floats


class _Counted(msgspec.Struct, rename="camel"):
    input_tokens: int


class _Ranked(msgspec.Struct):
    index: int
    relevance_score: float


class _Ranking(msgspec.Struct):
    results: list[_Ranked]


_titan = msgspec.json.Decoder(_Titan).decode
_cohere = msgspec.json.Decoder(_Cohere).decode
_counted = msgspec.json.Decoder(_Counted).decode
_ranking = msgspec.json.Decoder(_Ranking).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class BedrockEmbeddings:
    """Titan embeds one text a call, Cohere many. A text that is too long is refused, not cut."""

    dialect = None

    def check(self, request: EmbeddingRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra(request.extra, model)
        if not (is_titan(model) or is_cohere(model)):
            raise unsupported(model, "model", "makes no vectors here: Titan and Cohere do")
        if request.has_tokens:
            raise unsupported(model, "input", "takes texts, not tokens")
        if not all(each.text for each in request.input):
            raise unsupported(model, "input", "takes no empty text")
        if any(each.title is not None for each in request.input):
            raise unsupported(model, "input", "takes no title beside a text")
        if request.task is not None and (is_titan(model) or request.task not in _TASKS):
            raise not_taken(model, "task", f" of {request.task}")
        return () if request.user is None else ("user",)

    def steps(self, request: EmbeddingRequest, call: OfferCall, /) -> Steps[EmbeddingReply]:
        tab, vectors = Tab(), list[list[float]]()
        texts = [each.text for each in request.input]
        if is_titan(call.deployment.model):
            for text in texts:
                body: dict[str, Any] = {"inputText": text}
                if request.dimensions is not None:
                    body["dimensions"] = request.dimensions
                answer = yield from ask(_invoke(call, body))
                titan = from_provider(_titan, answer.body)
                vectors.append(titan.embedding)
                yield tab.add(Usage(input_tokens=_told_tokens(answer, titan.input_text_token_count)))
        else:
            for start in range(0, len(texts), _MOST_TEXTS):
                some = texts[start : start + _MOST_TEXTS]
                body = {
                    "texts": some,
                    "input_type": _TASKS[request.task],
                    "truncate": "NONE",
                    "embedding_types": ["float"],
                }
                if request.dimensions is not None:
                    body["output_dimension"] = request.dimensions
                answer = yield from ask(_invoke(call, body))
                vectors += from_provider(_cohere, answer.body).embeddings.vectors
                yield tab.add(Usage(input_tokens=_told_tokens(answer, None)))
        if len(vectors) != len(texts):
            raise UpstreamProtocolError("the provider's answer has not one vector for each text")
        return EmbeddingReply(model=request.model, vectors=tuple(vectors), usage=tab.usage)


class BedrockRerank:
    """Cohere's. One search is up to a hundred documents."""

    dialect = None

    def check(self, request: RerankRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra(request.extra, model)
        if not is_cohere(model):
            raise unsupported(model, "model", "ranks nothing here: Cohere's do")
        if request.max_tokens_per_doc is not None:
            raise not_taken(model, "max_tokens_per_doc")
        return ()

    def steps(self, request: RerankRequest, call: OfferCall, /) -> Steps[RerankReply]:
        texts = [each if isinstance(each, str) else str(each.get("text", "")) for each in request.documents]
        body: dict[str, Any] = {"query": request.query, "documents": texts, "api_version": 2}
        if request.top_n is not None:
            body["top_n"] = request.top_n
        answer = yield from ask(_invoke(call, body))
        results = from_provider(_ranking, answer.body).results
        if any(not 0 <= each.index < len(texts) for each in results):
            raise not_of_protocol("a document that was not sent is ranked")
        return RerankReply(
            id=header(answer.headers, "x-amzn-requestid") or "",
            model=request.model,
            results=tuple(
                RerankResult(
                    index=each.index,
                    score=each.relevance_score,
                    document={"text": texts[each.index]} if request.return_documents else None,
                )
                for each in results
            ),
            usage=Usage(input_tokens=0, searches=-(-len(texts) // _DOCUMENTS_A_SEARCH)),
        )


class BedrockCount:
    """Of a conversation as `Converse` would be sent it."""

    dialect = None

    def check(self, request: ChatRequest, deployment: Deployment, /) -> tuple[str, ...]:
        return self._encoded(request, deployment)[1]

    def steps(self, request: ChatRequest, call: OfferCall, /) -> Steps[TokenCount]:
        body, _ = self._encoded(request, call.deployment)
        answer = yield from ask(
            asked(call, "POST", model_url(call.deployment, "count-tokens"), {"input": {"converse": body}})
        )
        return TokenCount(input_tokens=from_provider(_counted, answer.body).input_tokens)

    def _encoded(self, request: ChatRequest, deployment: Deployment) -> tuple[dict[str, Any], tuple[str, ...]]:
        bare, left_out = counted(request)
        encoded = wire.upstream_codec("bedrock.converse").encode_request(bare, deployment.model)
        body = {name: value for name, value in _members(encoded.body).items() if name in _COUNTED}
        form = () if request.response_format is None else ("response_format",)
        return body, (*left_out, *form, *encoded.dropped)


def _invoke(call: OfferCall, body: dict[str, Any]) -> HttpRequest:
    return asked(call, "POST", model_url(call.deployment, "invoke"), body)


def _told_tokens(answer: HttpAnswer, said: int | None) -> int | None:
    written = header(answer.headers, "x-amzn-bedrock-input-token-count")
    return said if written is None or not written.isdecimal() else int(written)


EMBEDDINGS = BedrockEmbeddings()
RERANK = BedrockRerank()
COUNT_TOKENS = BedrockCount()
