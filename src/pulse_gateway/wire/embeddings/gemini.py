"""The dialects `gemini.embed_content` and `gemini.batch_embed_contents`: one text to a vector, or several to one each.

A content is one input, whatever its parts: the official SDK writes a list of texts as several contents, but for the model
`gemini-embedding-2` as several parts of one, which become one vector. Only a content of one text has a counterpart elsewhere.

Source: https://ai.google.dev/api/embeddings and `models.embed_content` of google-genai 3.4 (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest, PulseError, UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import MAX_COUNT, Envelope
from pulse_gateway.wire.embeddings.gemini_usage import UsageMetadata, decode_usage, encode_usage
from pulse_gateway.wire.foreign_json import from_client, from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.gemini.errors import embedded_error, error_body
from pulse_gateway.wire.gemini.fields import Fields, camel, decode_object
from pulse_gateway.wire.gemini.resources import rename_model, resource_name, same_model
from pulse_gateway.wire.json_items import map_items
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.refusals import refuse_extra, unsupported
from pulse_gateway.wire.whole_answer import WholeAnswer, note

__all__ = ["GeminiBatchEmbedContents", "GeminiEmbedContent"]

_NO_TASK = "TASK_TYPE_UNSPECIFIED"


class _Vector(msgspec.Struct):
    values: list[float]


class _Answer(msgspec.Struct, rename="camel"):
    """Of either method."""

    embedding: _Vector | None = None
    embeddings: list[_Vector] | None = None
    usage_metadata: UsageMetadata | None = None
    error: Any = None


class _Seen(msgspec.Struct, rename="camel"):
    """What settling needs: the vectors themselves stay unread."""

    embedding: msgspec.Raw = msgspec.Raw()
    embeddings: msgspec.Raw = msgspec.Raw()
    usage_metadata: UsageMetadata | None = None
    error: Any = None


class _Blob(msgspec.Struct):
    """Media: that they are there is enough."""


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    inline_data: _Blob | None = None
    inline_data_snake: _Blob | None = msgspec.field(default=None, name="inline_data")
    file_data: _Blob | None = None
    file_data_snake: _Blob | None = msgspec.field(default=None, name="file_data")


class _Content(msgspec.Struct):
    parts: list[_Part] | _Part | None = None


class _One(msgspec.Struct):
    content: _Content
    model: str | None = None


class _Many(msgspec.Struct):
    requests: list[_One]


_one = msgspec.json.Decoder(_One).decode
_many = msgspec.json.Decoder(_Many).decode
_answer = msgspec.json.Decoder(_Answer).decode
_seen = msgspec.json.Decoder(_Seen).decode
_PATHS = {
    "model": "model",
    "input": "content",
    "dimensions": "outputDimensionality",
    "task": "taskType",
    "title": "title",
}


class _GeminiEmbeddings(WholeAnswer):
    operation = "embeddings"

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return msgspec.json.encode(error_body(error, request_id))

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        seen = from_provider(_seen, answer.data)
        if seen.error is not None:
            raise embedded_error(seen.error)
        if not (seen.embedding or seen.embeddings):
            raise not_of_protocol("it holds no vectors")
        note(reading, decode_usage(seen.usage_metadata))

    def decode_reply(self, answer: Payload, request: EmbeddingRequest) -> EmbeddingReply:
        read = from_provider(_answer, answer.data)
        if read.error is not None:
            raise embedded_error(read.error)
        found = read.embeddings or ([] if read.embedding is None else [read.embedding])
        if len(found) != len(request.input):
            raise not_of_protocol(f"{len(found)} vectors for {len(request.input)} inputs")
        vectors = tuple(each.values for each in found)
        return EmbeddingReply(model=request.model, vectors=vectors, usage=decode_usage(read.usage_metadata))


class GeminiEmbedContent(_GeminiEmbeddings):
    dialect = "gemini.embed_content"
    field_paths: FieldPaths = MappingProxyType({name: (path,) for name, path in _PATHS.items()})

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        return _envelope([from_client(_one, body.data, spell=camel)], model, [""])

    def decode_request(
        self, body: Payload, *, model: str | None = None, stream: bool | None = None
    ) -> EmbeddingRequest:
        self.read_envelope(body, model=model)
        return _request([decode_object(body.data)], model or "")

    def encode_reply(self, reply: EmbeddingReply, request: EmbeddingRequest) -> Payload:
        return _said({"embedding": {"values": reply.vectors[0]}}, reply.usage)

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        return Payload(rename_model(body.data, model), body.content_type)

    def encode_request(self, request: EmbeddingRequest, model: Model) -> EncodedPayload:
        if len(request.input) > 1:
            raise unsupported(model, "input", "embeds one input at a time here")
        (written,), dropped = _written(request, model)
        return EncodedPayload(Payload(to_provider(written)), dropped)


class GeminiBatchEmbedContents(_GeminiEmbeddings):
    dialect = "gemini.batch_embed_contents"
    field_paths: FieldPaths = MappingProxyType({name: (f"requests[].{path}",) for name, path in _PATHS.items()})

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        requests = from_client(_many, body.data, spell=camel).requests
        if not requests:
            raise InvalidRequest("requests: expected at least one request", param="requests")
        return _envelope(requests, model, [f"requests[{place}]." for place in range(len(requests))])

    def decode_request(
        self, body: Payload, *, model: str | None = None, stream: bool | None = None
    ) -> EmbeddingRequest:
        self.read_envelope(body, model=model)
        top = decode_object(body.data)
        return _request(top.children("requests"), model or "", top)

    def encode_reply(self, reply: EmbeddingReply, request: EmbeddingRequest) -> Payload:
        return _said({"embeddings": [{"values": vector} for vector in reply.vectors]}, reply.usage)

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        """Each of the requests repeats the model."""
        set_members(body.data)  # refuses a key that occurs twice
        requests = _requests(body.data).requests
        renamed = map_items(bytes(requests), lambda request: rename_model(request, model))
        changed = bytes(requests) != renamed
        return Payload(
            set_members(body.data, requests=msgspec.Raw(renamed)) if changed else body.data, body.content_type
        )

    def encode_request(self, request: EmbeddingRequest, model: Model) -> EncodedPayload:
        written, dropped = _written(request, model)
        return EncodedPayload(Payload(to_provider({"requests": written})), dropped)


class _Requests(msgspec.Struct):
    requests: msgspec.Raw


_requests = msgspec.json.Decoder(_Requests).decode


def _envelope(requests: Sequence[_One], model: str | None, paths: Sequence[str]) -> Envelope:
    """Raises: InvalidRequest."""
    if not model:
        raise InvalidRequest("the path names no model", param="model")
    texts: list[str] = []
    attachments = 0
    for request, path in zip(requests, paths, strict=True):
        if request.model is not None and not same_model(request.model, model):
            raise InvalidRequest(f"{path}model: is not the model of the path", param=f"{path}model")
        parts = request.content.parts
        if not parts:
            raise InvalidRequest(f"{path}content.parts: is required", param=f"{path}content.parts")
        for part in parts if isinstance(parts, list) else (parts,):
            if part.text is not None:
                texts.append(part.text)
            if part.inline_data or part.inline_data_snake or part.file_data or part.file_data_snake:
                attachments += 1
    return Envelope(model=model, stream=False, texts=texts, attachments=attachments, max_output_tokens=0)


def _request(requests: Sequence[Fields], model: str, top: Fields | None = None) -> EmbeddingRequest:
    """The neutral request. Raises: InvalidRequest, UnsupportedParameter for requests of a batch that differ in what all share."""
    inputs: list[EmbeddingInput] = []
    shared: list[tuple[str | None, int | None]] = []
    for request in requests:
        request.take("model")
        request.skip("taskType", _NO_TASK)
        shared.append((request.text("taskType"), request.integer("outputDimensionality", least=1, most=MAX_COUNT)))
        for name, one, first in zip(("taskType", "outputDimensionality"), shared[-1], shared[0], strict=True):
            if one != first:
                path = request.at(name)
                raise UnsupportedParameter(f"{path}: differs from that of the first request", param=path)
        inputs.append(_input(request.need_child("content"), request.text("title")))
    extra, _ = (top or requests[0]).leftovers()
    task, dimensions = shared[0]
    return EmbeddingRequest(model=model, input=tuple(inputs), dimensions=dimensions, task=task, extra=extra)


def _input(content: Fields, title: str | None) -> EmbeddingInput:
    """A content that is not one text is left over."""
    content.take("role")
    parts = content.children("parts")
    text = parts[0].text("text")
    if len(parts) > 1:
        content.leave()
    return EmbeddingInput(text or "", title=title)


def _written(request: EmbeddingRequest, model: Model) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """A request for each input, and the hints that have no place in them."""
    refuse_extra(request.extra, model)
    if request.has_tokens:
        raise unsupported(model, "input", "embeds texts, not lists of tokens")
    rest = {"taskType": request.task, "outputDimensionality": request.dimensions}
    written = [
        {
            "model": resource_name(model.name),
            "content": {"parts": [{"text": each.text}]},
            **{name: value for name, value in (*rest.items(), ("title", each.title)) if value is not None},
        }
        for each in request.input
    ]
    return written, () if request.user is None else ("user",)


def _said(body: dict[str, Any], usage: Usage | None) -> Payload:
    if usage is not None:
        body["usageMetadata"] = encode_usage(usage)
    return Payload(msgspec.json.encode(body))
