"""Key stores that need nothing else: keys from the configuration, and a store for development that knows every key."""

from __future__ import annotations

from collections.abc import Mapping

from pulse_gateway.errors import Unauthenticated
from pulse_gateway.store.keys import key_digest, mistyped
from pulse_gateway.types.identity import Plan, Principal

__all__ = ["AnyKeyStore", "MemoryKeyStore"]


class MemoryKeyStore:
    """Knows the keys it is given, of any form, for as long as it lives. Holds digests only."""

    def __init__(self, keys: Mapping[str, Principal]) -> None:
        if "" in keys:
            raise ValueError("an API key may not be empty")
        self._principals = {key_digest(secret): principal for secret, principal in keys.items()}

    async def authenticate(self, secret: str, /) -> Principal:
        # A dictionary of SHA-256 digests gives nothing away by its timing: nearby digests do not come from nearby keys.
        principal = self._principals.get(key_digest(secret))
        if principal is None:
            if mistyped(secret):
                raise Unauthenticated("the API key is mistyped: its checksum does not match")
            raise Unauthenticated("the API key is not valid")
        return principal


class AnyKeyStore:
    """Accepts every key but the empty one and makes each its own user on one plan. For development and load tests only."""

    def __init__(self, plan: Plan, *, tenant_id: str = "default") -> None:
        self._plan = plan
        self._tenant_id = tenant_id

    async def authenticate(self, secret: str, /) -> Principal:
        if not secret:
            raise Unauthenticated("an API key is needed")
        name = key_digest(secret).hex()[:16]
        return Principal(user_id=f"user-{name}", plan=self._plan, tenant_id=self._tenant_id, key_id=name)
