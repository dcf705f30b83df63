"""The routes that tell a caller what was used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.params import Parameter

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.gateway import Gateway
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_host.anonymous import AnonymousLimit
from pulse_host.ingress import authenticated
from pulse_host.request_head import credential_of, request_id_of
from pulse_host.usage.history import GROUPS, History, HistorySource, read_range
from pulse_host.usage.overview import Overview, overview_of

__all__ = ["history_route", "usage_route"]


def usage_route(gateway: Gateway, keys: Authenticator, anonymous: AnonymousLimit) -> Any:
    @get("/v1/usage/me", summary="What the caller has used this month, and what is left", tags=["usage"])
    async def usage_me(request: Request[Any, Any, Any]) -> Response[Overview]:
        headers = dict(request.headers.items())
        principal = await authenticated(request.scope, credential_of(headers), keys, anonymous)
        overview = overview_of(principal, await gateway.usage(principal))
        return Response(overview, headers={"x-request-id": request_id_of(headers)})

    return usage_me


def history_route(
    gateway: Gateway, keys: Authenticator, anonymous: AnonymousLimit, source: HistorySource | None
) -> Any:
    """Without a `source`, of a server that keeps no ledger, the answer is 503."""

    @get("/v1/usage/me/history", summary="What the caller has used by day or by model", tags=["usage"])
    async def usage_history(
        request: Request[Any, Any, Any],
        first: Annotated[
            str | None, Parameter(query="from", description="first day, UTC; default: the first of the month of `to`")
        ] = None,
        last: Annotated[str | None, Parameter(query="to", description="last day, UTC; default: today")] = None,
        group_by: Annotated[
            str | None, Parameter(description="`day` (default) or `model`", schema_extra={"enum": list(GROUPS)})
        ] = None,
    ) -> Response[History]:
        # The parameters are described above and read below, where each mistake gets a name.
        headers = dict(request.headers.items())
        principal = await authenticated(request.scope, credential_of(headers), keys, anonymous)
        asked = read_range(request.query_params.dict(), datetime.fromtimestamp(gateway.clock.now(), UTC).date())
        if source is None:
            raise StoreUnavailable("this server keeps no history")
        history = await source.history(principal, asked)
        return Response(history, headers={"x-request-id": request_id_of(headers)})

    return usage_history
