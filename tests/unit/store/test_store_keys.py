"""API keys: their form, their checksum, and how they are hidden."""

from __future__ import annotations

import hashlib
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.store.keys import checksum, create_key, key_digest, key_parts, mistyped, redact

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def test_the_checksum_is_the_one_of_githubs_tokens() -> None:
    assert checksum("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ") == "0mLq17"


@pytest.mark.parametrize("environment", ["live", "test"])
def test_a_new_key_has_prefix_public_id_secret_and_checksum(environment: str) -> None:
    key = create_key(environment)  # type: ignore[arg-type]
    match = re.fullmatch(r"(pls_(?:live|test)_)([0-9A-Za-z]{10})([0-9A-Za-z]{32})([0-9A-Za-z]{6})", key.secret)
    assert match is not None
    assert match[1] == f"pls_{environment}_"
    assert match[4] == checksum(match[2] + match[3])
    assert key.parts.key_id == match[2]
    assert key.parts.prefix == match[1]
    assert key.parts.last4 == key.secret[-4:]
    assert key.parts.digest == hashlib.sha256(key.secret.encode()).digest()
    assert not mistyped(key.secret)


def test_keys_do_not_repeat() -> None:
    keys = [create_key() for _ in range(200)]
    assert len({key.secret for key in keys}) == len({key.parts.key_id for key in keys}) == 200


@given(position=st.integers(0, 47), replacement=st.sampled_from(BASE62))
@settings(deadline=None)
def test_one_wrong_character_is_always_noticed(position: int, replacement: str) -> None:
    secret = create_key().secret
    start = len("pls_live_") + position
    changed = secret[:start] + replacement + secret[start + 1 :]
    assert mistyped(changed) == (changed != secret)


@pytest.mark.parametrize("secret", ["", "sk-anything", "pls_live_short", "pls_live_", "pls_dev_" + "a" * 48, "ключ"])
def test_a_key_of_another_form_is_never_called_mistyped(secret: str) -> None:
    assert not mistyped(secret)


def test_a_key_of_another_form_gets_a_public_id_and_shows_its_end_only_if_it_is_long() -> None:
    long, short = key_parts("my-own-development-key"), key_parts("secret")
    assert (long.prefix, long.last4) == ("", "-key")
    assert (short.prefix, short.last4) == ("", "")
    assert len(long.key_id) == 10
    assert long.digest == key_digest("my-own-development-key")


@given(st.text())
@settings(deadline=None)
def test_every_text_has_a_digest(text: str) -> None:
    assert len(key_digest(text)) == 32


def test_lone_surrogates_have_a_digest_too() -> None:
    assert len(key_digest("\ud800")) == 32


def test_keys_are_made_unreadable_wherever_they_stand_in_a_text() -> None:
    live, test = create_key("live").secret, create_key("test").secret
    text = redact(f"Authorization: Bearer {live}, x-api-key={test}; cut: {live[:20]}… and sk-other")
    assert text == (
        "Authorization: Bearer pls_live_[redacted], x-api-key=pls_test_[redacted]; cut: pls_live_[redacted]… and sk-other"
    )
