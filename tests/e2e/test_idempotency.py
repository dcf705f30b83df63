"""`Idempotency-Key` on real processes that share one database: one upstream call, one charge, whoever asks, wherever, however often."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from pulse_process import PAUSE_S, START_S, Pulse, Simulation, entries_of, open_folder, run_pulse

PATHS = {
    "openai": ("/v1/chat/completions", "gpt-5.2"),
    "anthropic": ("/v1/messages", "claude-opus-5"),
    "gemini": ("/v1beta/models/{model}:{method}", "google:gemini-3.8-flash"),
}
DIALECTS = tuple(PATHS)
PACED = "chunks=20,chunk-delay=0.02"
LEASE_S = 2.0
SETTINGS = """
[server]
drain_s = {drain_s}
keep_alive_s = {keep_alive_s}

[limits]
store = "local"
requests = "off"
lease_s = {lease_s}

[stores]
journal_dir = "{journal}"
"""


class Replicas:
    """Servers over one database, each with a folder of its own; `starts` makes another."""

    def __init__(self, folder: Path, database_url: str, simulation: Simulation, stack: ExitStack) -> None:
        self.database_url = database_url
        self._folder, self._simulation, self._stack = folder, simulation, stack
        self._number = 0
        self.keys = [self._key("ada@example.com"), self._key("bob@example.com")]

    def _key(self, user: str) -> str:
        made = run_pulse("keys", "create", "--user", user, env={"PULSE_DATABASE_URL": self.database_url})
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def starts(self, *, journal: str | None = None, drain_s: float = 5, keep_alive_s: float = 15) -> Pulse:
        self._number += 1
        folder = self._folder / f"replica-{self._number}"
        folder.mkdir()
        settings = SETTINGS.format(
            drain_s=drain_s,
            keep_alive_s=keep_alive_s,
            lease_s=LEASE_S,
            journal=self._folder / (journal or f"journal-{self._number}"),
        )
        (folder / "pulse.toml").write_text(settings)
        env = self._simulation.provider_environment()
        return self._stack.enter_context(Pulse.serve(self.database_url, env, key=self.keys[0], cwd=folder))

    async def entries(self, count: int) -> list[dict[str, Any]]:
        """The ledger, once it holds `count` entries: it is written behind."""
        async with asyncio.timeout(START_S):
            while len(entries := await entries_of(self.database_url)) < count:
                await asyncio.sleep(PAUSE_S)
        return entries


@pytest.fixture
def replicas(new_database: Callable[[], str], simulation: Simulation) -> Iterator[Replicas]:
    url = new_database()
    assert run_pulse("migrate", env={"PULSE_DATABASE_URL": url}).returncode == 0
    simulation.reset()
    with open_folder() as folder, ExitStack() as stack:
        yield Replicas(folder, url, simulation, stack)


@pytest.fixture(scope="module")
def pair(new_database: Callable[[], str], simulation: Simulation) -> Iterator[tuple[Replicas, Pulse, Pulse]]:
    """Two servers that nobody stops."""
    url = new_database()
    assert run_pulse("migrate", env={"PULSE_DATABASE_URL": url}).returncode == 0
    with open_folder() as folder, ExitStack() as stack:
        made = Replicas(folder, url, simulation, stack)
        yield made, made.starts(), made.starts()


def new_key() -> str:
    return str(uuid.uuid4())


class Request:
    """What is asked, and asked again. Every one has a text of its own, so that answers tell whose they are."""

    def __init__(
        self, dialect: str = "openai", fault: str = "", *, stream: bool = False, key: str | None = None
    ) -> None:
        self.dialect, self.stream = dialect, stream
        path, name = PATHS[dialect]
        model = name + (f"+{fault}" if fault else "")
        self.path = path.format(model=model, method="streamGenerateContent?alt=sse" if stream else "generateContent")
        self.key = key or new_key()
        self.text = f"قل شيئا عن {self.key}"
        if dialect == "gemini":
            self.body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": self.text}]}]}
        else:
            self.body = {"model": model, "messages": [{"role": "user", "content": self.text}], "stream": stream}
            if dialect == "anthropic":
                self.body["max_tokens"] = 800

    def headers(self, secret: str) -> dict[str, str]:
        return {"authorization": f"Bearer {secret}", "idempotency-key": self.key, "content-type": "application/json"}


async def ask(pulse: Pulse, request: Request, *, secret: str | None = None, **changes: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=pulse.url, timeout=60, trust_env=False) as client:
        return await client.post(
            request.path,
            content=msgspec.json.encode({**request.body, **changes}),
            headers=request.headers(secret or pulse.key),
        )


async def begin(pulse: Pulse, request: Request, began: asyncio.Event) -> bytes:
    """Ask for a stream; `began` with its first bytes."""
    seen = b""
    async with (
        httpx.AsyncClient(base_url=pulse.url, timeout=60, trust_env=False) as client,
        client.stream(
            "POST", request.path, content=msgspec.json.encode(request.body), headers=request.headers(pulse.key)
        ) as response,
    ):
        async for piece in response.aiter_raw():
            seen += piece
            began.set()
    return seen


async def leave_after_the_first_bytes(pulse: Pulse, request: Request) -> bytes:
    async with (
        httpx.AsyncClient(base_url=pulse.url, timeout=60, trust_env=False) as client,
        client.stream(
            "POST", request.path, content=msgspec.json.encode(request.body), headers=request.headers(pulse.key)
        ) as response,
    ):
        return await anext(response.aiter_raw())


def calls(simulation: Simulation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = simulation.stats()["requests"]
    return found


async def until_at_the_provider(simulation: Simulation, count: int = 1) -> None:
    async with asyncio.timeout(START_S):
        while len(await asyncio.to_thread(calls, simulation)) < count:
            await asyncio.sleep(PAUSE_S)


# ── one answer ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_twenty_at_once_on_two_servers_are_one_call_and_one_charge(
    pair: tuple[Replicas, Pulse, Pulse], simulation: Simulation, dialect: str, stream: bool
) -> None:
    replicas, *servers = pair
    before = len(await entries_of(replicas.database_url))
    simulation.reset()
    request = Request(dialect, PACED if stream else "delay=0.3", stream=stream)
    answers = await asyncio.gather(*(ask(servers[number % 2], request) for number in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len({answer.content for answer in answers}) == 1
    assert len(answers[0].content) > 100
    assert len(calls(simulation)) == 1
    (original,) = [answer for answer in answers if "idempotent-replayed" not in answer.headers]
    for answer in answers:
        if answer is not original:
            assert answer.headers["idempotent-replayed"] == "true"
            assert answer.headers["x-pulse-original-request-id"] == original.headers["x-request-id"]
            assert answer.headers["content-type"] == original.headers["content-type"]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 20
    again = await asyncio.gather(*(ask(server, request) for server in servers))
    assert {answer.content for answer in again} == {original.content}
    entries = await replicas.entries(before + 1)
    (entry,) = [each for each in entries if each["request_id"] == original.headers["x-request-id"]]
    assert (entry["outcome"], entry["source"]) == ("completed", "provider")
    assert len(entries) == before + 1
    assert len(calls(simulation)) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_client_that_leaves_in_the_middle_has_the_whole_by_asking_again(
    pair: tuple[Replicas, Pulse, Pulse], simulation: Simulation, dialect: str
) -> None:
    replicas, *servers = pair
    before = len(await entries_of(replicas.database_url))
    simulation.reset()
    request = Request(dialect, PACED, stream=True)
    seen = await leave_after_the_first_bytes(servers[0], request)
    here, there = await asyncio.gather(*(ask(server, request) for server in servers))
    assert here.content == there.content
    assert here.content.startswith(seen)
    assert len(here.content) > len(seen)
    last = {"openai": b"data: [DONE]\n\n", "anthropic": b"message_stop", "gemini": b"finishReason"}[dialect]
    assert last in here.content
    assert len(calls(simulation)) == 1
    entries = await replicas.entries(before + 1)
    assert len(entries) == before + 1
    assert (entries[-1]["outcome"], entries[-1]["source"]) == ("completed", "provider")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_another_body_is_a_conflict_in_the_dialects_shape_on_every_server(
    pair: tuple[Replicas, Pulse, Pulse], simulation: Simulation, dialect: str
) -> None:
    _, *servers = pair
    request = Request(dialect)
    assert (await ask(servers[0], request)).status_code == 200
    simulation.reset()
    for server in servers:
        refused = await ask(
            server, request, **({"generationConfig": {}} if dialect == "gemini" else {"temperature": 1})
        )
        assert refused.status_code == 409
        error = refused.json()["error"]
        if dialect == "openai":
            assert (error["code"], error["param"]) == ("idempotency_conflict", "idempotency-key")
        elif dialect == "anthropic":
            assert error["details"]["error_code"] == "idempotency_conflict"
        else:
            assert (error["code"], error["details"][0]["reason"]) == (409, "IDEMPOTENCY_CONFLICT")
        assert refused.headers["x-should-retry"] == "false"
    assert not calls(simulation)


async def test_two_users_may_have_the_same_key(pair: tuple[Replicas, Pulse, Pulse], simulation: Simulation) -> None:
    replicas, server, other = pair
    simulation.reset()
    request = Request()
    for each, secret in ((server, replicas.keys[0]), (other, replicas.keys[1])):
        answer = await ask(each, request, secret=secret)
        assert answer.status_code == 200
        assert "idempotent-replayed" not in answer.headers
    assert len(calls(simulation)) == 2


@pytest.mark.parametrize("fault", ["status=500,first=1", "cut=3,first=1"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_error_is_not_kept(
    pair: tuple[Replicas, Pulse, Pulse], simulation: Simulation, fault: str, stream: bool
) -> None:
    """With one attempt the error would reach the client; Pulse itself tries a 500 again, and never what had begun."""
    _, *servers = pair
    request = Request("openai", fault, stream=stream)
    first = await ask(servers[0], request)
    again = await ask(servers[1], request)
    assert again.status_code == 200
    assert b"error" not in again.content
    if first.status_code != 200 or b"upstream_interrupted" in first.content:
        assert "idempotent-replayed" not in again.headers
    else:
        assert again.content == first.content


@pytest.mark.parametrize("key", ["", "two words", "a" * 256])
async def test_a_key_that_is_none_is_refused(pair: tuple[Replicas, Pulse, Pulse], key: str) -> None:
    _, server, _ = pair
    request = Request()
    request.key = key
    refused = await ask(server, request)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "idempotency-key")


# ── ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_after_a_restart_the_answer_is_still_there(replicas: Replicas, simulation: Simulation) -> None:
    request = Request(stream=True)
    first_server = replicas.starts()
    first = await ask(first_server, request)
    assert first_server.process.stop() == 0
    again = await ask(replicas.starts(), request)
    assert again.content == first.content
    assert again.headers["x-pulse-original-request-id"] == first.headers["x-request-id"]
    assert len(calls(simulation)) == len(await replicas.entries(1)) == 1


async def test_when_a_server_is_killed_a_repeat_takes_over_after_its_lease(
    replicas: Replicas, simulation: Simulation
) -> None:
    first, second = replicas.starts(journal="first"), replicas.starts()
    request = Request(fault="chunks=20,chunk-delay=0.3", stream=True)
    began = asyncio.Event()
    lost = asyncio.create_task(begin(first, request, began))
    await began.wait()
    joining = [asyncio.create_task(ask(second, request)) for _ in range(3)]
    await asyncio.to_thread(second.process.wait_for, "ready")
    killed_at = time.monotonic()
    first.process.stop(signal.SIGKILL)
    with pytest.raises(httpx.RemoteProtocolError):
        await lost
    answers = await asyncio.gather(*joining)
    assert time.monotonic() - killed_at > LEASE_S / 2
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].content.endswith(b"data: [DONE]\n\n")
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert len(calls(simulation)) == 2
    replicas.starts(journal="first")
    entries = await replicas.entries(2)
    assert sorted((entry["outcome"], entry["source"]) for entry in entries) == [
        ("completed", "provider"),
        ("interrupted", "estimated"),
    ]


async def test_a_stopping_server_waits_for_what_runs_without_a_client(
    replicas: Replicas, simulation: Simulation
) -> None:
    server = replicas.starts(drain_s=30)
    request = Request(fault="chunks=20,chunk-delay=0.05", stream=True)
    await leave_after_the_first_bytes(server, request)
    assert server.process.stop() == 0
    (entry,) = await replicas.entries(1)
    assert (entry["outcome"], entry["source"]) == ("completed", "provider")
    again = await ask(replicas.starts(), request)
    assert again.content.endswith(b"data: [DONE]\n\n")
    assert again.headers["idempotent-replayed"] == "true"
    assert len(calls(simulation)) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_outlasts_the_end_is_told_to_every_client_settled_and_free_again(
    replicas: Replicas, simulation: Simulation, dialect: str
) -> None:
    server = replicas.starts(drain_s=0.5)
    request = Request(dialect, "chunks=500,chunk-delay=0.2", stream=True)
    gone = Request(dialect, "chunks=500,chunk-delay=0.2", stream=True)
    begun = [asyncio.Event() for _ in range(3)]
    reading = [asyncio.create_task(begin(server, request, event)) for event in begun]
    for event in begun:
        await event.wait()
    await leave_after_the_first_bytes(server, gone)
    began = time.monotonic()
    assert await asyncio.to_thread(server.process.stop) == 0
    assert time.monotonic() - began < 6
    for each in reading:
        last = (await each).replace(b"\r\n", b"\n").split(b"\n\n")[-2]
        assert b'"unavailable"' in last.lower()
    assert [entry["outcome"] for entry in await replicas.entries(2)] == ["cancelled"] * 2
    assert "Traceback" not in server.process.output
    connection = await asyncpg.connect(replicas.database_url)
    assert await connection.fetchval("select count(*) from idempotency") == 0
    await connection.close()


async def test_a_slow_answer_is_kept_alive_for_those_who_joined(replicas: Replicas, simulation: Simulation) -> None:
    server = replicas.starts(keep_alive_s=0.1)
    request = Request(fault="chunks=4,chunk-delay=0.5", stream=True)
    began = asyncio.Event()
    first = asyncio.create_task(begin(server, request, began))
    await began.wait()
    joined = await ask(server, request)
    assert joined.headers["idempotent-replayed"] == "true"
    for content in (await first, joined.content):
        assert b": ping\n\n" in content
        assert content.replace(b": ping\n\n", b"").endswith(b"data: [DONE]\n\n")
    assert b": ping" not in (await ask(server, request)).content
    assert len(calls(simulation)) == 1


async def test_without_the_database_nothing_is_run_for_a_key(
    replicas: Replicas, simulation: Simulation, new_database: Callable[[], str]
) -> None:
    server = replicas.starts()
    assert (await ask(server, Request())).status_code == 200
    simulation.reset()
    name = replicas.database_url.partition("?")[0].rpartition("/")[2]
    admin = await asyncpg.connect(new_database())
    try:
        await admin.execute(f"alter database {name} with allow_connections false")
        await admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", name)
        refused = await ask(server, Request())
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "unavailable"
        assert refused.headers["retry-after"] == "1"
        assert not calls(simulation)
    finally:
        await admin.execute(f"alter database {name} with allow_connections true")
        await admin.close()
    async with asyncio.timeout(START_S):
        while (await ask(server, Request())).status_code != 200:
            await asyncio.sleep(PAUSE_S)
