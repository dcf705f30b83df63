"""Errors of the product's own routes → responses, in the shape that interface documents promise."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from pulse_gateway.errors import InternalError, PulseError
from pulse_gateway.ids import new_request_id
from pulse_gateway.limits.headers import refusal_headers
from pulse_host.ingress import clean_request_id

__all__ = ["EXCEPTION_HANDLERS"]

_log = logging.getLogger("pulse_host")
_CODES = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    503: "unavailable",
}


def _request_id(request: Request[Any, Any, Any]) -> str:
    return clean_request_id(request.headers.get("x-request-id")) or new_request_id()


def _response(
    request: Request[Any, Any, Any], status: int, code: str, kind: str, message: str, param: str | None
) -> Response[dict[str, object]]:
    request_id = _request_id(request)
    error = {"message": message, "type": kind, "code": code, "param": param, "request_id": request_id}
    return Response({"error": error}, status_code=status, headers={"x-request-id": request_id})


def _pulse_error(request: Request[Any, Any, Any], error: PulseError) -> Response[dict[str, object]]:
    response = _response(request, error.status, error.code, error.kind, error.message, error.param)
    response.headers.update(dict(refusal_headers(error)))
    return response


def _http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, object]]:
    status = error.status_code
    if status >= 500:
        return _internal_error(request, error)
    code = _CODES.get(status, "invalid_request")
    message = error.detail or HTTPStatus(status).phrase
    return _response(request, status, code, "invalid_request_error", message, None)


def _internal_error(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, object]]:
    _log.error("a request failed for a reason of ours", exc_info=error, extra={"path": request.url.path})
    internal = InternalError("the server failed; the request id helps to find out why")
    return _pulse_error(request, internal)


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    PulseError: _pulse_error,
    HTTPException: _http_exception,
    Exception: _internal_error,
}
