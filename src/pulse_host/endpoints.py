"""Which path speaks which dialect."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from pulse_gateway.errors import InvalidRequest, RouteNotFound

__all__ = ["FIXED", "Route", "gemini_methods", "gemini_route", "route_of"]


class Route(msgspec.Struct, frozen=True):
    """`model` and `stream` are set where the path says them. `array`: the stream is wanted as one JSON array."""

    dialect: str
    operation: str = "chat"
    model: str | None = None
    stream: bool | None = None
    array: bool = False


FIXED = {
    "/v1/chat/completions": Route("openai.chat"),
    "/v1/responses": Route("openai.responses"),
    "/v1/messages": Route("anthropic.messages"),
    "/v1/messages/count_tokens": Route("anthropic.count_tokens", "count_tokens"),
    "/v1/responses/input_tokens": Route("openai.responses.input_tokens", "count_tokens"),
    "/v1/embeddings": Route("openai.embeddings", "embeddings"),
    "/v1/images/generations": Route("openai.images.generations", "images"),
    "/v1/images/edits": Route("openai.images.edits", "image_edits"),
    "/v1/audio/speech": Route("openai.speech", "speech"),
    "/v1/audio/transcriptions": Route("openai.transcriptions", "transcription"),
    "/v1/audio/translations": Route("openai.translations", "translation"),
    "/v1/moderations": Route("openai.moderations", "moderation"),
    "/v1/rerank": Route("cohere.rerank", "rerank"),
    "/v1/videos": Route("openai.videos", "videos"),
}

_GEMINI_METHODS = {
    "generateContent": Route("gemini", stream=False),
    "streamGenerateContent": Route("gemini", stream=True),
    "embedContent": Route("gemini.embed_content", "embeddings"),
    "batchEmbedContents": Route("gemini.batch_embed_contents", "embeddings"),
    "countTokens": Route("gemini.count_tokens", "count_tokens"),
}


def gemini_route(rest: str, alt: str | None) -> Route:
    """The route of `/v1beta/models/{rest}`, where `rest` is `MODEL:METHOD` and `alt` the query's.

    Raises: RouteNotFound for another method, InvalidRequest for a form of answer that is not served.
    """
    model, separator, method = rest.rpartition(":")
    if not separator or not model or method not in _GEMINI_METHODS:
        raise RouteNotFound(f"there is no method {method!r} here; known: {', '.join(_GEMINI_METHODS)}")
    route = _GEMINI_METHODS[method]
    if alt not in {None, "json", "sse"}:
        raise InvalidRequest("alt: is none of json, sse", param="alt")
    return msgspec.structs.replace(route, model=model, array=bool(route.stream) and alt != "sse")


_BY_DIALECT = {
    **{(route.dialect, stream): path for path, route in FIXED.items() for stream in (False, True)},
    **{
        (route.dialect, stream): f"/v1beta/models/{{model}}:{method}"
        for method, route in _GEMINI_METHODS.items()
        for stream in (False, True)
        if route.stream in {None, stream}
    },
}


def route_of(dialect: str, *, stream: bool) -> str | None:
    """The path that speaks `dialect`, with `{model}` for the model in it; of two that are the same, the first."""
    return _BY_DIALECT.get((dialect, stream))


def gemini_methods(operations: Collection[str]) -> list[str]:
    """What Gemini's clients may call of a model that is for `operations`."""
    return [method for method, route in _GEMINI_METHODS.items() if route.operation in operations]
