"""Every example runs, as its first lines say."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import openai
from pulse_process import STORES, Process, environment, open_folder, run_pulse

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str, settings: Mapping[str, str] | None = None) -> str:
    with open_folder() as folder:
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *arguments],
            env=environment(settings),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    tested = {
        "embed_in_a_script.py",
        "embed_in_starlette.py",
        "moderation_hook.py",
        "custom_provider.py",
        "shared_limits.py",
        "traces.py",
    }
    assert {file.name for file in EXAMPLES.glob("*.py")} == tested


def test_embedding_in_a_script() -> None:
    output = run("embed_in_a_script.py")
    assert output.count("قل مرحبا بالعربية") == 2
    assert "requests: 2 used, 58 left" in output
    assert "tokens: 12 used, 149988 left" in output


def test_shared_limits_and_a_ledger_of_its_own(database_url: str) -> None:
    settings = {"PULSE_DATABASE_URL": database_url, **STORES.environment(database_url)}
    first = run("shared_limits.py", settings=settings)
    assert first.splitlines()[0].startswith("قل مرحبا بالعربية")
    assert first.splitlines()[1:3] == ["200 asked", "200 true"]
    assert "requests: 2 used, 58 left" in first
    second = run("shared_limits.py", settings=settings)
    assert "requests: 4 used, 56 left" in second
    verified = run_pulse("usage", "verify", env=settings)
    assert (verified.returncode, verified.stderr) == (0, "everything agrees\n")


def test_shared_limits_without_stores_says_what_to_set() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "shared_limits.py")],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "set PULSE_DATABASE_URL and PULSE_REDIS_URL" in done.stderr) == (1, True)


def test_a_moderation_hook() -> None:
    output = run("moderation_hook.py")
    assert "answered: ما هو رقم الحساب المصرفي الدولي؟" in output
    assert "refused: content_blocked" in output
    assert "JO94CBJO" not in output


def test_traces_of_a_program_are_its_own_sdks() -> None:
    spans = [json.loads(line) for line in run("traces.py").splitlines()]
    server, called, joined, _ = spans
    assert [span["kind"] for span in spans] == [
        f"SpanKind.{kind}" for kind in ("INTERNAL", "CLIENT", "SERVER", "CLIENT")
    ]
    assert called["parent_id"] == server["context"]["span_id"]
    assert joined["context"]["trace_id"] == "0x4bf92f3577b34da6a3ce929d0e0e4736"
    assert joined["parent_id"] == "0x00f067aa0ba902b7"


def test_a_custom_provider_is_retried_and_answers() -> None:
    assert "Acme heard: هل تسمعني؟" in run("custom_provider.py")


async def test_embedding_in_starlette() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "examples.embed_in_starlette:app", "--port", str(port)]
    server = Process(command, environment(), cwd=EXAMPLES.parent)
    try:
        await asyncio.to_thread(server.wait_for, "Uvicorn running")
        base = f"http://127.0.0.1:{port}"
        body = {"model": "echo", "messages": [{"role": "user", "content": "مرحبا يا عالم"}]}
        async with httpx.AsyncClient(base_url=base, headers={"x-my-user": "u7"}, trust_env=False) as client:
            whole = await client.post("/ask", json=body)
            assert whole.json()["choices"][0]["message"]["content"] == "مرحبا يا عالم"
            streamed = await client.post("/ask", json={**body, "stream": True})
            assert streamed.content.endswith(b"data: [DONE]\n\n")
            refused = await client.post("/ask", json={**body, "messages": []})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
            assert int(streamed.headers["x-ratelimit-remaining-requests"]) == 58
    finally:
        server.stop()


async def test_an_sdk_can_be_pointed_at_the_starlette_example_route() -> None:
    """The route is `/ask`, so the SDK is given a transport that knows it: what matters is that the bytes are OpenAI's."""
    from httpx import ASGITransport

    sys.path.insert(0, str(EXAMPLES))
    try:
        from embed_in_starlette import app
    finally:
        sys.path.remove(str(EXAMPLES))
    async with app.router.lifespan_context(app):
        transport = ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            reply = await client.post("/ask", json={"model": "echo", "messages": [{"role": "user", "content": "hi"}]})
    parsed = openai.types.chat.ChatCompletion.model_validate(reply.json())
    assert parsed.choices[0].message.content == "hi"
