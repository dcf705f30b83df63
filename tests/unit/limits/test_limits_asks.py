from __future__ import annotations

import pytest

from pulse_gateway.errors import AdmissionError
from pulse_gateway.limits.accounts import model_account
from pulse_gateway.limits.asks import BUCKETS, LARGEST, LOG, QUOTA, RUNNING, Ask, asks_of, holds_of, key_prefix
from pulse_gateway.limits.counters import Row
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.verdicts import refusal

PREFIX = key_prefix("pulse", "acme")


def ask(kind: str, amount: int = 1, cap: int | None = 10, window_s: float | None = None, account: str = "u1") -> Ask:
    return asks_of(PREFIX, [Charge(account=account, kind=kind, amount=amount, cap=cap, window_s=window_s)], 202601)[0]


@pytest.mark.parametrize(
    ("asked", "form", "key"),
    [
        (ask("requests", window_s=60.0), LOG, "pulse:v1:{acme}:ratelimit:u1:requests:60s"),
        (ask("requests", window_s=0.5), LOG, "pulse:v1:{acme}:ratelimit:u1:requests:0.5s"),
        (ask("requests", window_s=86_400), LOG, "pulse:v1:{acme}:ratelimit:u1:requests:86400s"),
        (ask("tokens", window_s=1_000_000.5), BUCKETS, "pulse:v1:{acme}:ratelimit:u1:tokens:1000000.5s"),
        (ask("concurrency"), RUNNING, "pulse:v1:{acme}:ratelimit:u1:concurrency"),
        (ask("images"), QUOTA, "pulse:v1:{acme}:usage:images:u1:2026-01"),
    ],
)
def test_a_key_tells_an_operator_what_it_counts(asked: Ask, form: str, key: str) -> None:
    assert (asked.form, asked.key) == (form, key)


def test_tenants_differ_in_their_hash_tag_whatever_they_are_called() -> None:
    assert key_prefix("pulse", "a}b:{c") == "pulse:v1:{a%7Db%3A%7Bc}:"
    for prefix in ("a{b", "a}", "a|b", "a;b"):
        with pytest.raises(ValueError, match="prefix"):
            key_prefix(prefix, "acme")


def test_charges_on_one_counter_are_one_ask_under_the_smaller_cap() -> None:
    def asked(*caps: int | None) -> list[tuple[int, int]]:
        charges = [Charge(account="u1", kind="tokens", amount=number, cap=cap) for number, cap in enumerate(caps, 1)]
        return [(one.amount, one.cap) for one in asks_of(PREFIX, charges, 202601)]

    assert asked(5, 3) == asked(3, 5) == [(3, 3)]
    assert asked(None, 3) == asked(3, None) == [(3, 3)]
    assert asked(None, None, None) == [(6, -1)]
    assert asked(0, None) == [(3, 0)]
    assert asked(-7) == [(1, 0)]
    assert asked(2**60) == [(1, LARGEST)]


def test_a_permit_holds_what_it_gives_back() -> None:
    asks = [
        ask("requests", window_s=60.0),
        ask("tokens", window_s=60.0),
        ask("concurrency"),
        ask("tokens", 7),
        ask("images", 0),
    ]
    assert holds_of(asks) == "r|pulse:v1:{acme}:ratelimit:u1:concurrency|1;q|pulse:v1:{acme}:usage:tokens:u1:2026-01|7"


@pytest.mark.parametrize(
    ("asked", "row", "message"),
    [
        (ask("tokens", 3), Row(9, 0, 1, 0), "monthly quota of 10 tokens: 9 used, 0 held, this request needs 3; resets 2026-11-01T00:00:00Z"),
        (ask("images", 11), Row(0, 0, -1, 0), "monthly quota of 10 images: 0 used, 0 held, this request needs 11, more than the whole quota"),
        (
            ask("tokens", 4, window_s=60.0, account="tenant/acme"),
            Row(9, 0, 1_230_001, 0),
            "rate limit of 10 tokens per 60 s for this tenant reached: 9 used, this request needs 4; try again in 1.3 s",
        ),
        (
            ask("requests", 1, 0, 2.5, model_account("vendor/gpt 6", "u1")),
            Row(0, 0, -1, 0),
            "rate limit of 0 requests per 2.5 s for vendor/gpt 6: this request alone asks for 1",
        ),
        (ask("concurrency", account="key/k"), Row(10, 0, 1_000_000, 0), "limit of 10 calls at once for this key reached: 10 under way"),
    ],
)  # fmt: skip
def test_a_refusal_says_which_limit_how_much_and_until_when(asked: Ask, row: Row, message: str) -> None:
    error: AdmissionError = refusal([asked], [row], month_of(1_792_000_000), 1_792_000_000)
    assert str(error) == message
