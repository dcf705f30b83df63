"""`pulse migrate`, `pulse keys` and `pulse check` against a real database and the simulator."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pulse_process import PAUSE_S, START_S, STORES, Process, Pulse, Simulation, environment, open_folder, run_pulse

from valkey_server import ValkeyProcess


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        yield opened


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    return {"PULSE_DATABASE_URL": database_url}


# ── migrate ──


def test_migrate_lists_applies_and_then_has_nothing_left(new_database: Callable[[], str]) -> None:
    env = {"PULSE_DATABASE_URL": new_database()}
    listed = run_pulse("migrate", "--check", env=env)
    assert listed.returncode == 1
    missing = re.findall(r"missing  (\S+)", listed.stdout)
    assert missing
    assert f"{len(missing)} to apply; run `pulse migrate`" in listed.stdout

    applied = run_pulse("migrate", env=env)
    assert applied.returncode == 0
    assert re.findall(r"applied  (\S+)", applied.stdout) == missing

    for command in (["migrate", "--check"], ["migrate"]):
        done = run_pulse(*command, env=env)
        assert (done.returncode, done.stdout) == (0, "the database is up to date\n")


def test_four_at_once_apply_each_migration_once(new_database: Callable[[], str]) -> None:
    env = environment({"PULSE_DATABASE_URL": new_database()})
    together = [Process([sys.executable, "-m", "pulse_host", "migrate"], env) for _ in range(4)]
    assert [process.exit_code() for process in together] == [0, 0, 0, 0]
    applied = [name for process in together for name in re.findall(r"applied  (\S+)", process.output)]
    assert applied
    assert len(applied) == len(set(applied))


# ── keys ──


def test_a_key_is_shown_once_works_and_stops_working_once_revoked(env: dict[str, str]) -> None:
    made = run_pulse("keys", "create", "--user", "Ada@example.com", "--name", "laptop", "--plan", "pro", env=env)
    assert made.returncode == 0
    key = made.stdout.strip()
    assert re.fullmatch(r"pls_live_[0-9A-Za-z]{48}", key)
    key_id = re.findall(r"key (\S+) of Ada@example.com on the plan pro", made.stderr)[0]
    assert key not in made.stderr

    listed = run_pulse("keys", "list", env=env)
    (line,) = [line for line in listed.stdout.splitlines() if key_id in line]
    shown = [key_id, f"pls_live_…{key[-4:]}", "live", "pro", "default", "Ada@example.com", "-", "-", "laptop"]
    words = line.split()
    user_id = words.pop(6)
    assert words == shown
    (row,) = [json.loads(each) for each in run_pulse("keys", "list", "--json", env=env).stdout.splitlines()]
    assert row["user_id"] == user_id
    assert listed.stdout.splitlines()[0].split()[:3] == ["key", "id", "key"]
    assert key[20:40] not in listed.stdout

    with Pulse.serve(env["PULSE_DATABASE_URL"], key=key) as pulse:
        assert usage(pulse).json()["plan"] == "pro"
    revoked = run_pulse("keys", "revoke", key_id, env=env)
    assert (revoked.returncode, revoked.stdout) == (0, f"revoked {key_id}\n")
    with Pulse.serve(env["PULSE_DATABASE_URL"], key=key) as pulse:
        refused = usage(pulse)
        assert refused.status_code == 401
        assert refused.json()["error"]["message"] == "the API key has been revoked"

    again = run_pulse("keys", "revoke", key_id, env=env)
    assert again.returncode == 1
    assert f"there is no live key '{key_id}'; see `pulse keys list`" in again.stderr
    assert " revoked " in next(
        line for line in run_pulse("keys", "list", env=env).stdout.splitlines() if key_id in line
    )


def usage(pulse: Pulse) -> httpx.Response:
    """Asked again where a busy machine could not look the key up in time."""
    deadline = time.monotonic() + START_S
    while True:
        answer = httpx.get(f"{pulse.url}/v1/usage/me", headers=pulse.headers, trust_env=False)
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer
        time.sleep(PAUSE_S)


def test_a_program_gets_json(env: dict[str, str]) -> None:
    made = run_pulse("keys", "create", "--user", "bob@example.com", "--test", "--json", env=env)
    found = json.loads(made.stdout)
    assert found["key"].startswith("pls_test_")
    assert (found["user"], found["plan"]) == ("bob@example.com", "unlimited")
    run_pulse("keys", "create", "--user", "eve@example.com", env=env)
    listed = run_pulse("keys", "list", "--user", "BOB@example.com", "--json", env=env)
    (row,) = [json.loads(line) for line in listed.stdout.splitlines()]
    assert (row["key_id"], row["user"], row["state"]) == (found["key_id"], "bob@example.com", "live")
    assert found["key"] not in listed.stdout


def test_a_second_key_leaves_the_users_plan_and_a_named_one_changes_it(env: dict[str, str]) -> None:
    words = ("keys", "create", "--user", "carol@example.com", "--json")
    plans = [
        json.loads(run_pulse(*words, *more, env=env).stdout)["plan"]
        for more in (["--plan", "starter"], [], ["--plan", "creator"])
    ]
    assert plans == ["starter", "starter", "creator"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--user", "ada"], "--user 'ada' is not an e-mail address"),
        (["--user", "ada @example.com"], "is not an e-mail address"),
        (["--user", "@"], "--user '@' is not an e-mail address"),
        (["--user", "ada@example.com", "--plan", "gold"], "there is no plan 'gold'; known: unlimited, starter"),
        (["--user", "ada@example.com", "--name", "a\nb"], "--name may hold printable characters only"),
    ],
)
def test_a_key_that_cannot_be_made_says_why(env: dict[str, str], words: list[str], complaint: str) -> None:
    done = run_pulse("keys", "create", *words, env=env)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert not done.stdout


def test_nobodys_keys_are_an_error_and_no_keys_are_not(new_database: Callable[[], str]) -> None:
    env = {"PULSE_DATABASE_URL": new_database()}
    run_pulse("migrate", env=env)
    none = run_pulse("keys", "list", env=env)
    assert none.returncode == 0
    assert "no keys; make one with `pulse keys create" in none.stdout
    assert run_pulse("keys", "list", "--json", env=env).stdout == ""
    nobody = run_pulse("keys", "list", "--user", "nobody@example.com", env=env)
    assert nobody.returncode == 1
    assert "there is no user 'nobody@example.com'" in nobody.stderr


def test_a_database_that_does_not_answer_is_not_waited_for_long() -> None:
    done = run_pulse("keys", "list", env={"PULSE_DATABASE_URL": "postgresql://ada:s3cret@127.0.0.1:1/books"})
    assert done.returncode == 1
    assert "Postgres does not answer at 127.0.0.1:1 (database books, user ada)" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


# ── check ──


def table(stdout: str) -> dict[str, tuple[str, str]]:
    """The name of each row → its state and its detail."""
    rows = [re.split(r"\s{2,}", line, maxsplit=2) for line in stdout.splitlines()]
    return {name: (state, detail) for state, name, detail in rows}


def test_check_is_content_when_everything_answers(env: dict[str, str], simulation: Simulation, folder: Path) -> None:
    (folder / "pulse.toml").write_text(
        '[models.fast]\ntargets = ["openai:gpt-5.2"]\nfallbacks = ["claude-opus-5", "groq:llama"]\n'
    )
    stores = STORES.environment(env["PULSE_DATABASE_URL"])
    settings = {**env, **stores, **simulation.provider_environment(), "VLLM_API_KEY": "any"}
    done = run_pulse("check", env=settings, cwd=folder)
    rows = table(done.stdout)
    assert done.returncode == 0, done.stdout
    assert {state for name, (state, _) in rows.items() if name != "postgres"} == {"ok"}
    assert rows["config"][1] == "1 aliases, 6 providers"
    assert rows["model fast"][1] == "openai:gpt-5.2, anthropic:claude-opus-5; leads nowhere: groq:llama"
    assert rows["postgres"][0] == "WARN"
    assert re.fullmatch(r"PostgreSQL \d+\S*, migrated; its role passes row-level security: .*", rows["postgres"][1])
    assert re.fullmatch(r"Valkey \d+\S*, writable, noeviction", rows["redis"][1])
    assert rows["journal"][1] == f"{stores['PULSE_JOURNAL_DIR']} is writable"
    for name in ("openai", "anthropic", "google", "replicate", "stability", "vllm"):
        assert rows[f"provider {name}"][1].endswith("answers, the key is accepted")


def test_check_names_every_thing_that_is_wrong(simulation: Simulation, folder: Path) -> None:
    (folder / "pulse.toml").write_text('[models.fast]\ntargets = ["groq:llama"]\n')
    settings = {
        **simulation.provider_environment(),
        "PULSE_DATABASE_URL": "postgresql://ada:s3cret@127.0.0.1:1/books",
        "PULSE_REDIS_URL": "redis://ada:s3cret@127.0.0.1:1/0",
        "PULSE_JOURNAL_DIR": "/proc/pulse/journal",
        "OPENAI_API_KEY": "wrong",
        "ANTHROPIC_API_KEY": "wrong",
        "GEMINI_API_KEY": "wrong",
        "REPLICATE_API_TOKEN": "wrong",
        "STABILITY_API_KEY": "wrong",
        "VLLM_BASE_URL": "http://127.0.0.1:1/v1",
        "XAI_API_KEY": "s3cret",
        "XAI_BASE_URL": f"{simulation.url}/elsewhere",
    }
    done = run_pulse("check", env=settings, cwd=folder)
    rows = table(done.stdout)
    assert done.returncode == 1
    assert rows.pop("config")[0] == "ok"
    assert {state for state, _ in rows.values()} == {"FAILED"}
    assert rows["model fast"][1] == "no provider of the model 'fast' is switched on; set GROQ_API_KEY"
    assert "Postgres does not answer at 127.0.0.1:1 (database books, user ada)" in rows["postgres"][1]
    assert rows["redis"][1].startswith("Redis at 127.0.0.1:1 does not answer")
    assert rows["journal"][1].startswith("/proc/pulse/journal is not writable: ")
    for name, status in (("openai", 401), ("anthropic", 401), ("google", 400), ("replicate", 401), ("stability", 401)):
        assert rows[f"provider {name}"][1].endswith(f"refuses the key (status {status})")
    assert rows["provider vllm"][1].startswith("http://127.0.0.1:1/v1/models: Connect call failed")
    assert rows["provider xai"][1].endswith("/elsewhere/models answers GET with status 404")
    assert "s3cret" not in done.stdout + done.stderr
    assert "wrong" not in done.stdout + done.stderr


def test_check_without_stores_says_what_to_set() -> None:
    done = run_pulse("check")
    assert done.returncode == 1
    rows = table(done.stdout)
    assert rows["postgres"] == (
        "FAILED",
        "no database: set PULSE_DATABASE_URL, or stores.database_url in the config file",
    )
    assert rows["redis"] == (
        "FAILED",
        'no Redis: set PULSE_REDIS_URL, or stores.redis_url; or limits.store = "local"',
    )


def test_check_warns_of_a_redis_that_may_forget_and_is_content_all_the_same(env: dict[str, str]) -> None:
    with ValkeyProcess(maxmemory="64mb", maxmemory_policy="allkeys-lru") as forgetful:
        settings = {**env, **STORES.environment(env["PULSE_DATABASE_URL"]), "PULSE_REDIS_URL": forgetful.url}
        done = run_pulse("check", env=settings)
        assert done.returncode == 0, done.stdout
        state, detail = table(done.stdout)["redis"]
        assert state == "WARN"
        assert "maxmemory-policy is allkeys-lru" in detail


def test_check_finds_a_redis_that_cannot_be_written_to(env: dict[str, str]) -> None:
    with ValkeyProcess() as primary, ValkeyProcess(replicaof=f"127.0.0.1 {primary.port}") as replica:
        settings = {**env, **STORES.environment(env["PULSE_DATABASE_URL"]), "PULSE_REDIS_URL": replica.url}
        done = run_pulse("check", env=settings)
    assert done.returncode == 1
    assert table(done.stdout)["redis"][0] == "FAILED"


def test_check_does_not_wait_long_for_a_redis_that_is_frozen(env: dict[str, str]) -> None:
    with ValkeyProcess(requirepass="s3cret") as frozen:
        frozen.freeze()
        settings = {**env, **STORES.environment(env["PULSE_DATABASE_URL"]), "PULSE_REDIS_URL": frozen.url}
        began = time.monotonic()
        done = run_pulse("check", env=settings)
        took_s = time.monotonic() - began
        frozen.thaw()
    assert took_s < 15
    assert done.returncode == 1
    state, detail = table(done.stdout)["redis"]
    assert state == "FAILED"
    assert f"Redis at 127.0.0.1:{frozen.port} does not answer within 4 s; is it up" in detail
    assert "s3cret" not in done.stdout + done.stderr
