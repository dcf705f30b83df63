"""Which path speaks which dialect."""

from __future__ import annotations

import msgspec

from pulse_gateway.errors import InvalidRequest, RouteNotFound

__all__ = ["FIXED", "Route", "gemini_route"]


class Route(msgspec.Struct, frozen=True):
    """`model` and `stream` are set where the path says them."""

    dialect: str
    operation: str = "chat"
    model: str | None = None
    stream: bool | None = None


FIXED = {
    "/v1/chat/completions": Route("openai.chat"),
    "/v1/messages": Route("anthropic.messages"),
    "/v1/videos": Route("openai.videos", "videos"),
}

_GEMINI_METHODS = {"generateContent": False, "streamGenerateContent": True}


def gemini_route(rest: str, alt: str | None) -> Route:
    """The route of `/v1beta/models/{rest}`, where `rest` is `MODEL:METHOD` and `alt` the query's.

    Raises: RouteNotFound for another method, InvalidRequest for a stream that is not asked for as events.
    """
    model, separator, method = rest.rpartition(":")
    if not separator or not model or method not in _GEMINI_METHODS:
        raise RouteNotFound(f"there is no method {method!r} here; known: {', '.join(_GEMINI_METHODS)}")
    stream = _GEMINI_METHODS[method]
    if stream and alt != "sse":
        raise InvalidRequest("streams are served as server-sent events; add ?alt=sse to the address", param="alt")
    return Route("gemini", model=model, stream=stream)
