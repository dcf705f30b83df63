"""Errors of the product's own routes → responses, in the shape that interface documents promise."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from pulse_gateway.errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    PermissionDenied,
    PulseError,
    RequestTooLarge,
    RouteNotFound,
    Unauthenticated,
)
from pulse_gateway.limits.headers import refusal_headers
from pulse_gateway.wire import registry as wire
from pulse_host.request_head import request_id_of

__all__ = ["EXCEPTION_HANDLERS"]

_log = logging.getLogger("pulse_host")
_DIALECTS = (
    (
        "/v1beta/interactions",
        "openai.chat",
    ),  # Google's own errors there are a code in words and a message, as OpenAI's are
    ("/v1beta/", "gemini"),
    ("/v1/messages", "anthropic.messages"),
    ("/v1/rerank", "cohere.rerank"),
)
_KINDS: dict[int, type[PulseError]] = {
    401: Unauthenticated,
    403: PermissionDenied,
    404: RouteNotFound,
    413: RequestTooLarge,
}


def _response(request: Request[Any, Any, Any], error: PulseError) -> Response[bytes]:
    """In the shape of whoever's address it was."""
    path = request.url.path
    dialect = next((dialect for prefix, dialect in _DIALECTS if path.startswith(prefix)), "openai.chat")
    request_id = request_id_of(dict(request.headers.items()))
    headers = {"x-request-id": request_id, **dict(refusal_headers(error))}
    if isinstance(error, MethodNotAllowed) and error.allowed:
        headers["allow"] = error.allowed
    content = wire.face(dialect).encode_error(error, request_id)
    return Response(content, status_code=error.status, headers=headers, media_type="application/json")


def _pulse_error(request: Request[Any, Any, Any], error: PulseError) -> Response[bytes]:
    return _response(request, error)


def _http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    status = error.status_code
    if status >= 500:
        return _internal_error(request, error)
    message = error.detail or HTTPStatus(status).phrase
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("allow", "")
        return _response(request, MethodNotAllowed(f"{request.method} is not served here", allowed=allowed))
    return _response(request, _KINDS.get(status, InvalidRequest)(message))


def _internal_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("a request failed for a reason of ours", exc_info=error, extra={"path": request.url.path})
    return _response(request, InternalError("the server failed; the request id helps to find out why"))


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    PulseError: _pulse_error,
    HTTPException: _http_exception,
    Exception: _internal_error,
}
