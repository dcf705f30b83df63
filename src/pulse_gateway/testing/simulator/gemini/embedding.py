"""`:embedContent` and `:batchEmbedContents`, at the Developer API and on Vertex.

Source: https://ai.google.dev/gemini-api/docs/embeddings (read 2026-11-24) and google-genai 3.4.0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.gemini.errors import malformed, refuse
from pulse_gateway.testing.simulator.gemini.models import traits_of
from pulse_gateway.testing.simulator.gemini.platforms import VERTEX
from pulse_gateway.testing.simulator.gemini.rendering import token_details
from pulse_gateway.testing.simulator.gemini.schema import Content, Strict
from pulse_gateway.testing.simulator.gemini.turns import Conversation
from pulse_gateway.testing.simulator.gemini.vendor import JSON, Gemini
from pulse_gateway.testing.simulator.openai.embeddings import unit_vector
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request, Target

__all__ = ["DIMENSIONS", "TaskType", "embed"]

_ENCODE = msgspec.json.encode
_MOST_REQUESTS = 100
_TEXT_ONLY = frozenset({"gemini-embedding-001"})
_MOST_TEXT_TOKENS = 2048
_MOST_TOKENS = 8192
DIMENSIONS = 3072
TaskType = Literal[
    "TASK_TYPE_UNSPECIFIED",
    "RETRIEVAL_QUERY",
    "RETRIEVAL_DOCUMENT",
    "SEMANTIC_SIMILARITY",
    "CLASSIFICATION",
    "CLUSTERING",
    "QUESTION_ANSWERING",
    "FACT_VERIFICATION",
    "CODE_RETRIEVAL_QUERY",
]


class _Settings(Strict):
    task_type: TaskType | None = None
    title: str | None = None
    output_dimensionality: Annotated[int, Meta(ge=1, le=DIMENSIONS)] | None = None


class EmbedContentRequest(_Settings, kw_only=True):
    content: Content
    model: str | None = None


class BatchEmbedContentsRequest(Strict):
    requests: Annotated[list[EmbedContentRequest], Meta(min_length=1)]


class EmbedContentConfig(_Settings):
    auto_truncate: bool = True
    document_ocr: bool | None = None
    audio_track_extraction: bool | None = None


class VertexEmbedContentRequest(Strict):
    content: Content
    model: str | None = None
    embed_content_config: EmbedContentConfig = msgspec.field(default_factory=EmbedContentConfig)


class VertexBatchEmbedContentsRequest(Strict):
    requests: Annotated[list[VertexEmbedContentRequest], Meta(min_length=1)]


class _Input(msgspec.Struct, frozen=True):
    """One content, read."""

    key: str  # what the vector depends on
    dimensions: int
    tokens: int
    modalities: dict[str, int]
    truncated: bool


def embed(vendor: Gemini, seed: int, request: Request, target: Target) -> Work:
    """Raises: Refusal."""
    model, spec = split_model(target.model)
    method = request.path.rpartition(":")[2]
    vendor.check_model(model, method)
    batch = method == "batchEmbedContents"
    on_vertex = vendor.platform is VERTEX
    asked = _asked(vendor.body(request), batch=batch, on_vertex=on_vertex)
    inputs: list[_Input] = []
    for at, each in enumerate(asked):
        where = f"BatchEmbedContentsRequest.requests[{at}]" if batch else "EmbedContentRequest"
        if each.model is None and batch and not on_vertex:
            raise refuse(f"* {where}.model: model is required.")
        if each.model is not None and each.model.rpartition("/")[2] not in {target.model, model}:
            raise refuse(f"* {where}.model: must be the model of the path.")
        settings = each.embed_content_config if isinstance(each, VertexEmbedContentRequest) else each
        inputs.append(_read(each.content, settings, where, Tally(seed, vendor.name, model), seed, model))
    total = sum(each.tokens for each in inputs)

    def render(faults: Faults) -> list[Frame]:
        vectors = [{"values": unit_vector(seed, model, each.key, each.dimensions).tolist()} for each in inputs]
        reply: dict[str, Any] = {"embeddings": vectors} if batch else {"embedding": vectors[0]}
        if on_vertex and not batch:
            reply["truncated"] = inputs[0].truncated
        if not faults.no_usage:
            modalities: Counter[str] = Counter()
            for each in inputs:
                modalities.update(each.modalities)
            details = token_details(total, modalities)
            reply["usageMetadata"] = {
                "promptTokenCount": total,
                "promptTokensDetails": details,
                "totalTokenCount": total,
            }
        return [Frame(_ENCODE(reply))]

    return Work(model=target.model, fault_spec=spec, content_type=JSON, render=render, usage=Usage(input=total))


def _asked(body: Any, *, batch: bool, on_vertex: bool) -> Sequence[EmbedContentRequest | VertexEmbedContentRequest]:
    message = "BatchEmbedContentsRequest" if batch else "EmbedContentRequest"
    try:
        if not batch:
            one: Any = VertexEmbedContentRequest if on_vertex else EmbedContentRequest
            return [msgspec.convert(body, one)]
        many: Any = VertexBatchEmbedContentsRequest if on_vertex else BatchEmbedContentsRequest
        requests: Sequence[Any] = msgspec.convert(body, many).requests
    except msgspec.ValidationError as error:
        raise malformed(error, message) from error
    if len(requests) > _MOST_REQUESTS:
        raise refuse("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch")
    return requests


def _read(content: Content, settings: _Settings, where: str, tally: Tally, seed: int, model: str) -> _Input:
    if settings.title is not None and settings.task_type != "RETRIEVAL_DOCUMENT":
        raise refuse(f"* {where}.title: a title is only for the task type RETRIEVAL_DOCUMENT.")
    if content.role not in {"", "user"}:
        raise refuse("Please use a valid role: user.")
    if not content.parts or any(part.text == "" for part in content.parts):
        raise refuse(f"* {where}.content: content must not be empty.")
    if model in _TEXT_ONLY and any(part.text is None for part in content.parts):
        raise refuse(f"* {where}.content: this model only embeds text.")
    if settings.title is not None:
        tally.text(settings.title)
    conversation = Conversation(tally, seed, traits_of(model))
    conversation.read([Content(parts=content.parts, role="user")])
    most, tokens = (_MOST_TEXT_TOKENS if model in _TEXT_ONLY else _MOST_TOKENS), tally.tokens
    truncated = tokens > most
    if truncated and not (isinstance(settings, EmbedContentConfig) and settings.auto_truncate):
        raise refuse(f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({most}).")
    key = f"{settings.task_type or ''} {tally.digest.hex()}"
    return _Input(
        key, settings.output_dimensionality or DIMENSIONS, min(tokens, most), conversation.modalities, truncated
    )
