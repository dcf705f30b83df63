"""What must never be written anywhere: not at the level `debug`, not in an error, not in a crash, not in an outage."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from pulse_process import Pulse, Simulation, environment, open_folder, run_pulse

PROMPT = "the prompt nobody may read سر كبير"
FORBIDDEN = (
    "prompt nobody may read",
    "سر كبير",
    "\\u0633\\u0631",  # the same, escaped
    "sk-of-openai",
    "sk-of-anthropic",
    "key-of-google",
    "wrong-key-of-a-caller",
    "pls_live_wrong",
    "password-of-the-database",
    "header-of-the-proxy",
)
HOOK = '''
class Crash:
    """A hook with a defect, whose error quotes what it was given."""

    name = "crash"

    async def review(self, content):
        raise RuntimeError(f"cannot make sense of {content.text!r}")
'''


@pytest.fixture(params=["json", "console"])
def served(
    request: pytest.FixtureRequest, new_database: Callable[[], str], simulation: Simulation
) -> Iterator[tuple[Pulse, str]]:
    url = new_database().replace("postgres@", "postgres:password-of-the-database@")
    with open_folder() as folder:
        (folder / "hooks.py").write_text(HOOK)
        config = folder / "pulse.toml"
        config.write_text('[providers.vllm]\nheaders = { "x-proxy" = "env:PROXY_HEADER" }\n')
        settings = {
            **simulation.provider_environment(),
            "PULSE_DATABASE_URL": url,
            "PULSE_LOG_LEVEL": "debug",
            "PULSE_LOG_FORMAT": request.param,
            "PULSE_RATE_LIMIT": "off",
            "OPENAI_API_KEY": "sk-of-openai",
            "ANTHROPIC_API_KEY": "sk-of-anthropic",
            "GEMINI_API_KEY": "key-of-google",
            "PROXY_HEADER": "header-of-the-proxy",
            "PYTHONPATH": str(folder),
        }
        assert run_pulse("migrate", env=settings).returncode == 0
        key = run_pulse("keys", "create", "--user", "ada@example.com", env=settings).stdout.strip()
        with Pulse.serve(url, settings, key=key, cwd=folder) as pulse:
            yield pulse, url


def chat(model: str = "gpt-5.2", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], **fields}


async def provoke(pulse: Pulse) -> None:
    """Everything that goes well and everything that goes wrong."""
    models = ["gpt-5.2", "claude-opus-5", "gemini-3.8-flash", "vllm:gpt-5.2", "echo", "nothing"]
    faults = ["status=500", "status=401", "status=400", "reset=2", "malformed=2", "cut=3", "html,status=502", "error=2"]
    models += [f"{model}+{fault}" for model in ("gpt-5.2", "claude-opus-5") for fault in faults]
    bad_keys = ("wrong-key-of-a-caller", "pls_live_wrong" + "x" * 43, f"{pulse.key}x")
    async with httpx.AsyncClient(base_url=pulse.url, trust_env=False, timeout=60) as client:
        for model in models:
            for stream in (False, True):
                await client.post("/v1/chat/completions", json=chat(model, stream=stream), headers=pulse.headers)
        for body in (chat(temperature=PROMPT), chat(n="x"), chat(prompt_of_mine=PROMPT), [PROMPT]):
            await client.post("/v1/chat/completions", json=body, headers=pulse.headers)
            await client.post("/v1/messages", json=body, headers=pulse.headers)
        await client.post("/v1/chat/completions", content=PROMPT.encode(), headers=pulse.headers)
        for key in bad_keys:
            await client.post("/v1/chat/completions", json=chat(), headers={"authorization": f"Bearer {key}"})
            await client.post(f"/v1beta/models/echo:generateContent?key={key}", json={"contents": [PROMPT]})
            await client.get(f"/v1/usage/me?key={key}", headers={"x-api-key": key})
        async with client.stream(
            "POST", "/v1/chat/completions", json=chat("gpt-5.2+chunk-delay=0.05", stream=True), headers=pulse.headers
        ) as response:
            async for _ in response.aiter_raw():
                break
    address = urlsplit(pulse.url)
    with socket.create_connection((address.hostname or "", address.port or 0)) as raw:
        raw.sendall(f"NOT HTTP {pulse.key}\r\n\r\n".encode())
        raw.recv(1000)


async def lose_the_database(pulse: Pulse, url: str) -> None:
    name = urlsplit(url).path[1:]
    connection = await asyncpg.connect(url.replace(f"/{name}?", "/postgres?"))
    await connection.execute(f"alter database {name} with allow_connections false")
    await connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
    async with httpx.AsyncClient(base_url=pulse.url, trust_env=False, timeout=60) as client:
        await client.post("/v1/chat/completions", json=chat(), headers=pulse.headers)
        await client.post("/v1/chat/completions", json=chat(), headers={"x-api-key": "wrong-key-of-a-caller-again"})
        assert (await client.get("/ready")).status_code == 503
    await connection.execute(f"alter database {name} with allow_connections true")
    await connection.close()


async def break_the_hooks(pulse: Pulse, folder: Path) -> None:
    (folder / "pulse.toml").write_text('[[moderation.hooks]]\nname = "hooks:Crash"\n')
    pulse.process.send(signal.SIGHUP)
    pulse.process.wait_for("configuration reloaded")
    async with httpx.AsyncClient(base_url=pulse.url, headers=pulse.headers, trust_env=False, timeout=60) as client:
        for stream in (False, True):
            response = await client.post("/v1/chat/completions", json=chat(stream=stream))
            assert PROMPT not in response.text or response.status_code == 200
    (folder / "pulse.toml").write_text('[providers.openai]\nkey = "sk-of-openai-in-the-open"\n')
    pulse.process.wait_for("configuration refused")


async def test_secrets_and_prompts_are_never_written(served: tuple[Pulse, str]) -> None:
    pulse, url = served
    await provoke(pulse)
    await lose_the_database(pulse, url)
    await break_the_hooks(pulse, pulse.data_dir)
    assert pulse.process.stop() == 0
    output = pulse.process.output
    assert len(output.splitlines()) > 40
    for secret in (*FORBIDDEN, pulse.key, pulse.key[9:40]):
        assert secret not in output, next(line for line in output.splitlines() if secret in line)
    if output.startswith("{"):
        assert all(isinstance(json.loads(line), dict) for line in output.splitlines())
    else:
        assert "\x1b" not in output  # colours are for terminals
        timestamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
        lines = re.findall(rf"(?m)^{timestamp}\S* \[info +\] exchange .*$", output)
        assert len(lines) > 20
        assert not any("None" in line for line in lines)
        assert re.search(rf"(?m)^{timestamp}\S* \[info +\] stopping +signal=SIGTERM$", output)


CRASH = """
import logging
import structlog
from pulse_gateway.config import TelemetryConfig
from pulse_host.logs import configure_logs

configure_logs(TelemetryConfig(log_level="debug", log_format={format!r}))

def fail(prompt):
    raise KeyError(prompt)

try:
    try:
        fail({prompt!r})
    except KeyError as error:
        raise RuntimeError(f"no {{error}}") from error
except RuntimeError:
    logging.getLogger("pulse_gateway").exception("an exchange failed")
    structlog.get_logger("pulse").exception("an exchange failed")
try:
    open("/nowhere/at/all")
except OSError:
    logging.getLogger("pulse_gateway").exception("a file is missing")
"""


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_crash_is_told_by_its_place_not_by_its_words(log_format: str) -> None:
    script = CRASH.format(format=log_format, prompt=PROMPT)
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=True)
    assert not done.stderr
    assert not any(secret in done.stdout for secret in FORBIDDEN)
    for word in ("builtins.RuntimeError", "builtins.KeyError", "in fail", "No such file or directory"):
        assert word in done.stdout
    if log_format == "json":
        first, second, third = (json.loads(line)["exception"] for line in done.stdout.splitlines())
        assert [each["type"] for each in first] == ["builtins.RuntimeError", "builtins.KeyError"]
        assert second[0]["type"] == "builtins.RuntimeError"
        assert third[0]["message"] == "[Errno 2] No such file or directory: '/nowhere/at/all'"
