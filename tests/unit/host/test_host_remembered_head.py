"""A head that comes again is read as it was the first time, whatever else stands in it; one that differs is parsed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from pulse_host.cycle import Cycle, cycle_of
from pulse_host.protocol import BoundedHttp
from pulse_host.remembered_head import RememberedHead, remember

HEAD = "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer one\r\nContent-Length: {}\r\nX-Last: z\r\n\r\n"


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written = b""
        self.closing, self.reads = False, True

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> Any:
        return None

    def set_write_buffer_limits(self, high: int) -> None: ...

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


class Connection:
    """One, with an application that notes what each request was and says "ok"."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, Any], bytes]] = []
        self.cycles: list[Cycle] = []
        config = uvicorn.Config(self._app, interface="asgi3", log_config=None, lifespan="off")
        config.load()
        self.protocol = BoundedHttp(config=config, server_state=ServerState(), app_state={})
        self.wire: Any = Wire()
        self.protocol.connection_made(self.wire)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        cycle = cycle_of(scope)
        assert cycle is not None
        self.cycles.append(cycle)
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        kept = {name: value for name, value in scope.items() if name != "extensions"}
        kept["headers"] = list(scope["headers"])
        scope["path"] = "/spoilt"  # as a router may do
        scope["headers"].clear()
        self.seen.append((kept, body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def say(self, *pieces: bytes, answers: int = 1) -> None:
        done = len(self.seen) + answers
        for piece in pieces:
            self.protocol.data_received(piece)
        async with asyncio.timeout(10):
            while len(self.seen) < done or self.protocol.tasks:
                await asyncio.sleep(0)

    @property
    def was_remembered(self) -> bool:
        """Whether the last request was known by its bytes."""
        return len(self.cycles) > 1 and self.cycles[-1].remembered is self.cycles[-2].remembered is not None

    def close(self) -> None:
        self.protocol.connection_lost(None)


@pytest.fixture
async def connection() -> Any:
    made = Connection()
    yield made
    made.close()


def request(body: bytes, head: str = HEAD) -> bytes:
    return head.format(len(body)).encode() + body


async def test_the_same_head_gives_the_same_scope_with_the_length_of_its_own_body(connection: Connection) -> None:
    # `headers` is spoilt by the application of each request: what is kept is not what was handed out.
    for body in (b"one", b"2", b"the third", b"", b"x" * 100_000):
        await connection.say(request(body))
        if body != b"the third" and len(connection.seen) > 2:
            assert connection.was_remembered
    other = Connection()
    for number, (scope, body) in enumerate(connection.seen):
        await other.say(request(body, HEAD.replace("one", f"{number}")))  # never the same twice
        assert not other.was_remembered
        fresh = other.seen[-1][0]
        at = [name for name, _ in fresh["headers"]].index(b"authorization")
        fresh["headers"][at] = (b"authorization", b"Bearer one")
        assert scope == fresh
        assert dict(scope["headers"])[b"content-length"] == str(len(body)).encode()
    other.close()


async def test_another_credential_is_another_head(connection: Connection) -> None:
    for _ in range(3):
        await connection.say(request(b"{}"))
    assert connection.was_remembered
    await connection.say(request(b"{}", HEAD.replace("Bearer one", "Bearer two")))
    assert not connection.was_remembered
    assert dict(connection.seen[-1][0]["headers"])[b"authorization"] == b"Bearer two"


async def test_what_does_not_come_whole_is_parsed(connection: Connection) -> None:
    whole = request(b"0123456789")
    for _ in range(3):
        await connection.say(whole)
    for cut in range(1, len(whole)):
        await connection.say(whole[:cut], whole[cut:])
        assert connection.seen[-1] == connection.seen[0]
    await connection.say(whole + whole + whole, answers=3)
    assert [body for _, body in connection.seen[-3:]] == [b"0123456789"] * 3
    assert connection.wire.written.count(b"HTTP/1.1 200") == len(connection.seen)


async def test_one_that_comes_while_another_is_answered_waits_for_it(connection: Connection) -> None:
    whole = request(b"0123456789")
    for _ in range(3):
        await connection.say(whole)
    await connection.say(whole, whole, whole, answers=3)
    assert [body for _, body in connection.seen[-3:]] == [b"0123456789"] * 3


async def test_a_client_whose_heads_always_differ_is_not_remembered_for_ever(connection: Connection) -> None:
    for number in range(30):
        await connection.say(request(b"{}", HEAD.replace("z", f"{number}")))
    for _ in range(3):
        await connection.say(request(b"{}"))
    assert not connection.was_remembered


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace("POST", "PUT"),
        HEAD.replace("HTTP/1.1", "HTTP/1.0"),
        HEAD.replace("X-Last: z", "Expect: 100-continue"),
        HEAD.replace("X-Last: z", "Connection: Upgrade\r\nUpgrade: websocket"),
    ],
)
async def test_a_head_that_asks_for_more_is_parsed_each_time(head: str) -> None:
    connection = Connection()
    for _ in range(4):
        if not connection.wire.closing:
            await connection.say(request(b"{}", head))
            assert not connection.was_remembered
    connection.close()


def remembered(head: bytes, body: bytes, *names: bytes) -> RememberedHead | None:
    return remember(head + body, {"headers": [(name, b"3") for name in names]})


def test_a_length_that_is_not_plain_is_not_remembered() -> None:
    plain = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    assert remembered(plain, b"abc", b"content-length") is not None
    assert remembered(plain, b"abcd", b"content-length") is None
    assert remembered(plain, b"ab", b"content-length") is None
    assert remembered(plain, b"abc", b"content-length", b"content-length") is None
    assert remembered(plain, b"abc", b"content-length", b"transfer-encoding") is None
    assert remembered(plain, b"abc") is None
    assert remembered(b"POST / HTTP/1.1\r\nX: a\r\n Content-Length: 3\r\n\r\n", b"abc", b"content-length") is None
    assert remembered(b"POST / HTTP/1.1\r\nContent-Length: 3 \r\n\r\n", b"abc", b"content-length") is None
    assert remembered(b"POST / HTTP/1.1\r\nX: \r\n\r\nContent-Length: 3\r\n\r\n", b"abc", b"content-length") is None


@pytest.mark.parametrize(
    "length", [b"", b"+3", b"-3", b" 3", b"3 ", b"3,3", b"03", b"0x3", b"3_0", "٣".encode(), b"9" * 19, b"9" * 40]
)
def test_a_length_that_is_no_number_is_left_to_the_parser(length: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: %b\r\nX: y\r\n\r\n"
    known = remember(head % b"3" + b"abc", {"headers": [(b"content-length", b"3")]})
    assert known is not None
    assert known.body_at(head % b"3" + b"xyz") == len(head % b"3")
    assert known.body_at(head % length + b"abc") == 0
