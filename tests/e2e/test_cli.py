"""The command `pulse` without a database: its help, its exit codes, its words about a wrong configuration."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pulse_process import Process, environment, open_folder, run_pulse

COMMANDS = {
    "dev": ["--host", "--port", "--data-dir", "--config", "PULSE_DEV_API_KEY", "PULSE_DEV_PLAN"],
    "serve": ["--host", "--port", "--workers", "--config", "PULSE_DATABASE_URL"],
    "migrate": ["--check", "--config"],
    "check": ["--config"],
    "keys create": [
        "--user",
        "--tenant",
        "--name",
        "--plan",
        "--requests",
        "--budget-usd",
        "--test",
        "--json",
        "--config",
    ],
    "keys list": ["--user", "--tenant", "--json", "--config"],
    "keys update": ["KEY_ID", "--requests", "--tokens", "--concurrency", "--budget-usd", "--config"],
    "keys revoke": ["KEY_ID", "--config"],
    "tenants create": [
        "NAME",
        "--name",
        "--requests",
        "--tokens",
        "--concurrency",
        "--budget-usd",
        "--json",
        "--config",
    ],
    "tenants list": ["--json", "--config"],
    "tenants update": [
        "NAME",
        "--name",
        "--requests",
        "--tokens",
        "--concurrency",
        "--budget-usd",
        "--json",
        "--config",
    ],
    "usage export": ["--from", "--to", "--tenant", "--format", "--output", "--bom", "--config"],
    "simulate": ["--host", "--port", "--seed", "--config"],
    "openapi": ["--config"],
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        yield opened


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_names_all_that_it_takes(command: str) -> None:
    done = run_pulse(*command.split(), "--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in COMMANDS[command]), done.stdout


def test_the_help_of_pulse_lists_every_command_and_the_exit_codes() -> None:
    done = run_pulse("--help")
    assert done.returncode == 0
    assert all(f"  {command.split()[0]} " in done.stdout for command in COMMANDS)
    assert "0 done, 1 failed, 2 wrong usage" in done.stdout
    assert not [line for line in done.stdout.splitlines()[1:] if line.endswith("...")]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["serv"], "No such command 'serv'"),
        (["serve", "--prot", "1"], "No such option"),
        (["serve", "--port", "eighty"], "'eighty' is not a valid integer range"),
        (["serve", "--port", "70000"], "70000 is not in the range"),
        (["serve", "--workers", "0"], "0 is not in the range"),
        (["dev", "--data-dir", ""], "Invalid value for '--data-dir': it is empty"),
        (["dev", "extra"], "unexpected extra argument"),
        (["keys"], "create"),
        (["keys", "create"], "Missing option '--user'"),
        (["keys", "revoke"], "Missing argument 'KEY_ID'"),
        (["simulate", "--seed", "x"], "'x' is not a valid integer"),
        ([], "Commands:"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_exit_code_2(words: list[str], complaint: str) -> None:
    done = run_pulse(*words)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[server]\nprot = 1\n", "pulse.toml: unknown key `prot` in [server]; did you mean `port`?"),
        ("[provider.openai]\n", "pulse.toml: unknown key `provider` in the top level; did you mean `providers`?"),
        ('[server]\nport = "x"\n', "pulse.toml: `server.port`: Expected `int`, got `str`"),
        ("[server\n", "pulse.toml: not valid TOML"),
        ('[limits]\nrequests = "sixty"\n', "limits.requests = 'sixty' is not a rate"),
        ('default_plan = "gold"\n', "default_plan = 'gold' is not a plan; known: unlimited, starter"),
        ('[models.fast]\ntargets = ["nowhere:x"]\n', "models.fast.targets: there is no provider 'nowhere'"),
        ('[models.fast]\ntargets = ["gpt-5.2"]\n', "models.fast.targets: 'gpt-5.2' is not of the form provider:model"),
        ('[providers.openai]\nkey = "sk-in-the-open"\n', "pulse.toml: providers.openai.key holds a secret in the open"),
        ('[providers.openai]\nkey = "env:UNSET"\n', "providers.openai.key refers to the variable UNSET"),
        ('[providers.openai]\nkey = "env:BROKEN"\n', "providers.openai.key holds a character that no header can carry"),
        ('[providers.openai]\nbase_url = "nowhere"\n', "providers.openai.base_url is not an http or https address"),
        ('[providers.openai]\nbase_url = "http://u:sk-in-the-open@h"\n', "providers.openai.base_url holds a user or"),
        ('[providers.openai]\nproxy = "ftp://u:sk-in-the-open@h"\n', "providers.openai.proxy is not an http or https"),
        ('[providers.openai.headers]\n"x y" = "1"\n', "providers.openai.headers: 'x y' is not a name and value"),
        ('[[moderation.hooks]]\nname = "terms"\nfile = "gone.toml"\n', "the term list gone.toml cannot be read"),
        ('[[moderation.hooks]]\nname = "no.such:Hook"\n', "moderation.hooks: 'no.such:Hook' cannot be loaded"),
    ],
    ids=lambda value: value.splitlines()[-1] if "\n" in value else "",
)
def test_a_wrong_configuration_is_named_by_key_and_costs_exit_code_1(folder: Path, text: str, complaint: str) -> None:
    (folder / "pulse.toml").write_text(text)
    done = run_pulse("check", cwd=folder, env={"BROKEN": "sk-in-the-open\nsecond line"})
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stderr.startswith("Error: ")
    assert "sk-in-the-open" not in done.stderr + done.stdout


@pytest.mark.parametrize("command", ["dev", "serve", "migrate", "check", "keys list", "openapi"])
def test_every_command_refuses_a_wrong_configuration(folder: Path, command: str) -> None:
    (folder / "pulse.toml").write_text("[server]\nprot = 1\n")
    done = run_pulse(*command.split(), cwd=folder)
    assert done.returncode == 1
    assert "did you mean `port`?" in done.stderr


def test_the_file_is_the_options_then_the_environments_then_the_working_directorys(folder: Path) -> None:
    for name in ("pulse.toml", "second.toml", "third.toml"):
        (folder / name).write_text(f'default_plan = "{name}"\n')
    environment_names = {"PULSE_CONFIG": "second.toml"}
    assert "'pulse.toml'" in run_pulse("openapi", cwd=folder).stderr
    assert "'second.toml'" in run_pulse("openapi", cwd=folder, env=environment_names).stderr
    words = ("openapi", "--config", "third.toml")
    assert "'third.toml'" in run_pulse(*words, cwd=folder, env=environment_names).stderr


@pytest.mark.parametrize("origin", ["--config", "PULSE_CONFIG"])
def test_a_file_that_was_asked_for_and_is_not_there_is_an_error(folder: Path, origin: str) -> None:
    if origin == "--config":
        done = run_pulse("serve", "--config", "gone.toml", cwd=folder)
    else:
        done = run_pulse("serve", cwd=folder, env={"PULSE_CONFIG": "gone.toml"})
    assert done.returncode == 1
    assert f"gone.toml: no such file (named by {origin})" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"), [("PULSE_LOG_LEVEL", "loud"), ("PULSE_LOG_FORMAT", "xml"), ("PULSE_RATE_LIMIT", "sixty")]
)
def test_a_wrong_variable_is_named(variable: str, value: str) -> None:
    done = run_pulse("openapi", env={variable: value})
    assert done.returncode == 1
    assert variable in done.stderr
    assert value in done.stderr


def test_openapi_prints_every_route() -> None:
    done = run_pulse("openapi")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) >= {
        "/v1/chat/completions",
        "/v1/messages",
        "/v1beta/models/{model}:generateContent",
        "/v1beta/models/{model}:streamGenerateContent",
        "/v1/models/{model}:generateContent",
        "/v1/models/{model}:streamGenerateContent",
        "/v1/models",
        "/v1/models/{model}",
        "/v1beta/models",
        "/v1beta/models/{model}",
        "/v1/usage/me",
        "/v1/usage/me/history",
        "/health",
        "/ready",
    }
    operations = [
        operation["operationId"] for path in document["paths"].values() for operation in path.values() if operation
    ]
    assert len(operations) == len(set(operations))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_simulator_takes_a_free_port_answers_and_stops(how: signal.Signals) -> None:
    process = Process([sys.executable, "-m", "pulse_host", "simulate", "--port", "0", "--seed", "7"], environment())
    url = process.wait_for(r"http://127\.0\.0\.1:\d+")[0]
    assert httpx.get(f"{url}/_stats", trust_env=False).json()["providers"] is not None
    assert process.stop(how) == 0
    assert "OPENAI_BASE_URL" in process.output


def test_a_wrong_setting_of_the_simulator_is_named(folder: Path) -> None:
    (folder / "simulator.toml").write_text("pase = 1\n")
    done = run_pulse("simulate", "--port", "0", "--config", "simulator.toml", cwd=folder)
    assert done.returncode == 1
    assert "simulator.toml" in done.stderr + done.stdout
    assert "pase" in done.stderr + done.stdout
