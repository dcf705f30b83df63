"""Vectors and token counts on Vertex, which asks for them otherwise than the Developer API.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api and /count-tokens, the
converters of google-genai 3.4 (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.providers.vertex import VERTEX, VertexProvider
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.http import HttpRequest, Payload
from pulse_gateway.types.token_counts import TokenCount
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.embeddings.gemini_usage import UsageMetadata, decode_usage
from pulse_gateway.wire.foreign_json import from_provider, to_provider
from pulse_gateway.wire.refusals import refuse_extra, unsupported
from pulse_gateway.wire.token_counts.counted import counted

__all__ = ["COUNT_TOKENS", "EMBEDDINGS", "VertexCount", "VertexEmbeddings"]

_MOST_INSTANCES = 250  # of a prediction; of gemini-embedding-001 one
_COUNTED = ("contents", "systemInstruction", "tools", "generationConfig")


class _Statistics(msgspec.Struct):
    token_count: float | None = None


class _Embedding(msgspec.Struct):
    values: list[float]
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct):
    embeddings: _Embedding


class _Predictions(msgspec.Struct):
    predictions: list[_Prediction]


class _Embedded(msgspec.Struct, rename="camel"):
    embedding: _Embedding
    usage_metadata: UsageMetadata | None = None


_predictions = msgspec.json.Decoder(_Predictions).decode
_embedded = msgspec.json.Decoder(_Embedded).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class VertexEmbeddings:
    """`:embedContent`, one text a call, for the models of Gemini's second generation; `:predict` for those before it.

    A text that is too long is refused: cut short, its vector would be another text's.
    """

    dialect = None

    def __init__(self, vendor: VertexProvider) -> None:
        self._vendor = vendor

    def check(self, request: EmbeddingRequest, deployment: Deployment, /) -> tuple[str, ...]:
        refuse_extra(request.extra, deployment.model)
        if request.has_tokens:
            raise unsupported(deployment.model, "input", "takes texts, not tokens")
        if not all(each.text for each in request.input):
            raise unsupported(deployment.model, "input", "takes no empty text")
        return () if request.user is None else ("user",)

    def steps(self, request: EmbeddingRequest, call: OfferCall, /) -> Steps[EmbeddingReply]:
        name = call.deployment.model.name.rpartition("/")[2]
        by_content = "gemini" in name and name != "gemini-embedding-001"
        tab, vectors = Tab(), list[list[float]]()
        for method, body in self._contents(request) if by_content else self._batches(request, name):
            answer = yield from ask(_post(self._vendor, call, method, body))
            if by_content:
                embedded = from_provider(_embedded, answer.body)
                vectors.append(embedded.embedding.values)
                yield tab.add(decode_usage(embedded.usage_metadata) or Usage())
            else:
                made = [each.embeddings for each in from_provider(_predictions, answer.body).predictions]
                vectors += [each.values for each in made]
                yield tab.add(Usage(input_tokens=_tokens(made)))
        if len(vectors) != len(request.input):
            raise UpstreamProtocolError("the provider's answer has not one vector for each text")
        return EmbeddingReply(model=request.model, vectors=tuple(vectors), usage=tab.usage)

    def _contents(self, request: EmbeddingRequest) -> Iterator[tuple[str, dict[str, Any]]]:
        for each in request.input:
            config = {
                "taskType": request.task,
                "title": each.title,
                "outputDimensionality": request.dimensions,
                "autoTruncate": False,
            }
            content = {"role": "user", "parts": [{"text": each.text}]}
            yield "embedContent", {"content": content, "embedContentConfig": _set(config)}

    def _batches(self, request: EmbeddingRequest, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        size = 1 if name.startswith("gemini") else _MOST_INSTANCES
        parameters = _set({"outputDimensionality": request.dimensions, "autoTruncate": False})
        for start in range(0, len(request.input), size):
            instances = [_instance(each, request.task) for each in request.input[start : start + size]]
            yield "predict", {"instances": instances, "parameters": parameters}


class VertexCount:
    """`:countTokens`, where all that counts stands beside the contents."""

    dialect = None

    def __init__(self, vendor: VertexProvider) -> None:
        self._vendor = vendor

    def check(self, request: ChatRequest, deployment: Deployment, /) -> tuple[str, ...]:
        return self._encoded(request, deployment)[1]

    def steps(self, request: ChatRequest, call: OfferCall, /) -> Steps[TokenCount]:
        body, _ = self._encoded(request, call.deployment)
        answer = yield from ask(_post(self._vendor, call, "countTokens", body))
        count: TokenCount = wire.operation_codec("gemini.count_tokens").decode_reply(Payload(answer.body), request)
        return count

    def _encoded(self, request: ChatRequest, deployment: Deployment) -> tuple[dict[str, Any], tuple[str, ...]]:
        bare, left_out = counted(request)
        encoded = wire.codec("gemini").encode_request(bare, deployment.model)
        body = {name: value for name, value in _members(encoded.body).items() if name in _COUNTED}
        chosen = () if request.tool_choice is None else ("tool_choice",)
        return body, (*left_out, *chosen, *encoded.dropped)


def _post(vendor: VertexProvider, call: OfferCall, method: str, body: dict[str, Any]) -> HttpRequest:
    headers = dict((("content-type", "application/json"), *vendor.own_headers(call)))
    return HttpRequest("POST", vendor.method_url(call.deployment, method), tuple(headers.items()), to_provider(body))


def _instance(text: EmbeddingInput, task: str | None) -> dict[str, Any]:
    return _set({"content": text.text, "task_type": task, "title": text.title})


def _tokens(made: list[_Embedding]) -> int | None:
    counts = [each.statistics.token_count for each in made if each.statistics is not None]
    known = [int(count) for count in counts if count is not None]
    return sum(known) if known else None


def _set(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


EMBEDDINGS = VertexEmbeddings(VERTEX)
COUNT_TOKENS = VertexCount(VERTEX)
