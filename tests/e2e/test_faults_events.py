"""Server-sent events in every form that a provider may give them, in any slices, and of any size: heard alike, or refused."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pulse_process import PAUSE_S, Pulse, Simulation, entries_of, open_folder, run_pulse

MIB = 1024 * 1024
BOM = b"\xef\xbb\xbf"
UPSTREAMS = {"openai": "gpt-5.2", "anthropic": "claude-opus-5", "google": "gemini-3.8-flash"}
CLIENTS = ("openai", "anthropic", "gemini")
SAME_DIALECT = {("openai", "openai"), ("anthropic", "anthropic"), ("google", "gemini")}
TEXT = "قل شيئا طويلا 🙂"
DIRECT = {
    "openai": (
        "/v1/chat/completions",
        {"authorization": "Bearer x"},
        {"model": "gpt-5.2+tokens=30,chunks=8", "stream": True, "stream_options": {"include_usage": True}},
    ),
    "anthropic": (
        "/v1/messages",
        {"x-api-key": "x", "anthropic-version": "2026-10-21"},
        {"model": "claude-opus-5+tokens=30,chunks=8", "stream": True, "max_tokens": 1000},
    ),
    "google": (
        "/v1beta/models/gemini-3.8-flash+tokens=30,chunks=8:streamGenerateContent?alt=sse",
        {"x-goog-api-key": "x"},
        {},
    ),
}

_numbers = itertools.count()


def messages(dialect: str, text: str = TEXT) -> dict[str, Any]:
    if dialect in {"google", "gemini"}:
        return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return {"messages": [{"role": "user", "content": text}]}


# ── what is said, in which form ───────────────────────────────────────────────────────────────────────────────────────


def lines_end(end: bytes) -> Callable[[bytes], bytes]:
    return lambda stream: stream.replace(b"\r\n", b"\n").replace(b"\n", end)


def with_comments(stream: bytes) -> bytes:
    """Before each event, inside each, and as frames of their own."""
    *events, _ = stream.replace(b"\r\n", b"\n").split(b"\n\n")
    told = [b": PROCESSING\n" + event.replace(b"data: ", b":\ndata: ") + b"\n\n" for event in events]
    return b": hello\n\n" + b":\n\n".join(told)


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda stream: stream,
    "line feeds": lines_end(b"\n"),
    "both": lines_end(b"\r\n"),
    "carriage returns": lines_end(b"\r"),
    "a byte order mark": lambda stream: BOM + stream,
    "comments": with_comments,
    "no space after the colon": lambda stream: stream.replace(b"data: ", b"data:"),
    "no last blank line": lambda stream: stream.rstrip(b"\r\n"),
    "no last blank line, carriage returns": lambda stream: lines_end(b"\r")(stream).rstrip(b"\r") + b"\r",
}
SLICES: dict[str, Callable[[bytes], list[bytes]]] = {
    "one slice": lambda stream: [stream],
    "single bytes": lambda stream: [stream[at : at + 1] for at in range(len(stream))],
    "inside characters and line ends": lambda stream: re.findall(rb"(?s)[^\xd8-\xf4\r]*[\xd8-\xf4\r]|.+", stream),
}


class Scripted:
    """A provider that says what it is told to, slice by slice. The number in the model's name says which script."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[bytes]] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Scripted:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length is not None
        said = head + await reader.readexactly(int(length[1]))
        number = re.search(rb"script-(\d+)", said)
        assert number is not None
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for each in self.scripts[number[1].decode()]:
            writer.write(each)
            await writer.drain()
            await asyncio.sleep(0)  # each slice is a write of its own
        writer.close()


@pytest.fixture(scope="module")
def recorded(simulation: Simulation) -> dict[str, bytes]:
    """A whole stream of each vendor, in Arabic."""
    streams = {}
    for name, (path, headers, fields) in DIRECT.items():
        body = json.dumps({**fields, **messages(name)}, ensure_ascii=False).encode()
        as_json = {**headers, "content-type": "application/json"}
        answer = httpx.post(simulation.url + path, content=body, headers=as_json, trust_env=False)
        answer.raise_for_status()
        streams[name] = answer.content
    return streams


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def providers(urls: dict[str, str]) -> str:
    rows = "".join(
        f'[providers.scripted-{name}]\nkind = "{name}"\nbase_url = "{url}"\nkey = "env:OPENAI_API_KEY"\n\n'
        for name, url in urls.items()
    )
    return f'[limits]\nrequests = "off"\n\n{rows}'


@pytest.fixture(scope="module")
def key(database_url: str) -> str:
    made = run_pulse("keys", "create", "--user", "ada@example.com", env={"PULSE_DATABASE_URL": database_url})
    return made.stdout.strip()


async def ask(http: httpx.AsyncClient, model: str, dialect: str, text: str = TEXT) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "stream": True, **messages(dialect, text)}
    path = "/v1/chat/completions"
    if dialect == "anthropic":
        path, body = "/v1/messages", {**body, "max_tokens": 128_000}
    elif dialect == "gemini":
        path, body = f"/v1beta/models/{model}:streamGenerateContent?alt=sse", messages(dialect, text)
    else:
        body["stream_options"] = {"include_usage": True}
    return await http.post(path, json=body, headers={"x-request-id": f"event-{next(_numbers)}"})


async def test_the_same_events_in_any_form_and_any_slices_are_the_same_answer(
    database_url: str, key: str, folder: Path, recorded: dict[str, bytes]
) -> None:
    """Between dialects to the byte; within one each form goes through as it came."""
    async with Scripted() as scripted:
        urls = {name: scripted.url + ("/v1" if name == "openai" else "") for name in UPSTREAMS}
        (folder / "pulse.toml").write_text(providers(urls))
        numbers = itertools.count()
        with Pulse.serve(database_url, {"OPENAI_API_KEY": "x"}, key=key, cwd=folder) as pulse:
            async with httpx.AsyncClient(
                base_url=pulse.url, headers=pulse.headers, timeout=60, trust_env=False
            ) as http:

                async def answer(upstream: str, dialect: str, stream: bytes, slices: list[bytes]) -> bytes:
                    number = str(next(numbers))
                    scripted.scripts[number] = slices
                    response = await ask(http, f"scripted-{upstream}:script-{number}", dialect)
                    assert response.status_code == 200, response.text
                    line = pulse.exchange(response.headers["x-request-id"])
                    assert (line["outcome"], line["usage_source"]) == ("completed", "provider")
                    used.add((upstream, line["total_tokens"]))
                    said = response.content.replace(f"script-{number}".encode(), b"script")
                    return re.sub(rb'"created":\d+', b'"created":0', said) if upstream != "openai" else said

                used: set[tuple[str, int]] = set()
                for upstream, dialect in itertools.product(UPSTREAMS, CLIENTS):
                    stream = recorded[upstream]
                    plain = await answer(upstream, dialect, stream, [stream])
                    told = [(form(stream), cut) for form in FORMS.values() for cut in SLICES.values()]
                    answers = await asyncio.gather(*(answer(upstream, dialect, each, cut(each)) for each, cut in told))
                    for (each, _), said in zip(told, answers, strict=True):
                        assert said == (each if (upstream, dialect) in SAME_DIALECT else plain)
                assert len(used) == len(UPSTREAMS)


# ── size ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def large(database_url: str, key: str, simulation: Simulation) -> Iterator[Pulse]:
    with open_folder() as made:
        (made / "pulse.toml").write_text('[limits]\nrequests = "off"\n')
        with Pulse.serve(database_url, simulation.provider_environment(), key=key, cwd=made) as running:
            yield running


@pytest.fixture
async def client(large: Pulse) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=large.url, headers=large.headers, timeout=60, trust_env=False) as made:
        yield made


class Memory:
    """How much more of it the server has taken at its highest, since this was made."""

    def __init__(self, pulse: Pulse) -> None:
        self._process = Path(f"/proc/{pulse.process.pid}")
        (self._process / "clear_refs").write_text("5")  # the highest mark is now what it takes now
        self._before = self._kib("VmRSS")

    def _kib(self, name: str) -> int:
        found = re.search(rf"(?m)^{name}:\s+(\d+) kB", (self._process / "status").read_text())
        assert found is not None
        return int(found[1])

    @property
    def growth_bytes(self) -> int:
        return (self._kib("VmHWM") - self._before) * 1024


async def settled(http: httpx.AsyncClient, database_url: str, request_id: str) -> dict[str, Any]:
    """The one row of a request, once nothing is held any more."""
    async with asyncio.timeout(10):
        while "\npulse_open_permits 0.0" not in (page := (await http.get("/metrics")).text) or (
            "\npulse_ledger_backlog 0.0" not in page
        ):
            await asyncio.sleep(PAUSE_S)
    (row,) = [each for each in await entries_of(database_url) if each["request_id"] == request_id]
    return row


@pytest.mark.parametrize(
    ("upstream", "dialect", "text"),
    [("openai", "openai", "hello"), ("google", "openai", TEXT), ("google", "gemini", "hello")],
)
async def test_ten_megabytes_in_one_event_pass_in_little_memory(
    client: httpx.AsyncClient, large: Pulse, database_url: str, upstream: str, dialect: str, text: str
) -> None:
    model = f"{upstream}:{UPSTREAMS[upstream]}"
    await ask(client, model, dialect)  # what is made once is not counted
    memory = Memory(large)
    answer = await ask(client, f"{model}+huge={10 * MIB}", dialect, text)
    grown = memory.growth_bytes
    assert answer.status_code == 200
    assert len(answer.content) > 10 * MIB
    assert b'"error"' not in answer.content
    assert grown <= 60 * MIB
    row = await settled(client, database_url, answer.headers["x-request-id"])
    assert (row["outcome"], row["source"]) == ("completed", "provider")


@pytest.mark.parametrize(
    ("upstream", "dialect", "size"),
    [("openai", "openai", 20 * MIB), ("openai", "gemini", 20 * MIB), ("google", "openai", 40 * MIB)],
    ids=["after an event", "between dialects", "before any"],
)
async def test_twenty_megabytes_in_one_event_are_refused_and_the_provider_is_left(
    client: httpx.AsyncClient,
    large: Pulse,
    database_url: str,
    simulation: Simulation,
    upstream: str,
    dialect: str,
    size: int,
) -> None:
    memory = Memory(large)
    answer = await ask(client, f"{upstream}:{UPSTREAMS[upstream]}+huge={size}", dialect)
    assert memory.growth_bytes <= 60 * MIB
    assert b"UPSTREAM_BAD_RESPONSE" in answer.content.upper()
    assert b"[DONE]" not in answer.content
    assert b"finishReason" not in answer.content
    assert answer.status_code == 502  # before the first word of it, even if it had begun
    request_id = answer.headers["x-request-id"]
    row = await settled(client, database_url, request_id)
    assert row["outcome"] == "failed"
    if size > 30 * MIB:  # twenty would fit between two sockets, and the provider not see that nobody reads
        async with asyncio.timeout(10):
            while (outcome := seen(simulation, request_id)) == "open":
                await asyncio.sleep(PAUSE_S)
        assert outcome == "aborted"


def seen(simulation: Simulation, request_id: str) -> str:
    (record,) = [each for each in simulation.stats()["requests"] if each["caller_request_id"] == request_id]
    return str(record["outcome"])
