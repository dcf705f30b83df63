"""`POST /v1/webhooks/{provider}`: where providers call when a job is done. Whoever calls proves it by a signature, not by a key."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.handlers import HTTPRouteHandler

from pulse_gateway.gateway import Gateway
from pulse_gateway.pipeline.webhooks import WEBHOOKS

__all__ = ["webhook_route"]

_MAX_BODY_BYTES = 1_000_000


def webhook_route(gateway: Gateway) -> HTTPRouteHandler:
    @post(
        f"{WEBHOOKS}/{{provider:str}}",
        status_code=204,
        request_max_body_size=_MAX_BODY_BYTES,
        summary="Called by a provider when a job is done",
        tags=["webhooks"],
    )
    async def webhook(request: Request[Any, Any, Any], provider: str) -> None:
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        await gateway.webhooks.receive(provider, headers, await request.body())

    return webhook
