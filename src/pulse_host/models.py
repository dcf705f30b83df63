"""`GET /v1/models` in the shape of whoever asks, page by page where that shape has pages."""

from __future__ import annotations

import base64
import binascii
import calendar
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar.types import HTTPScope, Send

from pulse_gateway.errors import InvalidRequest, MethodNotAllowed, ModelNotFound, PulseError
from pulse_gateway.gateway import Gateway
from pulse_gateway.limits.headers import refusal_headers
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.routing.listing import ListedModel
from pulse_gateway.types.identity import Principal
from pulse_gateway.wire import registry as wire
from pulse_host.anonymous import AnonymousLimit
from pulse_host.endpoints import gemini_methods
from pulse_host.ingress import authenticated
from pulse_host.request_head import credential_of, headers_of, request_id_of

__all__ = ["dialect_of", "list_models", "send_models", "show_model", "usable"]

_encode = msgspec.json.encode
_COLLECTION = "models/"  # before a name, as Gemini's clients write it
_MOST_ON_A_PAGE = 1_000
_ON_A_PAGE = {"anthropic.messages": 20, "gemini": 50}

Query = Mapping[str, list[str]]


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
        principal = await authenticated(scope, credential_of(headers), keys, anonymous)
        models = usable(gateway, principal)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if name and (spelled := _spelled_out(gateway, principal, name)) is not None:
            models.append(spelled)
        try:
            content = _encode(show_model(models, name, dialect) if name else list_models(models, dialect, query))
        except ModelNotFound:
            gateway.router.candidates(
                name.removeprefix(_COLLECTION)
            )  # says what it says to a call, with the names that are close
            raise
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


def usable(gateway: Gateway, principal: Principal) -> list[ListedModel]:
    """What `principal` may call: without those that no budget could be charged for, where one applies."""
    return list(gateway.router.models(priced=gateway.terms.needs_price(principal)))


def _spelled_out(gateway: Gateway, principal: Principal, name: str) -> ListedModel | None:
    """A model under another name than the one that is listed, which calls take as well."""
    return gateway.router.spelled_out(name.removeprefix(_COLLECTION), priced=gateway.terms.needs_price(principal))


def list_models(models: Sequence[ListedModel], dialect: str, query: Query) -> dict[str, Any]:
    """Of what a client of `dialect` can call, the page that `query` asks for; OpenAI's shape has no pages.

    Raises: InvalidRequest naming the parameter.
    """
    models = [model for model in models if _callable(model, dialect)]
    if dialect == "anthropic.messages":
        return _anthropic_page(models, query)
    if dialect == "gemini":
        return _gemini_page(models, query)
    return {"object": "list", "data": [_openai(model) for model in models]}


def show_model(models: Sequence[ListedModel], name: str, dialect: str) -> dict[str, Any]:
    """Raises: ModelNotFound."""
    wanted = {name, name.removeprefix(_COLLECTION)}
    for model in models:
        if model.id in wanted and _callable(model, dialect):
            return _ROWS[dialect](model)
    raise ModelNotFound(f"the model {name!r} is not served here", param="model")


def _callable(model: ListedModel, dialect: str) -> bool:
    if dialect == "anthropic.messages":
        return "chat" in model.operations
    return dialect != "gemini" or bool(gemini_methods(model.operations))


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _anthropic_page(models: Sequence[ListedModel], query: Query) -> dict[str, Any]:
    stages = query.get("lifecycle", []) + query.get("lifecycle[]", [])
    if stages:
        models = [model for model in models if _lifecycle(model) in stages]
    size = _size(query, ["limit"], "anthropic.messages")
    after, before = _one(query, ["after_id"]), _one(query, ["before_id"])
    if after is not None and before is not None:
        raise InvalidRequest("after_id and before_id exclude each other", param="before_id")
    first, end = 0, len(models)
    if after is not None:
        first = _place(models, after, "after_id") + 1
    if before is not None:
        end = _place(models, before, "before_id")
        first = max(0, end - size)
    page = models[first : min(end, first + size)]
    return {
        "data": [_anthropic(model) for model in page],
        "has_more": first > 0 if before is not None else first + len(page) < len(models),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _gemini_page(models: Sequence[ListedModel], query: Query) -> dict[str, Any]:
    size = _size(query, ["pageSize", "page_size"], "gemini")
    token = _one(query, ["pageToken", "page_token"])
    first = _place(models, _read_token(token), "pageToken") + 1 if token else 0
    page = models[first : first + size]
    rows = {"models": [_gemini(model) for model in page]}
    return {**rows, "nextPageToken": _token(page[-1].id)} if first + size < len(models) else rows


def _size(query: Query, names: Sequence[str], dialect: str) -> int:
    text = _one(query, names)
    if not text:
        return _ON_A_PAGE[dialect]
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= _MOST_ON_A_PAGE:
        raise InvalidRequest(f"{names[0]} is a number from 1 to {_MOST_ON_A_PAGE}", param=names[0])
    return int(text)


def _one(query: Query, names: Sequence[str]) -> str | None:
    given = [value for name in names for value in query.get(name, [])]
    if len(given) > 1:
        raise InvalidRequest(f"{names[0]} was given {len(given)} times", param=names[0])
    return given[0] if given else None


def _place(models: Sequence[ListedModel], wanted: str, param: str) -> int:
    place = next((place for place, model in enumerate(models) if model.id == wanted), None)
    if place is None:
        raise InvalidRequest(f"{param} names no model of this list; begin again without it", param=param)
    return place


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")


def _read_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


# ── one model ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _openai(model: ListedModel) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": model.id,
        "object": "model",
        "created": _epoch_s(model.start),
        "owned_by": model.provider,
        "operations": model.operations,
    }
    return row if model.shutdown is None else {**row, "shutdown_date": model.shutdown}


def _anthropic(model: ListedModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "type": "model",
        "display_name": model.id,
        "created_at": _midnight(model.start or "1970-01-01"),
        "lifecycle": _lifecycle(model),
        "retires_at": None if model.shutdown is None else _midnight(model.shutdown),
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
    }


def _gemini(model: ListedModel) -> dict[str, Any]:
    return {
        "name": f"{_COLLECTION}{model.id}",
        "displayName": model.id,
        "inputTokenLimit": model.context_tokens,
        "outputTokenLimit": model.max_output_tokens,
        "supportedGenerationMethods": gemini_methods(model.operations),
    }


def _lifecycle(model: ListedModel) -> str:
    """Those that are shut down are not listed."""
    return "active" if model.shutdown is None else "deprecated"


def _midnight(day: str) -> str:
    return f"{day}T00:00:00Z"


def _epoch_s(day: str | None) -> int:
    """0: nobody knows."""
    return 0 if day is None else calendar.timegm(time.strptime(day, "%Y-%m-%d"))


_ROWS = {"openai.chat": _openai, "anthropic.messages": _anthropic, "gemini": _gemini}
