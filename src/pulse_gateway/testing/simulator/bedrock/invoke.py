"""Models with bodies of their own: Titan's and Cohere's embeddings, Cohere's ranking.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
/model-parameters-embed.html, /model-parameters-embed-v4.html and /rerank-api.html (read 2026-11-24)
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pulse_gateway.testing.simulator.bedrock.bodies import StrictBody, read_body
from pulse_gateway.testing.simulator.bedrock.errors import refuse
from pulse_gateway.testing.simulator.bedrock.models import BedrockModel
from pulse_gateway.testing.simulator.dice import Dice, identifier
from pulse_gateway.testing.simulator.tokens import count_text

__all__ = ["Invoked", "invoke"]

_Texts = Annotated[list[str], Meta(min_length=1, max_length=96)]
_TITAN_TOKENS = 8_192
_TITAN_CHARACTERS = 50_000


class Invoked(msgspec.Struct, frozen=True, kw_only=True):
    reply: dict[str, Any]
    input_tokens: int
    units: dict[str, int] = {}


class _Titan(StrictBody, rename="camel"):
    input_text: Annotated[str, Meta(min_length=1, max_length=_TITAN_CHARACTERS)]
    dimensions: Literal[256, 512, 1024] = 1024
    normalize: bool = True
    embedding_types: Annotated[list[Literal["float", "binary"]], Meta(min_length=1)] | UnsetType = UNSET


class _TitanOne(StrictBody, rename="camel"):
    input_text: Annotated[str, Meta(min_length=1, max_length=_TITAN_CHARACTERS)]


class _Cohere(StrictBody):
    texts: _Texts
    input_type: Literal["search_document", "search_query", "classification", "clustering"]
    truncate: Literal["NONE", "START", "END", "LEFT", "RIGHT"] | UnsetType = UNSET
    embedding_types: (
        Annotated[list[Literal["float", "int8", "uint8", "binary", "ubinary"]], Meta(min_length=1)] | UnsetType
    ) = UNSET
    output_dimension: Literal[256, 512, 1024, 1536] | UnsetType = UNSET  # version 4 on
    max_tokens: Annotated[int, Meta(ge=1)] | UnsetType = UNSET  # version 4 on


class _Rerank(StrictBody):
    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str], Meta(min_length=1, max_length=1000)]
    api_version: Annotated[int, Meta(ge=2)]
    top_n: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


def invoke(model: BedrockModel, model_id: str, body: bytes) -> Invoked:
    """Raises: Refusal for a body that is not this model's, or a model whose body nobody here knows."""
    if model.maker == "amazon" and model.name.startswith("titan-embed-text"):
        return _titan(model, body)
    if model.maker == "cohere" and model.name.startswith("embed"):
        return _cohere(model, body)
    if model.maker == "cohere" and model.name.startswith("rerank"):
        return _rerank(body)
    raise refuse(f"{model_id} has no body of its own here: use Converse")


def _titan(model: BedrockModel, body: bytes) -> Invoked:
    if model.name.startswith("titan-embed-text-v1"):  # has no settings
        text, size = read_body(body, _TitanOne).input_text, 1536
        reply: dict[str, Any] = {"embedding": _vector(text, size, unit=True)}
    else:
        asked = read_body(body, _Titan)
        text = asked.input_text
        vector = _vector(text, asked.dimensions, unit=asked.normalize)
        types = asked.embedding_types if asked.embedding_types is not UNSET else ["float"]
        forms = {"float": vector, "binary": [int(value > 0) for value in vector]}
        reply = {"embeddingsByType": {kind: forms[kind] for kind in types}}
        if "float" in types:
            reply["embedding"] = vector
    tokens = count_text(text)
    if tokens > _TITAN_TOKENS:
        raise refuse(
            f"400 Bad Request: Too many input tokens. Max input tokens: {_TITAN_TOKENS}, request input token count: {tokens} "
        )
    return Invoked(reply={**reply, "inputTextTokenCount": tokens}, input_tokens=tokens)


def _cohere(model: BedrockModel, body: bytes) -> Invoked:
    asked = read_body(body, _Cohere)
    fourth = model.name.startswith("embed-v4")
    if not fourth and (asked.output_dimension is not UNSET or asked.max_tokens is not UNSET):
        raise refuse(
            "Malformed input request: #: extraneous key [output_dimension] is not permitted, please reformat your input and try again."
        )
    size = asked.output_dimension if asked.output_dimension is not UNSET else 1536 if fourth else 1024
    vectors = [_vector(text, size, unit=True) for text in asked.texts]
    tokens = sum(count_text(text) for text in asked.texts)
    reply: dict[str, Any] = {"id": identifier("", body, "cohere", 32), "texts": asked.texts}
    if asked.embedding_types is UNSET:
        reply |= {"response_type": "embeddings_floats", "embeddings": vectors}
    else:
        forms = {kind: [_quantised(vector, kind) for vector in vectors] for kind in asked.embedding_types}
        reply |= {"response_type": "embeddings_by_type", "embeddings": forms}
    return Invoked(reply=reply, input_tokens=tokens)


def _rerank(body: bytes) -> Invoked:
    asked = read_body(body, _Rerank)
    words = set(asked.query.lower().split())
    scores = []
    for at, document in enumerate(asked.documents):
        shared = len(words & set(document.lower().split())) / len(words) if words else 0.0
        tie = Dice(blake2b(document.encode(), digest_size=16).digest(), asked.query).below(1000)
        scores.append({"index": at, "relevance_score": round(0.9 * shared + 0.0001 * tie, 6)})
    scores.sort(key=lambda score: (-float(score["relevance_score"]), score["index"]))
    kept = scores if asked.top_n is UNSET else scores[: asked.top_n]
    return Invoked(reply={"results": kept}, input_tokens=0, units={"searches": -(-len(asked.documents) // 100)})


def _vector(text: str, size: int, *, unit: bool) -> list[float]:
    dice = Dice(blake2b(text.encode(), digest_size=16).digest(), f"vector {size}")
    values = [dice.below(2001) / 1000 - 1 for _ in range(size)]
    length = sum(value * value for value in values) ** 0.5 if unit else 1.0
    return [value / length for value in values]


def _quantised(vector: list[float], kind: str) -> list[float] | list[int]:
    match kind:
        case "float":
            return vector
        case "int8":
            return [round(value * 127) for value in vector]
        case "uint8":
            return [round(value * 127) + 128 for value in vector]
    packed = [
        int("".join("1" if value > 0 else "0" for value in vector[at : at + 8]), 2) for at in range(0, len(vector), 8)
    ]
    return packed if kind == "ubinary" else [value - 128 for value in packed]
