"""The Litestar application: the data plane as raw ASGI endpoints, everything else as typed handlers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

import msgspec
from litestar import Litestar, MediaType, Response, asgi, get
from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from pulse_gateway.config import Config
from pulse_gateway.gateway import Gateway
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.store.memory import MemoryKeyStore
from pulse_host.anonymous import AnonymousLimit
from pulse_host.client_address import ClientAddresses
from pulse_host.docs_page import docs_page
from pulse_host.endpoints import FIXED
from pulse_host.errors import EXCEPTION_HANDLERS
from pulse_host.health import Readiness, health, readiness_route
from pulse_host.ingress import Ingress
from pulse_host.metrics import CONTENT_TYPE, Metrics
from pulse_host.model_admin import admin_models_route
from pulse_host.models import send_models
from pulse_host.openapi import openapi_document
from pulse_host.usage.controllers import history_route, usage_route
from pulse_host.usage.history import HistorySource
from pulse_host.videos import Videos
from pulse_host.webhooks import webhook_route

__all__ = ["Services", "create_app", "offline_document"]

_encode = msgspec.json.encode
_VIDEOS = "/v1/videos"
_SAY_ALL = frozenset(path for path in FIXED if path != _VIDEOS)
_plain_host = re.compile(rb"[0-9A-Za-z.:\[\]-]*").fullmatch  # Litestar judges the others


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the application is made of. The gateway is opened and closed by the application, the rest by its owner."""

    gateway: Gateway
    keys: Authenticator
    readiness: Readiness
    metrics: Metrics
    history: HistorySource | None = None


class _Application(Litestar):
    """Litestar, with the addresses that say everything looked up ahead of its router, which costs as much as all else that the host
    does for a request. Written in another way, with a slash at the end say, they are found by the router."""

    ingress: Ingress

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        await self.entry(scope, receive, send)

    def entry(self, scope: Any, receive: Any, send: Any) -> Coroutine[Any, Any, None]:
        """The same, for a server that takes the coroutine of a plain function, and has one frame less to run then."""
        if scope["type"] == "http" and scope["path"] in _SAY_ALL and _is_plain(scope):
            return self.ingress.fixed(scope, receive, send)
        return super().__call__(scope, receive, send)


def _is_plain(scope: HTTPScope) -> bool:
    for name, value in scope["headers"]:
        if name == b"host":
            return _plain_host(value) is not None
    return True


def create_app(services: Services) -> Litestar:
    """Raises: ConfigError."""
    gateway, keys, readiness, metrics = services.gateway, services.keys, services.readiness, services.metrics
    server = gateway.config.server
    anonymous = _anonymous_limit(gateway)
    ingress = Ingress(
        gateway,
        keys,
        anonymous,
        max_body_bytes=server.max_body_bytes,
        keep_alive_s=server.keep_alive_s,
        draining=lambda: readiness.draining,
    )

    @asgi(sorted(_SAY_ALL), copy_scope=False)
    async def data_plane(scope: Scope, receive: Receive, send: Send) -> None:
        await ingress.fixed(cast("HTTPScope", scope), receive, send)

    # Mounted, because Litestar's raw endpoints take no path parameters; `path` is then what follows the mount.
    @asgi(["/v1/models", "/v1beta/models"], is_mount=True, copy_scope=False)
    async def models(scope: Scope, receive: Receive, send: Send) -> None:
        # One address for two things: Gemini's calls, and the list of models for everybody.
        http = cast("HTTPScope", scope)
        rest = http["path"].strip("/")
        if http["method"] == "POST" and rest:
            await ingress.gemini(rest, http, receive, send)
        else:
            await send_models(gateway, keys, anonymous, http, rest, send)

    below_videos = Videos(gateway, keys, anonymous)

    @asgi([_VIDEOS], is_mount=True, copy_scope=False)
    async def videos(scope: Scope, receive: Receive, send: Send) -> None:
        http = cast("HTTPScope", scope)
        rest = http["path"].strip("/")
        if http["method"] == "POST" and not rest:
            await ingress.begin_video(http, receive, send)
        else:
            await below_videos.serve(rest, http, receive, send)

    @get("/metrics", media_type=MediaType.TEXT, include_in_schema=False)
    async def metrics_page() -> Response[bytes]:
        return Response(await metrics.page(), media_type=CONTENT_TYPE)

    @get("/openapi.json", include_in_schema=False)
    async def openapi_json() -> Response[bytes]:
        return Response(_encode(document()), media_type="application/json")

    @get("/docs", media_type=MediaType.HTML, include_in_schema=False)
    async def docs() -> str:
        return docs_page(document())

    metrics.gauge("pulse_tasks", "Tasks of the event loop", lambda: len(asyncio.all_tasks()))

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await gateway.open()
        try:
            yield
        finally:
            readiness.draining = True
            await gateway.aclose(drain_s=0)  # the server has waited for as long as it may

    described: list[Any] = [
        usage_route(gateway, keys, anonymous),
        history_route(gateway, keys, anonymous, services.history),
        admin_models_route(gateway, keys, anonymous),
        webhook_route(gateway),
        health,
        readiness_route(readiness),
    ]

    @cache
    def document() -> dict[str, Any]:
        return openapi_document(described)

    operations: Sequence[Any] = (metrics_page, openapi_json, docs) if server.expose_operations else ()
    app = _Application(
        route_handlers=[data_plane, models, videos, *described, *operations],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[lifespan],
        openapi_config=None,  # it would serve pages of its own that load scripts from elsewhere
        logging_config=None,
        request_max_body_size=server.max_body_bytes,
    )
    app.ingress = ingress
    return app


def offline_document(config: Config) -> dict[str, Any]:
    """The OpenAPI document of a server with this configuration, without any store."""
    gateway, keys = Gateway(config), MemoryKeyStore({})
    anonymous = _anonymous_limit(gateway)
    described = [
        usage_route(gateway, keys, anonymous),
        history_route(gateway, keys, anonymous, None),
        admin_models_route(gateway, keys, anonymous),
        health,
        readiness_route(Readiness({})),
    ]
    return openapi_document(described)


def _anonymous_limit(gateway: Gateway) -> AnonymousLimit:
    """Raises: ConfigError."""
    addresses = ClientAddresses(gateway.config.server.trusted_proxies)
    return AnonymousLimit(lambda: gateway.terms.anonymous, addresses, clock=gateway.clock)
