"""Key stores without a database."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import Unauthenticated
from pulse_gateway.store.keys import create_key
from pulse_gateway.store.memory import AnyKeyStore, MemoryKeyStore
from pulse_gateway.store.store import KeyStore
from pulse_gateway.types.identity import Plan, Principal

FREE = Plan(name="free", tokens=1000)


async def test_a_configured_key_of_any_form_finds_its_principal() -> None:
    alice, bob = Principal(user_id="alice", plan=FREE), Principal(user_id="bob", plan=FREE)
    own = create_key().secret
    # Not even the checksum matters for a key that was configured.
    store: KeyStore = MemoryKeyStore({own: alice, own[:-1] + ("0" if own[-1] != "0" else "1"): bob, "x": bob})
    assert await store.authenticate(own) is alice
    assert await store.authenticate("x") is bob


@pytest.mark.parametrize("secret", ["", "y", "X", create_key().secret], ids=["none", "short", "upper", "own-form"])
async def test_other_keys_are_refused(secret: str) -> None:
    store = MemoryKeyStore({"x": Principal(user_id="alice", plan=FREE)})
    with pytest.raises(Unauthenticated, match="not valid"):
        await store.authenticate(secret)


async def test_a_typo_is_called_a_typo() -> None:
    secret = create_key().secret
    typo = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    with pytest.raises(Unauthenticated, match="mistyped"):
        await MemoryKeyStore({secret: Principal(user_id="alice", plan=FREE)}).authenticate(typo)


def test_an_empty_key_cannot_be_configured() -> None:
    with pytest.raises(ValueError, match="empty"):
        MemoryKeyStore({"": Principal(user_id="alice", plan=FREE)})


async def test_the_development_store_makes_every_key_a_user_of_its_own() -> None:
    store: KeyStore = AnyKeyStore(FREE)
    first, again, other = [await store.authenticate(secret) for secret in ("a", "a", "b")]
    assert first == again
    assert first.user_id != other.user_id
    assert first.plan is FREE
    with pytest.raises(Unauthenticated):
        await store.authenticate("")
