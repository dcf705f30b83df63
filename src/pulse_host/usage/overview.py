"""Where a caller stands this month: the shape of `GET /v1/usage/me`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from pulse_gateway.limits.accounts import key_account, tenant_account, user_account
from pulse_gateway.limits.limiter import CONCURRENCY, COST, REQUESTS, Standing
from pulse_gateway.types.identity import Principal
from pulse_gateway.units import usd

__all__ = ["Amounts", "AtOnce", "Budget", "Overview", "Period", "Requests", "Window", "overview_of"]

Whose = Literal["user", "key", "tenant"]


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


class Budget(msgspec.Struct, frozen=True):
    """Money in the calendar month, as exact decimals. `account` says whose budget it is: all the calls of the user, of the key, or
    of the tenant."""

    account: Whose
    limit_usd: str
    used_usd: str
    reserved_usd: str
    remaining_usd: str


class Window(msgspec.Struct, frozen=True):
    """A sliding window other than the user's `requests`."""

    account: Whose
    kind: str
    limit: int
    window_s: float
    used: int
    remaining: int


class AtOnce(msgspec.Struct, frozen=True):
    """Calls under way."""

    account: Whose
    limit: int
    used: int
    remaining: int


class Overview(msgspec.Struct, frozen=True, omit_defaults=True):
    """`windows`, `concurrency` and `budgets` are there only where such limits are."""

    plan: str
    period: Period
    tokens: Amounts
    images: Amounts
    videos: Amounts
    requests: Requests
    windows: list[Window] = []
    concurrency: list[AtOnce] = []
    budgets: list[Budget] = []


def overview_of(principal: Principal, standings: Sequence[Standing]) -> Overview:
    """`standings` are those of every counter of `principal`, as the gateway's `usage` finds them."""
    names: dict[str, Whose] = {tenant_account(principal.tenant_id): "tenant"}
    if principal.key_id is not None:
        names[key_account(principal.key_id)] = "key"
    names[user_account(principal.user_id)] = "user"
    quotas: dict[str, Standing] = {}
    requests = Requests(None, None, 0, None)
    windows: list[Window] = []
    concurrency: list[AtOnce] = []
    budgets: list[Budget] = []
    for standing in standings:
        account = names.get(standing.account)
        if account is None:
            continue
        kind, limit, used, left = standing.kind, standing.limit or 0, standing.used, standing.remaining or 0
        if standing.window_s is not None:
            if (account, kind) == ("user", REQUESTS):
                requests = Requests(standing.limit, standing.window_s, used, standing.remaining)
            else:
                windows.append(Window(account, kind, limit, standing.window_s, used, left))
        elif kind == CONCURRENCY:
            concurrency.append(AtOnce(account, limit, used, left))
        elif kind == COST:
            budgets.append(Budget(account, usd(limit), usd(used), usd(standing.reserved), usd(left)))
        elif account == "user":
            quotas[kind] = standing
    tokens = quotas["tokens"]
    return Overview(
        plan=principal.plan.name,
        period=Period(_moment(tokens.starts_at), _moment(tokens.resets_at)),
        tokens=_amounts(tokens),
        images=_amounts(quotas["images"]),
        videos=_amounts(quotas["videos"]),
        requests=requests,
        windows=windows,
        concurrency=concurrency,
        budgets=budgets,
    )


def _amounts(standing: Standing) -> Amounts:
    return Amounts(standing.limit, standing.used, standing.reserved, standing.remaining)


def _moment(epoch_s: float | None) -> str:
    return datetime.fromtimestamp(epoch_s or 0, UTC).isoformat().replace("+00:00", "Z")
