"""Clients that leave by every way a connection can end, at every moment of an exchange: nothing of it stays, and what the provider did
is recorded once."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import msgspec
import psutil
import pytest
from pulse_process import Pulse, Simulation, entries_of, open_folder, run_pulse

AT_ONCE = 4
GONE_AFTER_S = 5.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: close sends RST
SLOW_STREAM = "tokens=400,chunks=200,chunk-delay=0.02"
LONG_STREAM = "tokens=2000,chunks=1000,chunk-delay=0.02"

# What is sent, how far the answer is read, and whether the provider hears of it.
MOMENTS = {
    "connected": ("nothing", b"", 0),
    "in the head": ("half a head", b"", 0),
    "in the body": ("half a body", b"", 0),
    "waiting for an answer": ("openai:gpt-5.2+delay=1", b"", 1),
    "waiting for a stream": ("openai:gpt-5.2+delay=1 stream", b"", 1),
    "waiting for another dialect's stream": ("anthropic:claude-opus-5+delay=1 stream", b"", 1),
    "waiting for a stream that stalls after its head": ("anthropic:claude-opus-5+stall=0 stream", b"", 1),
    "at the head of a stream": (f"openai:gpt-5.2+{SLOW_STREAM} stream", b"\r\n\r\n", 1),
    "in a stream": (f"openai:gpt-5.2+{SLOW_STREAM} stream", b"data: ", 1),
    "in a translated stream": (f"google:gemini-3.8-flash+{SLOW_STREAM} stream", b"data: ", 1),
    "with a stream unread": ("openai:gpt-5.2+huge=2000000,chunk-delay=0.5 stream", b"\r\n\r\n", 1),
    "with an answer unread": ("openai:gpt-5.2+huge=2000000", b"\r\n\r\n", 1),
    "after a stream": ("openai:gpt-5.2 stream", b"0\r\n\r\n", 1),
    "after an answer": ("openai:gpt-5.2", b'"usage"', 1),
    "after a refusal": ("no-such-model", b'"error"', 0),
    "with a second request behind the first": (f"openai:gpt-5.2+{LONG_STREAM} stream twice", b"data: ", 1),
}
NOTICED_IN = {
    "waiting for a stream",  # as soon as it begins
    "waiting for another dialect's stream",
    "at the head of a stream",
    "in a stream",
    "in a translated stream",
    "with a stream unread",
    "with a second request behind the first",
}
WAYS = ("FIN", "RST", "half-close")


@pytest.fixture(scope="module")
def served(database_url: str, simulation: Simulation) -> Iterator[Pulse]:
    made = run_pulse("keys", "create", "--user", "ada@example.com", env={"PULSE_DATABASE_URL": database_url})
    with open_folder() as folder:
        (folder / "pulse.toml").write_text(
            '[limits]\nrequests = "off"\n\n[providers.anthropic.timeouts]\nfirst_byte_s = 3\nidle_s = 3\n'
        )
        settings = simulation.provider_environment()
        with Pulse.serve(database_url, settings, key=made.stdout.strip(), cwd=folder) as running:
            yield running


def request(pulse: Pulse, request_id: str, model: str, *, stream: bool) -> bytes:
    body = msgspec.json.encode({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: pulse\r\nAuthorization: Bearer {pulse.key}\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def said(pulse: Pulse, request_id: str, what: str) -> bytes:
    if what == "nothing":
        return b""
    model, *more = what.split()
    if model == "half":
        whole = request(pulse, request_id, "gpt-5.2", stream=False)
        end = whole.index(b"\r\n\r\n")
        return whole[: end // 2] if more[-1] == "head" else whole[: end + 20]
    sent = request(pulse, request_id, model, stream="stream" in more)
    return 2 * sent if "twice" in more else sent


async def leave(pulse: Pulse, moment: str, way: str, request_id: str) -> None:
    what, until, _ = MOMENTS[moment]
    loop = asyncio.get_running_loop()
    url = httpx.URL(pulse.url)
    client = socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, (url.host, url.port))
    await loop.sock_sendall(client, said(pulse, request_id, what))
    read = b""
    while until not in read:
        piece = await loop.sock_recv(client, 4096)
        assert piece, read
        read += piece
    if way == "half-close":
        client.shutdown(socket.SHUT_WR)
        try:
            while await loop.sock_recv(client, 65_536):
                pass
        except ConnectionError:
            pass  # it may be told so
    if way == "RST":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


class Left:
    """What a server has open: connections of clients, permits, tasks, descriptors."""

    def __init__(self, pulse: Pulse, page: str) -> None:
        process = psutil.Process(pulse.process.pid)
        port = httpx.URL(pulse.url).port
        clients = [each for each in process.net_connections("tcp") if each.laddr.port == port and each.raddr]
        self.sockets = len(clients)
        self.permits, self.tasks = (
            float(re.findall(rf"(?m)^pulse_{name} (\S+)$", page)[0]) for name in ("open_permits", "tasks")
        )

    @classmethod
    async def at(cls, pulse: Pulse) -> Left:
        """Seen without a connection of one's own."""
        async with httpx.AsyncClient(base_url=pulse.url, trust_env=False, headers={"connection": "close"}) as http:
            page = (await http.get("/metrics")).text
        return cls(pulse, page)


async def test_who_leaves_at_any_moment_and_by_any_way_leaves_nothing_open(
    served: Pulse, database_url: str, simulation: Simulation
) -> None:
    await leave(served, "after an answer", "FIN", "warm")
    before = await Left.at(served)
    names = {
        f"left-{place}-{way}-{number}": (moment, way)
        for place, moment in enumerate(MOMENTS)
        for way in WAYS
        for number in range(AT_ONCE)
        if not (
            way == "half-close" and "twice" in MOMENTS[moment][0]
        )  # it is no longer listened to, and gets both answers
    }
    async with asyncio.timeout(30):
        await asyncio.gather(*(leave(served, moment, way, name) for name, (moment, way) in names.items()))
    until = time.monotonic() + GONE_AFTER_S
    while True:
        left = await Left.at(served)
        if (left.sockets, left.permits) == (0, 0) and left.tasks <= before.tasks:
            break
        assert time.monotonic() < until, vars(left)
        await asyncio.sleep(0.1)

    records = [each for each in simulation.stats()["requests"] if each["caller_request_id"] in names]
    assert {each["outcome"] for each in records} <= {"completed", "aborted", "faulted"}  # none is open
    async with asyncio.timeout(10), httpx.AsyncClient(base_url=served.url, trust_env=False) as http:
        while "\npulse_ledger_backlog 0.0" not in (await http.get("/metrics")).text:
            await asyncio.sleep(0.05)
        usage = await http.get("/v1/usage/me", headers=served.headers)
        assert usage.json()["tokens"]["reserved"] == 0
    rows = Counter(row["request_id"] for row in await entries_of(database_url) if row["request_id"] in names)
    assert rows == Counter(each["caller_request_id"] for each in records)
    for name, (moment, _) in names.items():
        assert rows[name] >= MOMENTS[moment][2], (name, moment)
    for trouble in (
        "Traceback",
        "never retrieved",
        "a background task failed",
        "a finalizer failed",
        '"level":"error"',
    ):
        assert trouble not in served.process.output
    outcomes = {line["request_id"]: line["outcome"] for line in served.log_lines() if line["request_id"] in names}
    assert set(outcomes.values()) <= {"completed", "refused", "failed", "client_gone"}
    for name, outcome in outcomes.items():
        assert (outcome == "client_gone") is (names[name][0] in NOTICED_IN), (names[name], outcome)
