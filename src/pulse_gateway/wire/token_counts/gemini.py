"""The dialect `gemini.count_tokens`: `:countTokens` of some contents, or of a whole `generateContentRequest`.

Source: https://ai.google.dev/api/tokens; `types.CountTokensResponse` of google-genai 3.4 (read 2026-11-24).
"""

from __future__ import annotations

from types import MappingProxyType

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.token_counts import TokenCount
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.foreign_json import from_client, from_provider, joined
from pulse_gateway.wire.gemini.codec import GeminiCodec
from pulse_gateway.wire.gemini.fields import decode_object, given_twice
from pulse_gateway.wire.gemini.resources import rename_model, resource_name, same_model
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.token_counts.counted import Counting, counted

__all__ = ["GeminiCountTokens"]

_WHOLE = "generateContentRequest"
_SNAKE = "generate_content_request"


class _Wrapped(msgspec.Struct):
    camel: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name=_WHOLE)
    snake: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name=_SNAKE)


class _Named(msgspec.Struct):
    model: str | None = None


class _Answer(msgspec.Struct, rename="camel"):
    total_tokens: int = 0  # zero is left out, as protobuf's JSON does
    cached_content_token_count: int | None = None


_wrapped = msgspec.json.Decoder(_Wrapped).decode
_named = msgspec.json.Decoder(_Named).decode
_answer = msgspec.json.Decoder(_Answer).decode


class GeminiCountTokens(Counting):
    dialect = "gemini.count_tokens"
    chat = GeminiCodec.dialect
    field_paths: FieldPaths = MappingProxyType(
        {name: (*paths, *(f"{_WHOLE}.{path}" for path in paths)) for name, paths in GeminiCodec.field_paths.items()}
    )

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        whole = _whole(body)
        if whole is None:
            return super().read_envelope(body, model=model)
        try:
            named = from_client(_named, whole.data).model
            if named is not None and not same_model(named, model or ""):
                raise InvalidRequest("model: is not the model of the path", param="model")
            return super().read_envelope(whole, model=model)
        except InvalidRequest as error:
            raise _inside(error) from error

    def decode_request(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
        whole = _whole(body)
        if whole is None:
            return super().decode_request(body, model=model)
        try:
            request = super().decode_request(whole, model=model)
        except InvalidRequest as error:
            raise _inside(error) from error
        top = decode_object(body.data)
        top.take(_WHOLE)
        beside, _ = top.leftovers()
        return msgspec.structs.replace(
            request,
            messages=tuple(msgspec.structs.replace(each, path=f"{_WHOLE}.{each.path}") for each in request.messages),
            extra={**beside, **{f"{_WHOLE}.{path}": value for path, value in request.extra.items()}},
            hints={f"{_WHOLE}.{path}": value for path, value in request.hints.items()},
        )

    def encode_reply(self, reply: TokenCount, request: ChatRequest) -> Payload:
        body = {"totalTokens": reply.input_tokens}
        if reply.cached_tokens is not None:
            body["cachedContentTokenCount"] = reply.cached_tokens
        return Payload(msgspec.json.encode(body))

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        """The model is in the path, and in a whole request once more."""
        set_members(body.data)  # refuses a key that occurs twice
        wrapped = _wrapped(body.data)
        for name, raw in ((_WHOLE, wrapped.camel), (_SNAKE, wrapped.snake)):
            if raw:
                renamed = rename_model(bytes(raw), model)
                if renamed != bytes(raw):
                    return Payload(set_members(body.data, **{name: msgspec.Raw(renamed)}), body.content_type)
        return body

    def encode_request(self, request: ChatRequest, model: Model) -> EncodedPayload:
        bare, left_out = counted(request)
        encoded = self._chat().encode_request(bare, model)
        whole = set_members(encoded.body, model=resource_name(model.name))
        body = msgspec.json.encode({_WHOLE: msgspec.Raw(whole)})
        return EncodedPayload(Payload(body), (*left_out, *encoded.dropped))

    def decode_reply(self, answer: Payload, request: ChatRequest) -> TokenCount:
        read = from_provider(_answer, answer.data)
        return TokenCount(input_tokens=read.total_tokens, cached_tokens=read.cached_content_token_count)


def _whole(body: Payload) -> Payload | None:
    """The whole request that the body wraps, if it does.

    Raises: InvalidRequest.
    """
    wrapped = from_client(_wrapped, body.data)
    if wrapped.camel and wrapped.snake:
        raise given_twice(_WHOLE)
    raw = wrapped.camel or wrapped.snake
    return Payload(bytes(raw), body.content_type) if raw else None


def _inside(error: InvalidRequest) -> InvalidRequest:
    """`error` as it looks from outside of the whole request."""
    path = joined(_WHOLE, error.param or "")
    return type(error)(f"{_WHOLE}: {error.message}", param=path)
