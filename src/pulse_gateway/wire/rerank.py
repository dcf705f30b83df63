"""The dialect `cohere.rerank`: `POST /v1/rerank` as Cohere shaped it and Together, vLLM, OpenRouter and others took it over.

| Usage        | answer                                                                                  |
| ------------ | --------------------------------------------------------------------------------------- |
| searches     | meta.billed_units.search_units; one where neither these nor tokens are counted          |
| input_tokens | usage.prompt_tokens, else usage.total_tokens, else meta.tokens.input_tokens; 0 beside search units |

Source: https://docs.cohere.com/v1/reference/rerank and /v2/reference/rerank, https://docs.together.ai/docs/rerank-overview,
https://openrouter.ai/docs/api/api-reference/rerank/create-rerank (read 2026-11-24).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pulse_gateway.errors import InvalidRequest, PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.http import Payload
from pulse_gateway.types.rerank import RerankReply, RerankRequest, RerankResult
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import MAX_COUNT, Envelope
from pulse_gateway.wire.foreign_json import from_client, from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_chat.errors import encode_error, upstream_error
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.refusals import refuse_extra
from pulse_gateway.wire.whole_answer import WholeAnswer, note

__all__ = ["CohereRerank"]

_Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]


class _Head(msgspec.Struct):
    query: str
    documents: Annotated[list[str | dict[str, Any]], Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1)] | None = None
    top_n: _Count | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: _Count | None = None


class _BilledUnits(msgspec.Struct):
    search_units: float | None = None


class _Tokens(msgspec.Struct):
    input_tokens: float | None = None


class _Meta(msgspec.Struct):
    billed_units: _BilledUnits | None = None
    tokens: _Tokens | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    search_units: float | None = None  # OpenRouter


class _Result(msgspec.Struct):
    index: int
    relevance_score: float
    document: str | dict[str, Any] | None = None


class _Answer(msgspec.Struct):
    results: list[_Result] | None = None
    id: str | None = None
    model: str | None = None
    meta: _Meta | None = None
    usage: _Usage | None = None


class _Seen(msgspec.Struct):
    """What settling needs."""

    results: msgspec.Raw = msgspec.Raw()
    meta: _Meta | None = None
    usage: _Usage | None = None


_head = msgspec.json.Decoder(_Head).decode
_any = msgspec.json.Decoder().decode
_answer = msgspec.json.Decoder(_Answer).decode
_seen = msgspec.json.Decoder(_Seen).decode


class CohereRerank(WholeAnswer):
    dialect = "cohere.rerank"
    operation = "rerank"
    field_paths: FieldPaths = MappingProxyType(
        {name: (name,) for name in ("model", "query", "documents", "top_n", "return_documents", "max_tokens_per_doc")}
    )

    # ── for clients ───────────────────────────────────────────────────────────────────────────────────────────────────

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        head = from_client(_head, body.data)
        name = model or head.model
        if not name:
            raise InvalidRequest("model: is required", param="model")
        texts = [head.query]
        for document in head.documents:
            told = document if isinstance(document, str) else document.get("text")
            if isinstance(told, str):
                texts.append(told)
        return Envelope(model=name, stream=False, texts=texts, max_output_tokens=0, expected=Usage(searches=1))

    def decode_request(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> RerankRequest:
        name = self.read_envelope(body, model=model).model
        members = Members(from_client(_any, body.data))
        members.take("model")
        request = RerankRequest(
            model=name,
            query=members.need_text("query"),
            documents=tuple(members.take("documents")),
            top_n=members.integer("top_n"),
            return_documents=members.flag("return_documents"),
            max_tokens_per_doc=members.integer("max_tokens_per_doc"),
        )
        extra, _ = members.leftovers()
        return msgspec.structs.replace(request, extra=extra)

    def encode_reply(self, reply: RerankReply, request: RerankRequest) -> Payload:
        results: list[dict[str, Any]] = []
        for result in reply.results:
            said: dict[str, Any] = {"index": result.index, "relevance_score": result.score}
            if request.return_documents:
                said["document"] = result.document or _document(request.documents[result.index])
            results.append(said)
        usage = reply.usage or Usage(searches=1)
        meta: dict[str, Any] = {"api_version": {"version": "1"}, "billed_units": {"search_units": usage.searches or 0}}
        if usage.input_tokens:
            meta["tokens"] = {"input_tokens": usage.input_tokens}
        body = {
            "id": reply.id,
            "model": reply.model or request.model,
            "results": results,
            "meta": meta,
        }
        return Payload(msgspec.json.encode(body))

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        """Cohere's clients read `message`, those of everybody else `error`."""
        return set_members(encode_error(error, request_id), message=error.message)

    # ── for vendors ───────────────────────────────────────────────────────────────────────────────────────────────────

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        return Payload(set_members(body.data, model=model), body.content_type)

    def encode_request(self, request: RerankRequest, model: Model) -> EncodedPayload:
        refuse_extra(request.extra, model)
        body: dict[str, Any] = {
            "model": model.name,
            "query": request.query,
            "documents": request.documents,
            "top_n": request.top_n,
            "return_documents": request.return_documents,
            "max_tokens_per_doc": request.max_tokens_per_doc,
        }
        return EncodedPayload(Payload(to_provider({name: value for name, value in body.items() if value is not None})))

    def decode_reply(self, answer: Payload, request: RerankRequest) -> RerankReply:
        read = from_provider(_answer, answer.data)
        if read.results is None:
            raise upstream_error(200, (), answer.data)
        if any(not 0 <= result.index < len(request.documents) for result in read.results):
            raise not_of_protocol("a result is of no document")
        return RerankReply(
            id=read.id or "",
            model=read.model or "",
            results=tuple(
                RerankResult(
                    index=result.index,
                    score=result.relevance_score,
                    document=None if result.document is None else _document(result.document),
                )
                for result in read.results
            ),
            usage=_usage(read.meta, read.usage),
        )

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        seen = from_provider(_seen, answer.data)
        if not seen.results:
            raise upstream_error(200, (), answer.data)
        note(reading, _usage(seen.meta, seen.usage))


def _document(document: str | dict[str, Any]) -> dict[str, Any]:
    return {"text": document} if isinstance(document, str) else document


def _usage(meta: _Meta | None, counts: _Usage | None) -> Usage:
    """Sold by the search or by the token: what the vendor counts is what it bills."""
    meta, counts = meta or _Meta(), counts or _Usage()
    units = counts.search_units if meta.billed_units is None else meta.billed_units.search_units
    if units is not None:
        return Usage(input_tokens=0, searches=max(0, int(units)))
    tokens = counts.total_tokens if counts.prompt_tokens is None else counts.prompt_tokens
    if tokens is None and meta.tokens is not None and meta.tokens.input_tokens is not None:
        tokens = int(meta.tokens.input_tokens)
    return Usage(searches=1) if tokens is None else Usage(input_tokens=tokens)
