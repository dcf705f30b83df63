"""Whose counter it is: the names that keys of the store, rows of the ledger and charges share. Pure.

A user's account is the user's id alone, the rest say what they are: `u1`, `key/AbC`, `tenant/acme`, `model/gpt-6`,
`u1/model/gpt-6`. Characters beyond letters, digits and `-._~@` are percent-encoded, so that no id can spell another's account.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

__all__ = ["escaped", "key_account", "model_account", "tenant_account", "user_account"]


@lru_cache(maxsize=65_536)
def escaped(name: str) -> str:
    """`name` without any character that means something in a key; never empty."""
    return quote(name, safe="@", errors="surrogatepass") or "%"


def user_account(user_id: str) -> str:
    return escaped(user_id)


def key_account(key_id: str) -> str:
    return f"key/{escaped(key_id)}"


def tenant_account(tenant_id: str) -> str:
    return f"tenant/{escaped(tenant_id)}"


def model_account(model: str, user_id: str | None = None) -> str:
    """All of a tenant's calls of `model`, or one user's."""
    return f"model/{escaped(model)}" if user_id is None else f"{escaped(user_id)}/model/{escaped(model)}"
