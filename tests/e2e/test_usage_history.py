"""`GET /v1/usage/me/history`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest
from pulse_process import PAUSE_S, Pulse, Simulation, entries_of, run_pulse

AMOUNTS = [
    "requests",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "tokens",
    "images",
    "videos",
    "video_ms",
    "audio_ms",
    "characters",
    "searches",
    "cost_usd",
    "unpriced",
]


@pytest.fixture(scope="module")
def database(new_database: Callable[[], str]) -> str:
    url = new_database()
    assert run_pulse("migrate", env={"PULSE_DATABASE_URL": url}).returncode == 0
    return url


def new_key(database: str, user: str, tenant: str = "default") -> str:
    words = ("keys", "create", "--user", user, "--tenant", tenant, "--json")
    made = json.loads(run_pulse(*words, env={"PULSE_DATABASE_URL": database}).stdout)
    return str(made["key"])


@pytest.fixture(scope="module")
def served(database: str, simulation: Simulation) -> Iterator[Pulse]:
    key = new_key(database, "ada@example.com")
    settings = {**simulation.provider_environment(), "PULSE_RATE_LIMIT": "off"}
    with Pulse.serve(database, settings, key=key) as running:
        yield running


@pytest.fixture
async def client(served: Pulse) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.url, headers=served.headers, timeout=30, trust_env=False) as made:
        yield made


async def history(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await client.get("/v1/usage/me/history", params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ask(client: httpx.AsyncClient, path: str, **body: Any) -> None:
    answer = await client.post(path, json={"messages": [{"role": "user", "content": "hi"}], **body})
    assert answer.status_code == 200, answer.text


async def written(served: Pulse) -> None:
    """Returns when the ledger has written what is recorded."""
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
        while "\npulse_ledger_backlog 0.0" not in (await client.get("/metrics")).text:
            await asyncio.sleep(PAUSE_S)


async def test_today_is_what_the_ledger_says_of_it_by_day_and_by_model(
    served: Pulse, client: httpx.AsyncClient, database: str
) -> None:
    today = datetime.now(UTC).date()
    for _ in range(2):
        await ask(client, "/v1/chat/completions", model="gpt-5.2", max_completion_tokens=50)
    await ask(client, "/v1/messages", model="claude-opus-5", max_tokens=50)
    await written(served)
    entries = await entries_of(database)
    asked = {"from": today.isoformat()}

    by_day = await history(client, **asked)
    assert by_day["group_by"] == "day"
    assert by_day["totals"]["requests"] == 3
    assert by_day["totals"]["tokens"] == sum(entry["tokens"] for entry in entries)
    assert Decimal(by_day["totals"]["cost_usd"]) * 10**9 == sum(entry["cost_nano_usd"] for entry in entries)
    assert {row["day"] for row in by_day["rows"]} == {entry["at"].date().isoformat() for entry in entries}

    by_model = await history(client, **asked, group_by="model")
    assert [(row["provider"], row["model"], row["requests"]) for row in by_model["rows"]] == [
        ("anthropic", "claude-opus-5", 1),
        ("openai", "gpt-5.2", 2),
    ]
    assert by_model["totals"] == by_day["totals"]
    for row in (*by_day["rows"], *by_model["rows"], by_day["totals"]):
        assert list(row)[: len(AMOUNTS)] == AMOUNTS
        assert row["input_tokens"] + row["output_tokens"] == row["tokens"]
        assert isinstance(row["cost_usd"], str)


async def test_any_days_can_be_asked_for(served: Pulse, client: httpx.AsyncClient, database: str) -> None:
    connection = await asyncpg.connect(database)
    user = await connection.fetchval("select id::text from app_user where email = 'ada@example.com'")
    columns = "tenant_id, day, user_id, key_id, alias, provider, model, requests, attempts, failed, unpriced, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_long_tokens, audio_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, image_input_tokens, video_output_tokens, video_ms, tokens, images, videos, cost_nano_usd"
    for day, key in ((5, "k1"), (5, "k2"), (6, "k1"), (9, "k1")):
        await connection.execute(
            f"insert into usage_daily ({columns}) values ('default', $1, $2, $3, 'fast', 'openai', 'gpt-6', 1, 2, 1, 1, "
            "1, 10, 100, 1000, 10000, 2, 20, 200, 2000, 100000, 20000, 8000, 133333, 3, 4, 1000000001)",
            date(2024, 2, day),
            user,
            key,
        )
    await connection.close()
    found = await history(client, **{"from": "2024-02-05", "to": "2024-02-08"})
    amounts = {
        "input_tokens": 111111,
        "cached_input_tokens": 10,
        "output_tokens": 22222,
        "reasoning_tokens": 20,
        "tokens": 133333,
        "images": 3,
        "videos": 4,
        "video_ms": 8000,
        "audio_ms": 0,
        "characters": 0,
        "searches": 0,
        "unpriced": 1,
    }
    assert found == {
        "from": "2024-02-05",
        "to": "2024-02-08",
        "group_by": "day",
        "rows": [
            {
                "requests": 2,
                **{name: 2 * amount for name, amount in amounts.items()},
                "cost_usd": "2.000000002",
                "day": "2024-02-05",
            },
            {"requests": 1, **amounts, "cost_usd": "1.000000001", "day": "2024-02-06"},
        ],
        "totals": {
            "requests": 3,
            **{name: 3 * amount for name, amount in amounts.items()},
            "cost_usd": "3.000000003",
        },
    }
    leap_year = await history(client, **{"from": "2024-01-01", "to": "2024-12-31"})
    assert leap_year["totals"]["requests"] == 4
    month = await history(client, to="2024-02-29", group_by="model")
    assert (month["from"], [row["model"] for row in month["rows"]]) == ("2024-02-01", ["gpt-6"])


async def test_nobody_sees_what_another_used(served: Pulse, client: httpx.AsyncClient, database: str) -> None:
    run_pulse("tenants", "create", "acme", env={"PULSE_DATABASE_URL": database})
    await ask(client, "/v1/chat/completions", model="gpt-5.2", max_completion_tokens=50)
    await written(served)
    for user, tenant in (("eve@example.com", "default"), ("ada@example.com", "acme")):
        headers = {"authorization": f"Bearer {new_key(database, user, tenant)}"}
        async with httpx.AsyncClient(base_url=served.url, headers=headers, trust_env=False) as stranger:
            found = await history(stranger, **{"from": "2026-01-01", "to": "2026-12-31"})
            assert found["rows"] == []
            assert found["totals"]["requests"] == 0


@pytest.mark.parametrize(
    ("query", "param", "complaint"),
    [
        ("from=november", "from", "from is a day in UTC such as 2026-11-24"),
        ("from=2026-02-30", "from", "from=2026-02-30 is no day"),
        ("to=2026-11-24T00:00", "to", "to is a day in UTC"),
        ("from=2026-11-02&to=2026-11-01", "from", "from=2026-11-02 is after to=2026-11-01"),
        ("from=2024-01-01&to=2025-12-31", "from", "more than 366 days"),
        ("group_by=hour", "group_by", "group_by is one of day, model"),
        ("group_by=day&group_by=model", "group_by", "group_by was given 2 times"),
        ("form=2026-11-01", "form", "there is no parameter 'form' here"),
    ],
)
async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient, query: str, param: str, complaint: str) -> None:
    answer = await client.get(f"/v1/usage/me/history?{query}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("invalid_request", param)
    assert complaint in error["message"]


async def test_it_is_for_callers_with_a_key(served: Pulse) -> None:
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as nobody:
        assert (await nobody.get("/v1/usage/me/history")).status_code == 401
        assert (await nobody.get("/v1/usage/me/history?from=x")).status_code == 401
        assert (await nobody.post("/v1/usage/me/history")).status_code == 405


async def test_it_is_in_the_document(served: Pulse) -> None:
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as nobody:
        document = (await nobody.get("/openapi.json")).json()
    described = document["paths"]["/v1/usage/me/history"]["get"]
    assert [parameter["name"] for parameter in described["parameters"]] == ["from", "to", "group_by"]
    schema = described["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert set(document["components"]["schemas"][schema]["required"]) == {"from", "to", "group_by", "rows", "totals"}
