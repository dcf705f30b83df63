"""A running server sees to the tables of the ledger, and gives alerts on budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from pulse_process import START_S, Pulse, Simulation, open_folder, run_pulse


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        (opened / "pulse.toml").write_text("[limits.key]\nbudget_usd = 0.01\n")
        yield opened


@asynccontextmanager
async def connected(url: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def until(connection: asyncpg.Connection, question: str, answer: object) -> None:
    async with asyncio.timeout(START_S):
        while await connection.fetchval(question) != answer:
            await asyncio.sleep(0.05)


async def test_partitions_are_made_answers_forgotten_and_lost_calls_ended(database_url: str) -> None:
    async with connected(database_url) as connection:
        last = await connection.fetchval(
            "select max(relid::text) from pg_partition_tree('usage_entry') where relid::text like 'usage_entry_2%'"
        )
        await connection.execute(f"drop table {last}")
        await connection.execute(
            "insert into idempotency (tenant_id, user_id, key, fingerprint, owner, expires_at) "
            "values ('default', 'u', 'k', sha256('x'), gen_random_uuid(), now() - interval '1 day')"
        )
        with Pulse.serve(database_url) as pulse:
            await until(connection, f"select to_regclass('{last}') is not null", True)
            await until(connection, "select count(*) from idempotency", 0)
            assert pulse.process.stop() == 0
            assert "maintenance failed" not in pulse.process.output


async def test_a_budget_that_is_used_up_is_told_once_for_each_percentage(
    database_url: str, simulation: Simulation, folder: Path
) -> None:
    made = run_pulse("keys", "create", "--user", "ada@example.com", env={"PULSE_DATABASE_URL": database_url})
    settings = simulation.provider_environment()
    body = {"model": "openai:gpt-5.2", "messages": [{"role": "user", "content": "مرحبا"}], "max_completion_tokens": 50}
    with Pulse.serve(database_url, settings, key=made.stdout.strip(), cwd=folder) as pulse:
        async with httpx.AsyncClient(base_url=pulse.url, headers=pulse.headers, trust_env=False) as client:
            statuses = []
            while not statuses or statuses[-1] == 200:
                statuses.append((await client.post("/v1/chat/completions", json=body)).status_code)
                assert len(statuses) < 60
            assert statuses[-1] == 429
            page = (await client.get("/metrics")).text
    alerts = pulse.log_lines("budget alert")
    assert [(line["percent"], line["kind"], line["account"].partition("/")[0]) for line in alerts][:1] == [
        (80, "cost_nano_usd", "key")
    ]
    assert len(alerts) == len({line["percent"] for line in alerts})
    assert 'pulse_budget_alerts_total{kind="cost_nano_usd",percent="80"} 1.0' in page
    async with connected(database_url) as connection:
        written = await connection.fetch("select account, percent from budget_alert")
    assert sorted((row["account"], row["percent"]) for row in written) == sorted(
        (line["account"], line["percent"]) for line in alerts
    )
