"""Tenants from the command line to the refusal, served as a role that no policy lets pass."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest
from pulse_process import PAUSE_S, Pulse, Simulation, run_pulse


@pytest.fixture(scope="module")
def env(new_database: Callable[[], str]) -> dict[str, str]:
    """A database that belongs to a role which is no superuser, migrated by that role."""
    url = new_database()

    async def hand_over() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("create role tenants_tester login nosuperuser nobypassrls")
        name = await connection.fetchval("select current_database()")
        await connection.execute(f"alter database {name} owner to tenants_tester")
        await connection.close()

    asyncio.run(hand_over())
    env = {"PULSE_DATABASE_URL": url.replace("//postgres@", "//tenants_tester@")}
    assert run_pulse("migrate", env=env).returncode == 0
    return env


def pulse(env: dict[str, str], *words: str) -> str:
    done = run_pulse(*words, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_key(env: dict[str, str], user: str, tenant: str, *words: str) -> str:
    made: dict[str, Any] = json.loads(
        pulse(env, "keys", "create", "--user", user, "--tenant", tenant, "--json", *words)
    )
    assert made["tenant"] == tenant
    return str(made["key"])


# ── the commands ──


def test_tenants_are_made_listed_and_changed(env: dict[str, str]) -> None:
    words = ("--name", "شركة", "--requests", "1000/m", "--tokens", "off", "--concurrency", "5", "--budget-usd", "100")
    assert "made atlas; limits: requests=1000/60s tokens=off concurrency=5 budget_usd=100" in pulse(
        env, "tenants", "create", "atlas", *words
    )
    again = run_pulse("tenants", "create", "atlas", env=env)
    assert again.returncode == 1
    assert "there is a tenant 'atlas' already; change it with `pulse tenants update atlas`" in again.stderr

    pulse(env, "tenants", "update", "atlas", "--requests", "default", "--budget-usd", "0.5")
    listed = [json.loads(line) for line in pulse(env, "tenants", "list", "--json").splitlines()]
    (atlas,) = [row for row in listed if row["tenant"] == "atlas"]
    assert atlas["limits"] == {"tokens": "off", "concurrency": 5, "budget_usd": "0.5"}
    assert (atlas["name"], atlas["users"]) == ("شركة", 0)
    (line,) = [line for line in pulse(env, "tenants", "list").splitlines() if line.startswith("atlas ")]
    assert line.split() == ["atlas", "0", "tokens=off", "concurrency=5", "budget_usd=0.5", "شركة"]


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["tenants", "create", "*"], 1, "'*' cannot name a tenant"),
        (["tenants", "create", "a", "--requests", "many"], 1, "--requests = 'many' is not a rate"),
        (["tenants", "create", "a", "--budget-usd", "-1"], 1, "--budget-usd '-1' is not an amount"),
        (["tenants", "create", "a", "--name", "b\tc"], 1, "--name may hold printable characters only"),
        (["tenants", "update", "nobody", "--concurrency", "1"], 1, "there is no tenant 'nobody'; see"),
        (["tenants", "update", "default"], 1, "nothing to change; name a limit, or --name"),
        (["tenants", "create"], 2, "Missing argument 'NAME'"),
        (["keys", "create", "--user", "a@b", "--tenant", "nobody"], 1, "there is no tenant 'nobody'; make it with"),
        (["keys", "create", "--user", "a@b", "--concurrency", "0"], 1, "--concurrency '0' is not a number of calls"),
        (["keys", "update", "nothing", "--concurrency", "1"], 1, "there is no live key 'nothing'"),
        (["keys", "update", "nothing"], 1, "nothing to change; name a limit"),
    ],
)
def test_what_cannot_be_is_said(env: dict[str, str], words: list[str], code: int, complaint: str) -> None:
    done = run_pulse(*words, env=env)
    assert done.returncode == code
    assert complaint in done.stderr
    assert not done.stdout


def test_keys_are_listed_with_tenant_and_limits_and_changed(env: dict[str, str]) -> None:
    pulse(env, "tenants", "create", "listed")
    new_key(env, "ada@example.com", "listed", "--requests", "5/s", "--budget-usd", "1.25")
    new_key(env, "ada@example.com", "default")
    (row,) = [json.loads(line) for line in pulse(env, "keys", "list", "--tenant", "listed", "--json").splitlines()]
    assert row["limits"] == {"requests": "5/1s", "budget_usd": "1.25"}
    both = pulse(env, "keys", "list", "--user", "ADA@example.com", "--json").splitlines()
    assert {json.loads(line)["tenant"] for line in both} == {"listed", "default"}
    pulse(env, "keys", "update", row["key_id"], "--requests", "default", "--concurrency", "2")
    (line,) = [line for line in pulse(env, "keys", "list").splitlines() if row["key_id"] in line]
    assert "listed" in line
    assert "concurrency=2 budget_usd=1.25" in line


def test_a_role_that_no_policy_lets_pass_is_nothing_to_remark_on(env: dict[str, str]) -> None:
    (line,) = [line for line in run_pulse("check", env=env).stdout.splitlines() if "postgres" in line]
    assert line.endswith(", migrated")


# ── what they may do ──


@pytest.fixture(scope="module")
def secrets(env: dict[str, str]) -> dict[str, str]:
    pulse(env, "tenants", "create", "acme", "--requests", "6/h", "--budget-usd", "50")
    pulse(env, "tenants", "create", "globex")
    return {
        "acme ada": new_key(env, "ada@example.com", "acme"),
        "acme bob": new_key(env, "bob@example.com", "acme", "--concurrency", "3", "--tokens", "100000/m"),
        "globex ada": new_key(env, "ada@example.com", "globex"),
        "globex poor": new_key(env, "poor@example.com", "globex", "--budget-usd", "0"),
        "globex slow": new_key(env, "ada@example.com", "globex", "--requests", "1/h"),
    }


@pytest.fixture(scope="module")
def served(env: dict[str, str], secrets: dict[str, str], simulation: Simulation) -> Iterator[Pulse]:
    with Pulse.serve(env["PULSE_DATABASE_URL"], simulation.provider_environment()) as running:
        yield running


@pytest.fixture
def ask(served: Pulse, secrets: dict[str, str]) -> Callable[[str], httpx.Response]:
    def send(who: str) -> httpx.Response:
        body = {"model": "gpt-5.2", "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 50}
        return httpx.post(
            f"{served.url}/v1/chat/completions",
            json=body,
            headers={"authorization": f"Bearer {secrets[who]}"},
            trust_env=False,
            timeout=30,
        )

    return send


@pytest.fixture
def overview(served: Pulse, secrets: dict[str, str]) -> Callable[[str], dict[str, Any]]:
    def look(who: str) -> dict[str, Any]:
        answer = httpx.get(
            f"{served.url}/v1/usage/me", headers={"authorization": f"Bearer {secrets[who]}"}, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return look


def test_the_limit_of_a_tenant_is_shared_by_its_users_and_by_nobody_else(
    ask: Callable[[str], httpx.Response], overview: Callable[[str], dict[str, Any]]
) -> None:
    answers = [ask(who) for who in ("acme ada", "acme bob") * 3]
    assert [answer.status_code for answer in answers] == [200] * 6
    refused = ask("acme bob")
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert "6 requests per 3600 s for this tenant" in refused.json()["error"]["message"]
    assert ask("globex ada").status_code == 200

    ada, bob = overview("acme ada"), overview("acme bob")
    tenants_window = {
        "account": "tenant",
        "kind": "requests",
        "limit": 6,
        "window_s": 3600.0,
        "used": 6,
        "remaining": 0,
    }
    assert tenants_window in ada["windows"]
    assert tenants_window in bob["windows"]
    assert ada["requests"]["used"] == bob["requests"]["used"] == 3
    (budget,) = ada["budgets"]
    assert ada["budgets"] == bob["budgets"]
    assert (budget["account"], budget["limit_usd"], budget["reserved_usd"]) == ("tenant", "50", "0")
    assert Decimal(budget["used_usd"]) > 0
    assert Decimal(budget["used_usd"]) + Decimal(budget["remaining_usd"]) == 50
    assert bob["concurrency"] == [{"account": "key", "limit": 3, "used": 0, "remaining": 3}]
    assert [each["account"] for each in bob["windows"] if each["kind"] == "tokens"] == ["key"]
    used = [answer.json()["usage"]["total_tokens"] for answer in answers]
    assert (ada["tokens"]["used"], bob["tokens"]["used"]) == (sum(used[::2]), sum(used[1::2]))


def test_one_address_in_two_tenants_is_two_users(
    ask: Callable[[str], httpx.Response], overview: Callable[[str], dict[str, Any]]
) -> None:
    before = overview("acme ada")["tokens"]["used"]
    mine = overview("globex ada")["tokens"]["used"]
    assert ask("globex ada").status_code == 200
    assert overview("globex ada")["tokens"]["used"] > mine
    assert overview("acme ada")["tokens"]["used"] == before
    assert "budgets" not in overview("globex ada")
    assert "windows" not in overview("globex ada")


def test_the_limit_of_a_key_is_that_keys(ask: Callable[[str], httpx.Response]) -> None:
    assert [ask("globex slow").status_code for _ in range(2)] == [200, 429]
    assert ask("globex ada").status_code == 200


def test_a_budget_that_is_used_up_is_said_with_what_and_whose(
    ask: Callable[[str], httpx.Response], overview: Callable[[str], dict[str, Any]]
) -> None:
    refused = ask("globex poor")
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert error["code"] == "insufficient_quota"
    assert "budget of $0 for this key" in error["message"]
    assert overview("globex poor")["budgets"] == [
        {"account": "key", "limit_usd": "0", "used_usd": "0", "reserved_usd": "0", "remaining_usd": "0"}
    ]


def test_what_a_tenant_used_is_written_and_told_behind_the_wall(
    env: dict[str, str], served: Pulse, secrets: dict[str, str], ask: Callable[[str], httpx.Response]
) -> None:
    ask("globex ada")
    deadline = time.monotonic() + 20
    while "\npulse_ledger_backlog 0.0" not in httpx.get(f"{served.url}/metrics", trust_env=False).text:
        assert time.monotonic() < deadline
        time.sleep(PAUSE_S)
    told = httpx.get(
        f"{served.url}/v1/usage/me/history",
        params={"from": (datetime.now(UTC) - timedelta(days=1)).date().isoformat()},
        headers={"authorization": f"Bearer {secrets['globex ada']}"},
        trust_env=False,
    ).json()
    rows = list(csv.DictReader(io.StringIO(pulse(env, "usage", "export", "--tenant", "globex"), newline="")))
    assert {row["tenant_id"] for row in rows} == {"globex"}
    (user,) = {row["user_id"] for row in rows}
    assert told["totals"]["requests"] == sum(int(row["requests"]) for row in rows) > 0
    assert told["totals"]["tokens"] == sum(int(row["tokens"]) for row in rows) > 0
    assert user
