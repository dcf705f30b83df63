"""`GET /v1/models` in the shape of whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from litestar.types import HTTPScope, Send

from pulse_gateway.errors import MethodNotAllowed, ModelNotFound, PulseError
from pulse_gateway.gateway import Gateway
from pulse_gateway.limits.headers import refusal_headers
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.routing.router import ListedModel
from pulse_gateway.wire import registry as wire
from pulse_host.anonymous import AnonymousLimit
from pulse_host.ingress import authenticated, headers_of, request_id_of

__all__ = ["dialect_of", "list_models", "send_models", "show_model"]

_encode = msgspec.json.encode


async def send_models(
    gateway: Gateway, keys: Authenticator, anonymous: AnonymousLimit, scope: HTTPScope, name: str, send: Send
) -> None:
    """Answer `GET …/models`, or `GET …/models/{name}`, to whoever may use them."""
    headers = headers_of(scope)
    request_id = request_id_of(headers)
    dialect = "gemini" if scope["raw_path"].startswith(b"/v1beta") else dialect_of(headers)
    sent = [("content-type", "application/json"), ("x-request-id", request_id)]
    if dialect == "anthropic.messages":
        sent.append(("request-id", request_id))
    status = 200
    try:
        if scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowed(f"{scope['method']} is not served here; use GET", allowed="GET")
        await authenticated(scope, headers, keys, anonymous)
        listed = gateway.router.models()
        content = _encode(show_model(listed, name, dialect) if name else list_models(listed, dialect))
    except PulseError as error:
        status, content = error.status, wire.face(dialect).encode_error(error, request_id)
        sent += refusal_headers(error)
        if isinstance(error, MethodNotAllowed):
            sent.append(("allow", error.allowed))
    sent.append(("content-length", str(len(content))))
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send(
        {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content, "more_body": False}
    )


def dialect_of(headers: dict[str, str]) -> str:
    """Anthropic's SDKs send their version, Google's their own key header."""
    if "anthropic-version" in headers:
        return "anthropic.messages"
    return "gemini" if "x-goog-api-key" in headers else "openai.chat"


def list_models(models: Sequence[ListedModel], dialect: str) -> dict[str, Any]:
    rows = [_ROWS[dialect](model) for model in models]
    if dialect == "anthropic.messages":
        first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
        return {"data": rows, "has_more": False, "first_id": first, "last_id": last}
    if dialect == "gemini":
        return {"models": rows}
    return {"object": "list", "data": rows}


def show_model(models: Sequence[ListedModel], name: str, dialect: str) -> dict[str, Any]:
    """Raises: ModelNotFound."""
    for model in models:
        if model.id == name:
            return _ROWS[dialect](model)
    raise ModelNotFound(f"the model {name!r} is not served here", param="model")


def _openai(model: ListedModel) -> dict[str, Any]:
    row: dict[str, Any] = {"id": model.id, "object": "model", "created": 0, "owned_by": model.provider}
    return row if model.shutdown is None else {**row, "shutdown_date": model.shutdown}


def _anthropic(model: ListedModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "type": "model",
        "display_name": model.id,
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
    }


def _gemini(model: ListedModel) -> dict[str, Any]:
    return {
        "name": f"models/{model.id}",
        "displayName": model.id,
        "inputTokenLimit": model.context_tokens,
        "outputTokenLimit": model.max_output_tokens,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    }


_ROWS = {"openai.chat": _openai, "anthropic.messages": _anthropic, "gemini": _gemini}
