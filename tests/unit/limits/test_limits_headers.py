from __future__ import annotations

import re

import pytest

from pulse_gateway.errors import (
    ConcurrencyLimited,
    InvalidRequest,
    QuotaExceeded,
    RateLimited,
    StoreUnavailable,
    Unauthenticated,
    UpstreamQuotaExhausted,
)
from pulse_gateway.limits.headers import limit_headers, refusal_headers
from pulse_gateway.limits.limiter import Standing

WINDOW = Standing(kind="requests", limit=60, used=48, reserved=0, reset_s=30.2, window_s=60.0)
QUOTA = Standing(
    kind="tokens", limit=150_000, used=100_000, reserved=2_500, reset_s=604_800.4, resets_at=1.0, starts_at=0.0
)
BUDGET = Standing(
    kind="cost_nano_usd",
    limit=50_000_000_000,
    used=12_345_678_900,
    reserved=4_000_000,
    reset_s=604_800.4,
    account="tenant/acme",
)
AT_ONCE = Standing(kind="concurrency", limit=5, used=2, reserved=0, reset_s=0.0)
TOKENS_A_MINUTE = Standing(kind="tokens", limit=90_000, used=30_000, reserved=0, reset_s=63.0, window_s=60.0)
# What RFC 9651 allows of strings with parameters that are integers or strings, as used here.
MEMBER = re.compile(r'"[a-z_]+"(;[a-z]{1,2}=(\d{1,15}|"[a-z0-9.-]*"))+')


def test_a_window_and_a_token_quota_are_told_in_every_form_that_clients_read() -> None:
    assert dict(limit_headers([WINDOW, QUOTA])) == {
        "ratelimit-policy": '"requests";q=60;w=60',
        "ratelimit": '"requests";r=12;t=31',
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "12",
        "x-ratelimit-reset-requests": "31s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "47500",
        "x-ratelimit-reset-tokens": "168h0m1s",
        "pulse-quota": '"tokens";q=150000;u=100000;h=2500;r=47500;t=604801',
    }


def test_a_quota_without_a_cap_is_told_in_pulse_quota_alone() -> None:
    unlimited = Standing(kind="tokens", limit=None, used=7, reserved=3, reset_s=10.0)
    assert limit_headers([unlimited]) == (("pulse-quota", '"tokens";u=7;h=3;t=10'),)


def test_a_window_without_a_cap_is_no_limit_and_is_not_told() -> None:
    assert limit_headers([Standing(kind="requests", limit=None, used=7, reserved=0, reset_s=10.0, window_s=60.0)]) == ()


def test_several_quotas_are_members_of_one_list() -> None:
    images = Standing(kind="images", limit=10, used=11, reserved=0, reset_s=10.0)
    quotas = dict(limit_headers([QUOTA, images]))["pulse-quota"].split(", ")
    assert [quota.partition(";")[0] for quota in quotas] == ['"tokens"', '"images"']
    assert quotas[1] == '"images";q=10;u=11;h=0;r=0;t=10'  # beyond the cap nothing is left, never less


def test_of_several_windows_the_tightest_is_told() -> None:
    team = Standing(kind="requests", limit=100, used=95, reserved=0, reset_s=9.0, window_s=60.0)
    for standings in ([WINDOW, team], [team, WINDOW]):
        headers = dict(limit_headers(standings))
        assert headers["ratelimit"] == '"requests";r=5;t=9'
        assert headers["ratelimit-policy"] == '"requests";q=100;w=60'


def test_of_several_counters_of_one_kind_the_tightest_is_told_whoever_owns_it() -> None:
    key = Standing(account="key/k", kind="tokens", limit=1_000_000, used=999_999, reserved=0, reset_s=604_800.4)
    full = Standing(account="tenant/acme", kind="tokens", limit=5, used=5, reserved=0, reset_s=10.0)
    full_longer = Standing(account="model/m", kind="tokens", limit=7, used=7, reserved=0, reset_s=20.0)
    unlimited = Standing(kind="tokens", limit=None, used=7, reserved=0, reset_s=604_800.4)
    for standings in ([QUOTA, key, unlimited], [unlimited, key, QUOTA]):
        assert dict(limit_headers(standings))["pulse-quota"].startswith('"tokens";q=1000000;u=999999;')
    for standings in ([full, full_longer, QUOTA], [full_longer, QUOTA, full]):
        assert dict(limit_headers(standings))["pulse-quota"].startswith('"tokens";q=7;')


def test_calls_at_once_are_a_policy_without_a_window_and_no_quota() -> None:
    assert limit_headers([AT_ONCE]) == (
        ("ratelimit-policy", '"concurrency";q=5;qu="concurrent-requests"'),
        ("ratelimit", '"concurrency";r=3'),
    )
    assert limit_headers([Standing(kind="concurrency", limit=None, used=2, reserved=0, reset_s=0.0)]) == ()
    refused = ConcurrencyLimited("full", retry_after_s=1.0, standings=(WINDOW, AT_ONCE), kind_of_limit="concurrency")
    assert dict(refusal_headers(refused))["ratelimit"] == '"requests";r=12;t=31, "concurrency";r=3'


def test_a_window_of_tokens_names_its_unit_and_is_what_openais_clients_read() -> None:
    for standings in ([QUOTA, TOKENS_A_MINUTE], [TOKENS_A_MINUTE, QUOTA]):
        headers = dict(limit_headers(standings))
        assert headers["ratelimit-policy"] == '"tokens";q=90000;qu="tokens";w=60'
        assert headers["ratelimit"] == '"tokens";r=60000;t=63'
        assert headers["pulse-quota"] == '"tokens";q=150000;u=100000;h=2500;r=47500;t=604801'
        assert headers["x-ratelimit-remaining-tokens"] == "60000"
        assert headers["x-ratelimit-reset-tokens"] == "1m3s"


def test_money_is_told_in_dollars_to_the_last_digit() -> None:
    assert limit_headers([BUDGET]) == (
        ("pulse-quota", '"cost_usd";q="50";u="12.3456789";h="0.004";r="37.6503211";t=604801'),
    )
    unlimited = Standing(kind="cost_nano_usd", limit=None, used=1, reserved=0, reset_s=10.0)
    assert limit_headers([unlimited]) == (("pulse-quota", '"cost_usd";u="0.000000001";h="0";t=10'),)


def test_every_field_is_a_structured_field() -> None:
    headers = dict(limit_headers([WINDOW, QUOTA, BUDGET, AT_ONCE, TOKENS_A_MINUTE]))
    for name in ("ratelimit", "ratelimit-policy", "pulse-quota"):
        for member in headers[name].split(", "):
            assert MEMBER.fullmatch(member), member


@pytest.mark.parametrize(
    ("reset_s", "shown"),
    [(0.0, "0ms"), (0.0115, "12ms"), (0.9, "900ms"), (1.0, "1s"), (59.2, "1m0s"), (360.0, "6m0s"), (3_600.0, "1h0m0s")],
)
def test_resets_are_durations_as_openai_writes_them(reset_s: float, shown: str) -> None:
    window = Standing(kind="requests", limit=60, used=1, reserved=0, reset_s=reset_s, window_s=60.0)
    assert dict(limit_headers([window]))["x-ratelimit-reset-requests"] == shown


def test_the_microsecond_of_the_window_edge_is_not_shown_as_a_second() -> None:
    window = Standing(kind="requests", limit=60, used=1, reserved=0, reset_s=60.000_001, window_s=60.0)
    assert dict(limit_headers([window]))["ratelimit"] == '"requests";r=59;t=60'


def test_a_refused_window_is_full_until_retry_after_and_not_longer() -> None:
    full = Standing(kind="requests", limit=60, used=60, reserved=0, reset_s=59.0, window_s=60.0)
    refusal = RateLimited("full", retry_after_s=4.2, standings=(full, QUOTA), kind_of_limit="requests")
    headers = dict(refusal_headers(refusal))
    assert headers["ratelimit"] == '"requests";r=0;t=5'
    assert headers["retry-after"] == "5"
    assert headers["retry-after-ms"] == "4200"
    assert headers["pulse-quota"].startswith('"tokens";')
    assert "x-should-retry" not in headers


def test_retry_after_is_never_too_early_by_the_microsecond_of_an_edge() -> None:
    full = Standing(kind="requests", limit=60, used=60, reserved=0, reset_s=60.000_001, window_s=60.0)
    headers = dict(
        refusal_headers(RateLimited("full", retry_after_s=5.000_001, standings=(full,), kind_of_limit="requests"))
    )
    assert (headers["retry-after"], headers["retry-after-ms"], headers["ratelimit"]) == (
        "6",
        "5001",
        '"requests";r=0;t=5',
    )


def test_a_quota_refusal_tells_clients_not_to_sit_it_out() -> None:
    headers = dict(refusal_headers(QuotaExceeded("used up", retry_after_s=5.0, standings=(WINDOW, QUOTA))))
    assert headers["retry-after"] == "5"
    assert headers["x-should-retry"] == "false"
    assert headers["ratelimit"] == '"requests";r=12;t=31'
    assert ("x-should-retry", "false") in refusal_headers(UpstreamQuotaExhausted("no credit"))


def test_a_wait_of_more_than_two_minutes_is_not_sat_out_either() -> None:
    assert "x-should-retry" not in dict(refusal_headers(RateLimited("full", retry_after_s=120.0)))
    assert dict(refusal_headers(RateLimited("full", retry_after_s=121.0)))["x-should-retry"] == "false"


def test_errors_that_know_no_time_name_none() -> None:
    for error in (InvalidRequest("no"), Unauthenticated("who?"), QuotaExceeded("too large")):
        assert not [name for name, _ in refusal_headers(error) if name.startswith("retry-after")]
    assert refusal_headers(InvalidRequest("no")) == ()


def test_a_store_that_is_down_says_when_to_come_back() -> None:
    assert refusal_headers(StoreUnavailable("draining", retry_after_s=0.2)) == (
        ("retry-after", "1"),
        ("retry-after-ms", "200"),
    )
