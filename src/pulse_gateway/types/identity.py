"""Who is calling."""

from __future__ import annotations

import msgspec

__all__ = ["Plan", "Principal"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may spend in one calendar month (UTC). None: no cap; usage is counted all the same."""

    name: str
    tokens: int | None = None
    images: int | None = None
    videos: int | None = None


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A caller, once authenticated. `user_id` is the account that limits and quotas count on."""

    user_id: str
    plan: Plan
    tenant_id: str = "default"
    key_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
