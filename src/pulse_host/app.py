"""The Litestar application: the data plane as raw ASGI endpoints, everything else as typed handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
from litestar import Litestar, MediaType, Response, asgi, get
from litestar.openapi.config import OpenAPIConfig
from litestar.types import HTTPScope, Receive, Scope, Send

from pulse_gateway import __version__
from pulse_gateway.config import Config
from pulse_gateway.errors import PulseError, Unauthenticated
from pulse_gateway.gateway import Gateway
from pulse_gateway.ids import new_request_id
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.store.memory import MemoryKeyStore
from pulse_gateway.wire import registry as wire
from pulse_host.docs_page import docs_page
from pulse_host.endpoints import FIXED
from pulse_host.errors import EXCEPTION_HANDLERS
from pulse_host.health import Readiness, health, readiness_route
from pulse_host.ingress import Ingress, clean_request_id, credential_of
from pulse_host.metrics import CONTENT_TYPE, Metrics
from pulse_host.models import dialect_of, list_models, show_model
from pulse_host.openapi import describe_data_plane
from pulse_host.usage.controllers import usage_route

__all__ = ["Services", "create_app", "offline_document"]

_encode = msgspec.json.encode


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the application is made of. The gateway is opened and closed by the application, the rest by its owner."""

    gateway: Gateway
    keys: Authenticator
    readiness: Readiness
    metrics: Metrics


def create_app(services: Services) -> Litestar:
    gateway, keys, readiness, metrics = services.gateway, services.keys, services.readiness, services.metrics
    server = gateway.config.server
    ingress = Ingress(
        gateway,
        max_body_bytes=server.max_body_bytes,
        keep_alive_s=server.keep_alive_s,
        draining=lambda: readiness.draining,
    )

    @asgi(list(FIXED))
    async def data_plane(scope: Scope, receive: Receive, send: Send) -> None:
        await ingress.fixed(cast("HTTPScope", scope), receive, send)

    # Mounted, because Litestar's raw endpoints take no path parameters; `path` is then what follows the mount.
    @asgi(["/v1/models", "/v1beta/models"], is_mount=True)
    async def models(scope: Scope, receive: Receive, send: Send) -> None:
        # One address for two things: Gemini's calls, and the list of models for everybody.
        http = cast("HTTPScope", scope)
        rest = http["path"].strip("/")
        if http["method"] == "POST" and rest:
            await ingress.gemini(rest, http, receive, send)
        else:
            await _send_json(send, *await _models(gateway, keys, http, rest))

    @get("/metrics", media_type=MediaType.TEXT, include_in_schema=False)
    async def metrics_page() -> Response[bytes]:
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    @get("/openapi.json", include_in_schema=False)
    async def openapi_json() -> Response[bytes]:
        return Response(_encode(app.openapi_schema.to_schema()), media_type="application/json")

    @get("/docs", media_type=MediaType.HTML, include_in_schema=False)
    async def docs() -> str:
        return docs_page(app.openapi_schema.to_schema())

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await gateway.open()
        try:
            yield
        finally:
            readiness.draining = True
            await gateway.aclose()

    operations: Sequence[Any] = (metrics_page, openapi_json, docs) if server.expose_operations else ()
    app = Litestar(
        route_handlers=[
            data_plane,
            models,
            usage_route(gateway, keys),
            health,
            readiness_route(readiness),
            *operations,
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[lifespan],
        openapi_config=OpenAPIConfig(title="Pulse", version=__version__, path="/schema", render_plugins=[]),
        logging_config=None,
        request_max_body_size=server.max_body_bytes,
    )
    describe_data_plane(app.openapi_schema)
    return app


def offline_document(config: Config) -> dict[str, Any]:
    """The OpenAPI document of a server with this configuration, without any store."""
    gateway = Gateway(config)
    services = Services(
        gateway=gateway,
        keys=MemoryKeyStore({}),
        readiness=Readiness({}),
        metrics=Metrics(ledger_backlog=lambda: 0, open_permits=lambda: 0),
    )
    return create_app(services).openapi_schema.to_schema()


async def _models(
    gateway: Gateway, keys: Authenticator, scope: HTTPScope, rest: str
) -> tuple[int, dict[str, Any] | bytes, str]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    request_id = clean_request_id(headers.get("x-request-id")) or new_request_id()
    dialect = "gemini" if scope["raw_path"].startswith(b"/v1beta") else dialect_of(headers)
    try:
        secret = credential_of(headers)
        if secret is None:
            raise Unauthenticated("no API key was sent; use the header Authorization: Bearer KEY")
        await keys.authenticate(secret)
        listed = gateway.router.models()
        body = show_model(listed, rest, dialect) if rest else list_models(listed, dialect)
    except PulseError as error:
        return error.status, wire.codec(dialect).encode_error(error, request_id), request_id
    return 200, body, request_id


async def _send_json(send: Send, status: int, body: dict[str, Any] | bytes, request_id: str) -> None:
    content = body if isinstance(body, bytes) else _encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
