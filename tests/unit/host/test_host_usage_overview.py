"""What `GET /v1/usage/me` says of a caller's counters."""

from __future__ import annotations

import msgspec

from pulse_gateway.clock import SystemClock
from pulse_gateway.limits.limiter import Standing
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.pipeline.terms import Terms
from pulse_gateway.types.identity import Allowance, Plan, Principal
from pulse_host.usage.overview import Overview, overview_of

PRINCIPAL = Principal(user_id="ada", plan=Plan(name="pro", tokens=1000), key_id="k1", tenant_id="acme")


def quota(account: str, kind: str, limit: int | None, used: int, reserved: int = 0) -> Standing:
    return Standing(
        account=account,
        kind=kind,
        limit=limit,
        used=used,
        reserved=reserved,
        reset_s=1.0,
        starts_at=1793491200.0,
        resets_at=1796083200.0,
    )


def window(account: str, kind: str, limit: int, used: int) -> Standing:
    return Standing(account=account, kind=kind, limit=limit, used=used, reserved=0, reset_s=1.0, window_s=60.0)


MONTHLY = [quota("ada", "tokens", 1000, 10, 5), quota("ada", "images", 3, 1), quota("ada", "videos", None, 0)]


def test_without_further_limits_the_shape_is_what_it_always_was() -> None:
    shown = msgspec.to_builtins(overview_of(PRINCIPAL, [window("ada", "requests", 60, 2), *MONTHLY]))
    assert shown == {
        "plan": "pro",
        "period": {"starts_at": "2026-11-01T00:00:00Z", "resets_at": "2026-12-01T00:00:00Z"},
        "tokens": {"limit": 1000, "used": 10, "reserved": 5, "remaining": 985},
        "images": {"limit": 3, "used": 1, "reserved": 0, "remaining": 2},
        "videos": {"limit": None, "used": 0, "reserved": 0, "remaining": None},
        "requests": {"limit": 60, "window_s": 60.0, "used": 2, "remaining": 58},
    }


def test_without_a_rate_limit_requests_are_null() -> None:
    shown = overview_of(PRINCIPAL, MONTHLY)
    assert msgspec.to_builtins(shown.requests) == {"limit": None, "window_s": None, "used": 0, "remaining": None}


def test_counters_of_one_kind_are_told_apart() -> None:
    standings = [
        window("tenant/acme", "requests", 900, 700),
        window("key/k1", "requests", 9, 1),
        window("ada", "requests", 60, 2),
        window("ada", "tokens", 500, 400),
        *MONTHLY,
        window("key/k1", "tokens", 50, 40),
        quota("tenant/acme", "tokens", 7, 7),
        Standing(account="ada", kind="concurrency", limit=4, used=1, reserved=0, reset_s=0.0),
        Standing(account="tenant/acme", kind="concurrency", limit=40, used=41, reserved=0, reset_s=0.0),
        quota("ada", "cost_nano_usd", 2_000_000_000, 1_500_000, 500),
        quota("key/k1", "cost_nano_usd", 100, 300),
        quota("tenant/acme", "cost_nano_usd", 0, 0),
    ]
    shown: Overview = overview_of(PRINCIPAL, standings)
    assert (shown.tokens.limit, shown.tokens.used) == (1000, 10)
    assert (shown.requests.limit, shown.requests.used) == (60, 2)
    assert msgspec.to_builtins(shown.windows) == [
        {"account": "tenant", "kind": "requests", "limit": 900, "window_s": 60.0, "used": 700, "remaining": 200},
        {"account": "key", "kind": "requests", "limit": 9, "window_s": 60.0, "used": 1, "remaining": 8},
        {"account": "user", "kind": "tokens", "limit": 500, "window_s": 60.0, "used": 400, "remaining": 100},
        {"account": "key", "kind": "tokens", "limit": 50, "window_s": 60.0, "used": 40, "remaining": 10},
    ]
    assert msgspec.to_builtins(shown.concurrency) == [
        {"account": "user", "limit": 4, "used": 1, "remaining": 3},
        {"account": "tenant", "limit": 40, "used": 41, "remaining": 0},
    ]
    assert msgspec.to_builtins(shown.budgets) == [
        {
            "account": "user",
            "limit_usd": "2",
            "used_usd": "0.0015",
            "reserved_usd": "0.0000005",
            "remaining_usd": "1.9984995",
        },
        {
            "account": "key",
            "limit_usd": "0.0000001",
            "used_usd": "0.0000003",
            "reserved_usd": "0",
            "remaining_usd": "0",
        },
        {"account": "tenant", "limit_usd": "0", "used_usd": "0", "reserved_usd": "0", "remaining_usd": "0"},
    ]


async def test_it_reads_what_the_gateway_finds() -> None:
    allowance = Allowance(requests=(5, 60.0), tokens=(9, 60.0), concurrency=2, budget_nano_usd=7)
    principal = Principal(
        user_id="tenant/acme",  # an id that looks like an account of another kind
        plan=Plan(name="pro", tokens=1000, allowance=allowance),
        key_id="k1",
        tenant_id="acme",
        key=allowance,
        tenant=allowance,
    )
    standings = await MemoryLimiter(SystemClock()).standings(Terms().overview(principal), tenant="acme")
    shown = overview_of(principal, standings)
    assert shown.requests.limit == 5
    assert [(each.account, each.kind) for each in shown.windows] == [
        ("user", "tokens"),
        ("key", "requests"),
        ("key", "tokens"),
        ("tenant", "requests"),
        ("tenant", "tokens"),
    ]
    for several in (shown.concurrency, shown.budgets):
        assert [each.account for each in several] == ["user", "key", "tenant"]
