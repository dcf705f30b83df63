"""The stores that `pulse dev` brings: what they keep, as whom they are used, and how a user gets at them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest
from pulse_process import Pulse, open_folder, run_pulse

ECHO = {"model": "echo", "messages": [{"role": "user", "content": "مرحبا"}]}
THREE_AN_HOUR = {"PULSE_RATE_LIMIT": "3/3600s"}


@pytest.fixture
def data() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder / "data"


def ask(pulse: Pulse) -> httpx.Response:
    return httpx.post(f"{pulse.url}/v1/chat/completions", json=ECHO, headers=pulse.headers, trust_env=False)


def told(pulse: Pulse, what: str) -> str:
    """What the welcome says of one store."""
    return pulse.process.wait_for(rf"(?m)^  {what} +(.+)$")[1]


def stores_of(pulse: Pulse) -> dict[str, str]:
    """What a user exports to work beside a running `pulse dev`."""
    return {
        "PULSE_DATABASE_URL": told(pulse, "database"),
        "PULSE_REDIS_URL": told(pulse, "redis"),
        "PULSE_JOURNAL_DIR": str(pulse.data_dir / "journal"),
    }


def ask_database(url: str, statement: str) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_windows_and_months_are_kept_over_a_restart(data: Path, how: signal.Signals) -> None:
    with Pulse.dev(data, THREE_AN_HOUR) as pulse:
        assert [ask(pulse).status_code for _ in range(4)] == [200, 200, 200, 429]
        # What the server says of a write is on the disk within a second; a stop does not wait for that, and a kill cannot.
        pulse.process.stop(how)
    with Pulse.dev(data, THREE_AN_HOUR) as pulse:
        assert ask(pulse).status_code == 429
        done = run_pulse("usage", "verify", env=stores_of(pulse))
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_everything_works_beside_it_with_the_addresses_it_prints(data: Path) -> None:
    with Pulse.dev(data) as pulse:
        assert ask(pulse).status_code == 200
        env = stores_of(pulse)
        assert run_pulse("keys", "create", "--user", "ada@example.com", env=env).returncode == 0
        rows = run_pulse("check", env=env)
        assert rows.returncode == 0
        assert "WARN" not in rows.stdout
        assert run_pulse("usage", "verify", env=env).returncode == 0


def test_the_database_is_used_by_a_role_that_no_policy_lets_pass(data: Path) -> None:
    with Pulse.dev(data) as pulse:
        assert ask(pulse).status_code == 200
        url = told(pulse, "database")
        assert ask_database(url, "select current_user") == "pulse"
        # A session that does not say whose rows it may see sees none.
        assert ask_database(url, "select count(*) from app_user") == 0


def test_a_redis_of_ones_own_and_none_at_all(data: Path) -> None:
    with Pulse.dev(data) as first, open_folder() as folder:
        with Pulse.dev(folder / "data", {"PULSE_REDIS_URL": f"{told(first, 'redis')}?db=1"}) as second:
            assert told(second, "redis") == "as configured"
            assert not (folder / "data" / "valkey").exists()
            assert ask(second).status_code == 200
        (folder / "pulse.toml").write_text('[limits]\nstore = "local"\n')
        with Pulse.dev(folder / "data") as third:
            assert told(third, "redis") == "none: limits are counted in this process"
            assert ask(third).status_code == 200
            assert {child.name() for child in psutil.Process(third.process.pid).children()} == {"postgres"}
