"""Who a key belongs to."""

from __future__ import annotations

from typing import Protocol

from pulse_gateway.types.identity import Principal

__all__ = ["KeyStore"]


class KeyStore(Protocol):
    async def authenticate(self, secret: str, /) -> Principal:
        """The caller who holds `secret`, the key as the client sent it.

        Raises: Unauthenticated for a key that is unknown, mistyped, expired or revoked; StoreUnavailable when that cannot be
        found out now; PermissionDenied when the account's plan is not among the configured ones.
        """
        ...
