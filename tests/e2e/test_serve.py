"""`pulse serve`: when it refuses to start, what it says of itself, and what it costs."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from pulse_process import STORES, Process, Pulse, Simulation, environment, open_folder, run_pulse

LARGEST_IDLE_MIB = 90
REDIS_AWAY = {"PULSE_REDIS_URL": "redis://127.0.0.1:1/0"}  # a server starts all the same


@pytest.fixture(scope="module")
def served(database_url: str, simulation: Simulation) -> Iterator[Pulse]:
    made = run_pulse("keys", "create", "--user", "ada@example.com", env={"PULSE_DATABASE_URL": database_url})
    with Pulse.serve(database_url, simulation.provider_environment(), key=made.stdout.strip(), fresh=True) as running:
        yield running


# ── refused starts ──


def test_without_a_database_it_says_what_to_set() -> None:
    done = run_pulse("serve", "--port", "0")
    assert done.returncode == 1
    assert "no database: set PULSE_DATABASE_URL" in done.stderr
    assert "`pulse dev`" in done.stderr


def test_a_database_that_does_not_answer_is_waited_for_and_named_without_its_password() -> None:
    began = time.monotonic()
    env = {"PULSE_DATABASE_URL": "postgresql://ada:s3cret%2F@127.0.0.1:1/books", **REDIS_AWAY}
    done = run_pulse("serve", "--port", "0", env=env)
    assert done.returncode == 1
    assert 9 < time.monotonic() - began < 20
    place = "127.0.0.1:1 (database books, user ada)"
    assert f"Postgres does not answer yet at {place}; waiting up to 10 s" in done.stdout
    assert f"Error: Postgres does not answer at {place}" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr


def test_it_can_be_stopped_while_it_waits_for_the_database() -> None:
    env = environment({"PULSE_DATABASE_URL": "postgresql://ada@127.0.0.1:1/books", **REDIS_AWAY})
    process = Process([sys.executable, "-m", "pulse_host", "serve", "--port", "0"], env)
    process.wait_for("Postgres does not answer yet")
    began = time.monotonic()
    assert process.stop() == 0
    assert time.monotonic() - began < 5
    assert "Traceback" not in process.output


@pytest.mark.parametrize("url", ["s3cret", "postgresql://ada:s3/cret@127.0.0.1/books", "mysql://ada:s3cret@h/books"])
def test_an_address_that_cannot_be_read_is_not_repeated(url: str) -> None:
    done = run_pulse("serve", "--port", "0", env={"PULSE_DATABASE_URL": url, **REDIS_AWAY})
    assert done.returncode == 1
    assert "the database address cannot be read; it is postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in done.stderr
    assert not re.search("s3.?cret", done.stdout + done.stderr)


def test_an_unmigrated_database_is_refused_and_migrate_mends_it(new_database: Callable[[], str]) -> None:
    env = {"PULSE_DATABASE_URL": new_database(), **REDIS_AWAY}
    for command in (["serve", "--port", "0"], ["keys", "list"]):
        done = run_pulse(*command, env=env)
        assert done.returncode == 1
        assert "the database lacks" in done.stderr
        assert "run `pulse migrate`" in done.stderr
    assert run_pulse("migrate", env=env).returncode == 0
    with Pulse.serve(env["PULSE_DATABASE_URL"]) as pulse:
        assert httpx.get(f"{pulse.url}/ready", trust_env=False).status_code == 200


def test_without_redis_it_says_what_to_set(database_url: str) -> None:
    done = run_pulse("serve", "--port", "0", env={"PULSE_DATABASE_URL": database_url})
    assert done.returncode == 1
    assert done.stderr == (
        "Error: no Redis: set PULSE_REDIS_URL, or stores.redis_url; "
        'or limits.store = "local" for a single node that counts in its own memory\n'
    )


def test_an_address_of_redis_that_cannot_be_read_is_not_repeated(database_url: str) -> None:
    env = {"PULSE_DATABASE_URL": database_url, "PULSE_REDIS_URL": "redis://ada:s3#cret@h/0"}
    done = run_pulse("serve", "--port", "0", env=env)
    assert done.returncode == 1
    assert "redis://" in done.stderr
    assert not re.search("s3.?cret", done.stdout + done.stderr)


def test_a_journal_that_cannot_be_kept_is_refused(database_url: str) -> None:
    env = {"PULSE_DATABASE_URL": database_url, **STORES.environment(database_url), "PULSE_JOURNAL_DIR": "/proc/journal"}
    done = run_pulse("serve", "--port", "0", env=env)
    assert done.returncode == 1
    assert "/proc/journal" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def local() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "pulse.toml").write_text('[limits]\nstore = "local"\nrequests = "off"\n[plans.small]\ntokens = 400\n')
        yield folder


def test_limits_of_one_process_are_for_one_process(database_url: str, local: Path) -> None:
    done = run_pulse("serve", "--port", "0", "--workers", "2", env={"PULSE_DATABASE_URL": database_url}, cwd=local)
    assert done.returncode == 1
    assert 'limits.store = "local" counts in the memory of one process' in done.stderr


def test_a_single_node_counts_in_its_own_memory_and_begins_with_what_the_ledger_says(
    database_url: str, local: Path
) -> None:
    env = {"PULSE_DATABASE_URL": database_url}
    made = run_pulse("keys", "create", "--user", "lee@example.com", "--plan", "small", env=env, cwd=local)
    env["PULSE_REDIS_URL"] = ""
    with Pulse.serve(database_url, env, key=made.stdout.strip(), cwd=local) as pulse:
        assert pulse.log_lines("ready")[0]["limits"] == "counted in this process; run one only"
        assert set(httpx.get(f"{pulse.url}/ready", trust_env=False).json()["checks"]) == {
            "postgres",
            "journal",
            "ledger",
        }
        assert ask(pulse, "echo", max_tokens=50).status_code == 200
        used = tokens_used(pulse)
        assert used > 0
        pulse.process.stop(signal.SIGKILL)
    with Pulse.serve(database_url, env, key=made.stdout.strip(), cwd=local) as pulse:
        assert tokens_used(pulse) == used


def tokens_used(pulse: Pulse) -> int:
    found = httpx.get(f"{pulse.url}/v1/usage/me", headers=pulse.headers, trust_env=False).json()
    used: int = found["tokens"]["used"]
    return used


def test_a_port_in_use_is_named(served: Pulse, database_url: str) -> None:
    port = served.url.rpartition(":")[2]
    done = run_pulse("serve", "--port", port, env={"PULSE_DATABASE_URL": database_url})
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr


# ── running ──


def test_it_says_where_limits_are_counted(served: Pulse) -> None:
    (line,) = served.log_lines("ready")
    assert line["url"] == served.url
    assert line["workers"] == 1
    assert line["limits"] == "counted in Redis, for all replicas"
    assert line["providers"] == ["anthropic", "google", "openai", "replicate", "stability", "vllm"]


def test_all_its_output_is_one_json_object_per_line(served: Pulse) -> None:
    request_id = ask(served).headers["x-request-id"]
    served.exchange(request_id)
    assert all(line.startswith('{"') and line.endswith("}") for line in served.process.output.splitlines())


def ask(pulse: Pulse, model: str = "openai:gpt-5.2", **fields: object) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "مرحبا"}], **fields}
    return httpx.post(f"{pulse.url}/v1/chat/completions", json=body, headers=pulse.headers, trust_env=False)


def test_operations_are_served_without_a_key(served: Pulse) -> None:
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        assert client.get("/health").json() == {"status": "ok"}
        checks = {"postgres": "ok", "redis": "ok", "journal": "ok", "ledger": "ok"}
        assert client.get("/ready").json() == {"status": "ok", "checks": checks}
        assert "pulse_exchanges_total" in client.get("/metrics").text
        assert client.get("/openapi.json").json()["info"]["title"] == "Pulse"
        page = client.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        assert "/v1/chat/completions" in page.text


def test_operations_can_be_kept_from_the_public_port(database_url: str) -> None:
    with open_folder() as folder:
        (folder / "pulse.toml").write_text("[server]\nexpose_operations = false\n")
        with (
            Pulse.serve(database_url, cwd=folder) as pulse,
            httpx.Client(base_url=pulse.url, trust_env=False) as client,
        ):
            assert {client.get(path).status_code for path in ("/metrics", "/docs", "/openapi.json")} == {404}
            assert {client.get(path).status_code for path in ("/health", "/ready")} == {200}


def test_an_idle_server_is_small(served: Pulse) -> None:
    for model in ("openai:gpt-5.2", "claude-opus-5", "gemini-3.8-flash", "echo"):
        assert ask(served, model).status_code == 200
    mebibytes = psutil.Process(served.process.pid).memory_info().rss / 2**20
    assert mebibytes < LARGEST_IDLE_MIB
