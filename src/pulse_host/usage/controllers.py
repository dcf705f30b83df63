"""What a caller has used, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Request, get

from pulse_gateway.gateway import Gateway
from pulse_gateway.limits.limiter import Standing
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_host.ingress import authenticated

__all__ = ["Amounts", "Overview", "Period", "Requests", "overview_of", "usage_route"]


class Period(msgspec.Struct, frozen=True):
    """A calendar month (UTC), as ISO 8601 moments; `resets_at` is the first one after it."""

    starts_at: str
    resets_at: str


class Amounts(msgspec.Struct, frozen=True):
    """`limit` and `remaining` are null without a cap. `reserved` is held for requests under way."""

    limit: int | None
    used: int
    reserved: int
    remaining: int | None


class Requests(msgspec.Struct, frozen=True):
    """The sliding window; all null when the rate limit is off."""

    limit: int | None
    window_s: float | None
    used: int
    remaining: int | None


class Overview(msgspec.Struct, frozen=True):
    plan: str
    period: Period
    tokens: Amounts
    images: Amounts
    videos: Amounts
    requests: Requests


def overview_of(plan: str, standings: Sequence[Standing]) -> Overview:
    by_kind = {standing.kind: standing for standing in standings}
    tokens = by_kind["tokens"]
    requests = by_kind.get("requests")
    return Overview(
        plan=plan,
        period=Period(_moment(tokens.starts_at), _moment(tokens.resets_at)),
        tokens=_amounts(tokens),
        images=_amounts(by_kind["images"]),
        videos=_amounts(by_kind["videos"]),
        requests=Requests(None, None, 0, None)
        if requests is None
        else Requests(requests.limit, requests.window_s, requests.used, requests.remaining),
    )


def _amounts(standing: Standing) -> Amounts:
    return Amounts(standing.limit, standing.used, standing.reserved, standing.remaining)


def _moment(epoch_s: float | None) -> str:
    return datetime.fromtimestamp(epoch_s or 0, UTC).isoformat().replace("+00:00", "Z")


def usage_route(gateway: Gateway, keys: Authenticator) -> Any:
    @get("/v1/usage/me", summary="What the caller has used this month, and what is left", tags=["usage"])
    async def usage_me(request: Request[Any, Any, Any]) -> Overview:
        principal = await authenticated(dict(request.headers.items()), keys)
        return overview_of(principal.plan.name, await gateway.usage(principal))

    return usage_me
