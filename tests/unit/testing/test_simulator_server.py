"""The server: connections, determinism, configuration, command line."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from simulator_wire import Wire

from pulse_gateway.testing.simulator import Config, Simulator, SimulatorConfigError, load_config, run
from pulse_gateway.testing.simulator.config import Answers, Keys, Models, Pace, RateLimits

WHOLE: Any = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {
    "type": "object", "properties": {"a": {"type": "string"}}}}}  # fmt: skip


def raw(body: Any, *headers: bytes) -> bytes:
    content = json.dumps(body).encode()
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"host: s", b"authorization: Bearer k", *headers]
    return b"\r\n".join([*lines, b"content-length: %d" % len(content), b"", content])


async def test_the_same_seed_and_body_give_the_same_bytes(wire: Wire) -> None:
    bodies = [WHOLE, {**WHOLE, "stream": True}, {**WHOLE, "tools": [TOOL], "n": 2}]
    async with Simulator(seed=7) as twin, httpx.AsyncClient(base_url=twin.url) as client:
        for body in bodies:
            first, second = await wire.openai(body), await wire.openai(body)
            elsewhere = await client.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer k"})
            assert first.content == second.content == elsewhere.content
            assert first.headers["x-request-id"] != second.headers["x-request-id"]


async def test_another_seed_gives_another_answer(wire: Wire) -> None:
    here = await wire.openai(WHOLE)
    async with Simulator(seed=8) as other, httpx.AsyncClient(base_url=other.url) as client:
        there = await client.post("/v1/chat/completions", json=WHOLE, headers={"authorization": "Bearer k"})
    assert here.json()["id"] != there.json()["id"]
    assert here.json()["choices"] != there.json()["choices"]


async def test_a_connection_is_kept_and_pipelined_requests_are_answered_in_order(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    slow = raw(WHOLE, b"x-simulate: delay=0.05,tokens=11")
    writer.write(
        slow + raw(WHOLE, b"x-simulate: tokens=12") + raw(WHOLE, b"x-simulate: tokens=13", b"connection: close")
    )
    received = await asyncio.wait_for(reader.read(-1), 5)
    writer.close()
    counts = [int(part.split(b",")[0]) for part in received.split(b'"completion_tokens":')[1:]]
    assert counts == [11, 12, 13]
    assert received.count(b"connection: close") == 1


async def test_a_request_may_come_in_any_slices(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    for byte in raw(WHOLE, b"connection: close"):
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.read(-1)).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_expect_continue_is_answered(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    head, _, body = raw(WHOLE, b"expect: 100-continue", b"connection: close").partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.read(-1)).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_many_pipelined_requests_wait_their_turn(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    for number in range(1, 60):
        writer.write(raw(WHOLE, f"x-simulate: delay=0.001,tokens={number}".encode()))
        await asyncio.sleep(0)
    writer.write(raw(WHOLE, b"x-simulate: tokens=60", b"connection: close"))
    received = await asyncio.wait_for(reader.read(-1), 10)
    writer.close()
    assert [int(part.split(b",")[0]) for part in received.split(b'"completion_tokens":')[1:]] == list(range(1, 61))


async def test_a_body_without_end_is_refused(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: s\r\ntransfer-encoding: chunked\r\n\r\n")
    with suppress(ConnectionError):
        for _ in range(70):
            writer.write(b"100000\r\n" + bytes(1024 * 1024) + b"\r\n")
            await writer.drain()
    with suppress(ConnectionError):  # our own unread bytes may turn the farewell into a reset
        assert (await reader.read(-1)).startswith(b"HTTP/1.1 413 ")
    writer.close()
    assert simulator.stats().requests == []


async def test_a_client_that_wants_another_protocol_is_refused(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: s\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    assert (await reader.read(-1)).startswith(b"HTTP/1.1 400 ")
    writer.close()


def test_it_runs_under_uvloop_as_well() -> None:
    async def outcomes() -> list[str]:
        async with Simulator() as simulator, httpx.AsyncClient(base_url=simulator.url, timeout=0.5) as client:
            for spec in ("", "cut=2", "one-byte,tokens=2", "drop=2", "reset=2", "stall=2"):
                headers = {"authorization": "Bearer k", "x-simulate": spec}
                with suppress(httpx.TransportError):
                    await client.post("/v1/chat/completions", json={**WHOLE, "stream": True}, headers=headers)
            while simulator.stats().requests[-1].outcome == "open":
                await asyncio.sleep(0)
            return [record.outcome for record in simulator.stats().requests]

    assert uvloop.run(outcomes()) == ["completed", "faulted", "completed", "faulted", "faulted", "aborted"]


async def test_what_is_not_http_is_refused(simulator: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    assert (await reader.read(-1)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    writer.close()


async def test_a_slow_reader_holds_the_stream_back(simulator: Simulator) -> None:
    """A hundred megabytes do not pile up: production stops when the client does not read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port, limit=1024)
    writer.write(raw({**WHOLE, "stream": True}, b"x-simulate: tokens=2000000"))
    await reader.readexactly(1000)
    for _ in range(200):
        await asyncio.sleep(0)
    chunks = simulator.stats().requests[0].chunks
    await asyncio.sleep(0.1)
    assert simulator.stats().requests[0].outcome == "open"
    assert simulator.stats().requests[0].chunks - chunks < 500
    assert simulator.stats().requests[0].billed.output < 2_000_000
    writer.transport.abort()


async def test_many_clients_at_once_are_all_answered(simulator: Simulator) -> None:
    async with httpx.AsyncClient(base_url=simulator.url, limits=httpx.Limits(max_connections=50)) as client:
        headers = {"authorization": "Bearer k"}
        answers = await asyncio.gather(
            *[
                client.post("/v1/chat/completions", json={**WHOLE, "stream": n % 2 == 0}, headers=headers)
                for n in range(200)
            ]
        )
    assert {answer.status_code for answer in answers} == {200}
    assert simulator.stats().providers["openai"].completed == 200


async def test_stopping_ends_stalled_answers_but_may_wait_for_others() -> None:
    simulator = Simulator()
    await simulator.start()
    async with httpx.AsyncClient(base_url=simulator.url) as client:
        headers = {"authorization": "Bearer k"}
        slow = asyncio.create_task(
            client.post("/v1/chat/completions", json=WHOLE, headers={**headers, "x-simulate": "delay=0.1"})
        )
        stalled = asyncio.create_task(
            client.post(
                "/v1/chat/completions", json={**WHOLE, "stream": True}, headers={**headers, "x-simulate": "stall=1"}
            )
        )
        async with asyncio.timeout(5):
            while len(simulator.stats().requests) < 2:
                await asyncio.sleep(0)
        await simulator.stop(grace_s=0.5)
        assert (await slow).status_code == 200
        with pytest.raises(httpx.TransportError):
            await stalled
    assert {record.outcome for record in simulator.stats().requests} == {"completed", "aborted"}
    await simulator.stop()


# ── configuration ─────────────────────────────────────────────────────────────────────────────────────────────────────

EXAMPLE = """
[answers]
text = "Always this."
chunks = 2
faults = "cached=1"

[pace]
tokens_per_second = 1000
first_byte_delay_s = 0.01

[keys]
accepted = ["sk-good"]

[rate_limits]
requests = 60
requests_remaining = 3
reset_s = 90

[models]
openai = ["gpt-4.1"]
check_family = false
"""


async def test_a_config_file_settles_texts_keys_limits_and_models(tmp_path: Path) -> None:
    path = tmp_path / "simulator.toml"
    path.write_text(EXAMPLE)
    config = load_config(path)
    assert config == Config(
        answers=Answers(text="Always this.", chunks=2, faults="cached=1"),
        pace=Pace(tokens_per_second=1000, first_byte_delay_s=0.01),
        keys=Keys(accepted=("sk-good",)),
        rate_limits=RateLimits(requests=60, requests_remaining=3, reset_s=90),
        models=Models(openai=("gpt-4.1",), check_family=False),
    )
    async with Simulator(config=config) as simulator, httpx.AsyncClient(base_url=simulator.url) as client:
        wire = Wire(client)
        assert (await wire.openai(WHOLE)).status_code == 401
        reply = await wire.openai({**WHOLE, "model": "claude-like"}, authorization="Bearer sk-good")
        assert reply.json()["choices"][0]["message"]["content"] == "Always this."
        assert reply.json()["usage"]["prompt_tokens_details"]["cached_tokens"] == 1
        assert reply.headers["x-ratelimit-remaining-requests"] == "3"
        assert reply.headers["x-ratelimit-reset-requests"] == "1m30s"
        stream = await wire.openai({**WHOLE, "stream": True}, authorization="Bearer sk-good")
        assert stream.text.count('"content":"') == 3
        models = await wire.get("/v1/models", authorization="Bearer sk-good")
        assert [model["id"] for model in models.json()["data"]] == ["gpt-4.1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[answer]\ntext = 'a'", "unknown key 'answer' in the file; known keys: answers, pace, keys"),
        ("[pace]\nspeed = 3", "unknown key 'speed' in the table \\[pace\\]; known keys: first_byte_delay_s"),
        ("[pace]\nchunk_delay_s = -1", "pace.chunk_delay_s"),
        ("[answers]\nfaults = 'statsu=1'", "answers.faults: unknown key 'statsu'"),
        ("[answers", "simulator.toml: "),
    ],
)
def test_a_config_that_cannot_be_used_is_refused_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "simulator.toml"
    path.write_text(text)
    with pytest.raises(SimulatorConfigError, match=message):
        load_config(path)


def test_a_missing_config_is_an_exit_code_and_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(port=0, config=tmp_path / "none.toml") == 1
    assert "none.toml: cannot be read" in capsys.readouterr().err


async def test_the_module_runs_until_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pulse_gateway.testing.simulator", "--port", "0", "--seed", "7", stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    first = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    url = first.split()[3]
    assert "(seed 7)" in first
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/_stats")).json()["seed"] == 7
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 20) == 0
    await process.stdout.read()


def test_it_shares_no_code_with_what_it_checks() -> None:
    """Its own room, the standard library, msgspec and httptools are all it imports."""
    imported: set[str] = set()
    for path in Path(inspect.getfile(Simulator)).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    ours = {name for name in imported if name.startswith("pulse_")}
    assert all(name.startswith("pulse_gateway.testing.") for name in ours)
    roots = {name.partition(".")[0] for name in imported - ours}
    assert roots <= set(sys.stdlib_module_names) | {"msgspec", "httptools"}
