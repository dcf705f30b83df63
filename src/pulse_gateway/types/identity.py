"""Who is calling."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["NO_ALLOWANCE", "Allowance", "Plan", "Principal", "Rate"]

Rate = tuple[int, float] | Literal["off"] | None
"""(amount, seconds) in a sliding window; "off": no limit, whatever is configured elsewhere; None: nothing is said of it."""


class Allowance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody may do. None: nothing is said of this kind of limit, and what is configured more generally holds.

    `concurrency` is calls at once; `budget_nano_usd` is money per calendar month (UTC).
    """

    requests: Rate = None
    tokens: Rate = None
    concurrency: int | None = None
    budget_nano_usd: int | None = None


NO_ALLOWANCE = Allowance()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may spend in one calendar month (UTC). None: no cap; usage is counted all the same.

    `allowance` is put over what the configuration allows every user: its limits hold instead, where it has them.
    """

    name: str
    tokens: int | None = None
    images: int | None = None
    videos: int | None = None
    allowance: Allowance = NO_ALLOWANCE


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A caller, once authenticated. `user_id` is the account that limits and quotas count on.

    `key` and `tenant` are what the caller's API key and tenant may do, all their users together; put over the configured defaults.
    `scopes` are what the key is for beside calls of models: `admin` lets it see what operators see.
    """

    user_id: str
    plan: Plan
    tenant_id: str = "default"
    key_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    scopes: tuple[str, ...] = ()
    key: Allowance = NO_ALLOWANCE
    tenant: Allowance = NO_ALLOWANCE
