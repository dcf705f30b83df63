"""The dialect `openai.embeddings`: `POST /v1/embeddings`, and what other vendors made of it.

Source: `openai/types/embedding_create_params.py` and `create_embedding_response.py` of openai 3.54.0 (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from pulse_gateway.errors import InvalidRequest, PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingReply, EmbeddingRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import MAX_COUNT, Envelope
from pulse_gateway.wire.embeddings.vectors import from_base64, to_base64
from pulse_gateway.wire.foreign_json import from_client, from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_chat.errors import encode_error, upstream_error
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.refusals import refuse_extra, unsupported
from pulse_gateway.wire.token_estimate import estimate_prompt_tokens
from pulse_gateway.wire.whole_answer import WholeAnswer, note

__all__ = ["OpenAIEmbeddings"]

_Token = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
_Item = str | _Token | list[_Token] | dict[str, Any]  # objects are what compatible vendors add, for images
_FORMATS = ("float", "base64")


class _Head(msgspec.Struct):
    input: str | Annotated[list[_Item], Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1)] | None = None
    encoding_format: str | None = None
    dimensions: Annotated[int, Meta(ge=1, le=MAX_COUNT)] | None = None
    user: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Vector] | None = None
    model: str | None = None
    usage: _Usage | None = None
    error: Raw = Raw()


class _Seen(msgspec.Struct):
    """What settling needs: the vectors themselves stay unread."""

    data: Raw = Raw()
    usage: _Usage | None = None


_head = msgspec.json.Decoder(_Head).decode
_any = msgspec.json.Decoder().decode
_answer = msgspec.json.Decoder(_Answer).decode
_seen = msgspec.json.Decoder(_Seen).decode


class OpenAIEmbeddings(WholeAnswer):
    dialect = "openai.embeddings"
    operation = "embeddings"
    field_paths: FieldPaths = MappingProxyType(
        {
            "model": ("model",),
            "input": ("input",),
            "dimensions": ("dimensions",),
            "encoding": ("encoding_format",),
            "user": ("user",),
        }
    )

    # ── for clients ───────────────────────────────────────────────────────────────────────────────────────────────────

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        head = from_client(_head, body.data)
        name = model or head.model
        if not name:
            raise InvalidRequest("model: is required", param="model")
        texts, attachments, tokens = _read_input(head.input)
        return Envelope(
            model=name,
            stream=False,
            texts=texts,
            attachments=attachments,
            max_output_tokens=0,
            expected=Usage(input_tokens=tokens),
        )

    def decode_request(
        self, body: Payload, *, model: str | None = None, stream: bool | None = None
    ) -> EmbeddingRequest:
        self.read_envelope(body, model=model)
        members = Members(from_client(_any, body.data))
        named = members.text("model")
        written = members.peek("input")
        inputs = [] if isinstance(written, list) and isinstance(written[0], dict) else _inputs(members.take("input"))
        encoding: Any = members.word("encoding_format", _FORMATS)
        dimensions = members.integer("dimensions", least=1, most=MAX_COUNT)
        user = members.text("user")
        extra, _ = members.leftovers()
        return EmbeddingRequest(
            model=model or named or "",
            input=tuple(inputs),
            dimensions=dimensions,
            encoding=encoding or "float",
            user=user,
            extra=extra,
        )

    def encode_reply(self, reply: EmbeddingReply, request: EmbeddingRequest) -> Payload:
        encode: Any = to_base64 if request.encoding == "base64" else list
        vectors = [
            {"object": "embedding", "index": index, "embedding": encode(vector)}
            for index, vector in enumerate(reply.vectors)
        ]
        tokens = estimated_tokens(request) if reply.usage is None else reply.usage.input_total
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        model = reply.model or request.model
        return Payload(msgspec.json.encode({"object": "list", "data": vectors, "model": model, "usage": usage}))

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return encode_error(error, request_id)

    # ── for vendors ───────────────────────────────────────────────────────────────────────────────────────────────────

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        return Payload(set_members(body.data, model=model), body.content_type)

    def encode_request(self, request: EmbeddingRequest, model: Model) -> EncodedPayload:
        refuse_extra(request.extra, model)
        if request.task is not None:
            raise unsupported(model, "task", "is not told what an embedding is for")
        if any(each.title is not None for each in request.input):
            raise unsupported(model, "title", "is not told the titles of documents")
        body: dict[str, Any] = {
            "model": model.name,
            "input": [each.text if each.tokens is None else each.tokens for each in request.input],
            "dimensions": request.dimensions,
            "user": request.user,
        }
        return EncodedPayload(Payload(to_provider({name: value for name, value in body.items() if value is not None})))

    def decode_reply(self, answer: Payload, request: EmbeddingRequest) -> EmbeddingReply:
        read = from_provider(_answer, answer.data)
        if read.data is None:
            if read.error:
                raise upstream_error(200, (), answer.data)
            raise not_of_protocol("it holds no vectors")
        if len(read.data) != len(request.input):
            raise not_of_protocol(f"{len(read.data)} vectors for {len(request.input)} inputs")
        places = enumerate(read.data)
        ordered = [each for _, each in sorted(places, key=lambda at: at[0] if at[1].index is None else at[1].index)]
        return EmbeddingReply(
            model=read.model or "",
            vectors=tuple(
                from_base64(each.embedding) if isinstance(each.embedding, str) else each.embedding for each in ordered
            ),
            usage=_usage(read.usage),
        )

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        seen = from_provider(_seen, answer.data)
        if not seen.data:
            raise upstream_error(200, (), answer.data)
        note(reading, _usage(seen.usage))


def estimated_tokens(request: EmbeddingRequest) -> int:
    """Of all inputs, while no vendor has counted them."""
    tokens = sum(len(each.tokens) for each in request.input if each.tokens is not None)
    texts = [each.text for each in request.input if each.tokens is None]
    return tokens + estimate_prompt_tokens(texts)


def _usage(counts: _Usage | None) -> Usage | None:
    """`prompt_tokens`, all of them fresh input; a vendor that counts only the total counts the same."""
    tokens = None if counts is None else counts.total_tokens if counts.prompt_tokens is None else counts.prompt_tokens
    return None if tokens is None else Usage(input_tokens=tokens)


def _read_input(written: str | list[Any]) -> tuple[Sequence[str], int, int | None]:
    """Texts, attachments, and how many tokens it is where they are listed.

    Raises: InvalidRequest for a list that mixes forms.
    """
    if isinstance(written, str):
        return [written], 0, None
    kind = type(written[0])
    for place, item in enumerate(written):
        if type(item) is not kind:
            raise InvalidRequest("input: holds several kinds of input", param=f"input[{place}]")
    if kind is str:
        return written, 0, None
    if kind is int:
        return (), 0, len(written)
    if kind is dict:
        return (), len(written), None
    for place, item in enumerate(written):
        if not item:
            raise InvalidRequest(f"input[{place}]: expected at least one token", param=f"input[{place}]")
    return (), 0, sum(map(len, written))


def _inputs(written: Any) -> list[EmbeddingInput]:
    """Checked before."""
    if isinstance(written, str):
        return [EmbeddingInput(written)]
    if isinstance(written[0], int):
        return [EmbeddingInput(tokens=tuple(written))]
    return [EmbeddingInput(each) if isinstance(each, str) else EmbeddingInput(tokens=tuple(each)) for each in written]
