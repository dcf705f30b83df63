"""What one request brings along must not be read as another, as a part of its own head, or kept without a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from pulse_host.cycle import cycle_of
from pulse_host.protocol import BoundedHttp

Application = Callable[[Any, Any, Any], Awaitable[None]]
_CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[int]:
    config = uvicorn.Config(application, http=BoundedHttp, lifespan="off", log_config=None, access_log=False, port=0)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait_for(running, 5)


class Heard:
    """Answers each request with its path and body, and keeps what it was told of them."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        await self.goes_on.wait()
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        said = b"<%b %b>" % (scope["path"].encode(), body)
        length = (b"content-length", b"%d" % len(said))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": said})


async def told(port: int, *pieces: bytes, until: bytes = b"", pause_s: float = 0.02) -> bytes:
    """What the server says until `until`, or until it closes or says nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        async with asyncio.timeout(2):
            while not until or until not in heard:
                piece = await reader.read(65_536)
                if not piece:
                    break
                heard += piece
    except ConnectionError:
        pass
    except TimeoutError:
        heard += b" and then nothing"
    finally:
        writer.close()
    return heard


@pytest.mark.parametrize("slices", [1, 2, 0], ids=["at once", "body apart", "byte by byte"])
async def test_a_request_that_offers_an_upgrade_keeps_its_body(slices: int) -> None:
    """Java's client offers h2c with its first request, whatever that is. What follows must not be taken for a request."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /a HTTP/1.1\r\nHost: x\r\n" + _UPGRADE + b"Content-Length: %d\r\n\r\n" % len(body)
    after = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
    whole = head + body + after
    pieces = {1: [whole], 2: [head, body + after], 0: [bytes([each]) for each in whole]}[slices]
    application = Heard()
    async with serving(application) as port:
        heard = await told(port, *pieces, until=b"</b hi>", pause_s=0.02 if slices else 0)
    assert [scope["path"] for scope in application.scopes] == ["/a", "/b"]
    assert b"</a " + body + b">" in heard
    assert b"</b hi>" in heard


@pytest.mark.parametrize("together", [True, False])
async def test_a_chunked_body_behind_an_offered_upgrade_is_read(together: bool) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\n" + _UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n"
    body = b"2\r\nhi\r\n0\r\n\r\n"
    application = Heard()
    async with serving(application) as port:
        heard = await told(port, *([head + body] if together else [head, body]), until=b"</a hi>")
    assert b"</a hi>" in heard


@pytest.mark.parametrize("length", [b"0", b"0 "])
async def test_an_empty_body_behind_an_offered_upgrade_has_its_end(length: bytes) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\n" + _UPGRADE + b"Content-Length: " + length + b"\r\n\r\n"
    application = Heard()
    async with serving(application) as port:
        heard = await told(port, head, b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n", until=b"</b >")
    assert b"</a >" in heard


async def test_a_coding_that_nobody_knows_is_refused_behind_an_offered_upgrade_too() -> None:
    head = b"POST /a HTTP/1.1\r\nHost: x\r\n" + _UPGRADE + b"Transfer-Encoding: xchunked\r\n\r\n"
    application = Heard()
    async with serving(application) as port:
        assert (await told(port, head + b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_a_request_behind_one_that_offers_an_upgrade_is_answered() -> None:
    first = b"GET /a HTTP/1.1\r\nHost: x\r\n" + _UPGRADE + b"\r\n"
    application = Heard()
    async with serving(application) as port:
        heard = await told(port, first + b"POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", until=b"</b hi>")
    assert b"</a >" in heard
    assert b"</b hi>" in heard


async def test_nothing_is_read_behind_a_tunnel_that_was_asked_for() -> None:
    application = Heard()
    async with serving(application) as port:
        await told(port, b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [scope["path"] for scope in application.scopes if scope["path"] == "/b"] == []


@pytest.mark.parametrize("together", [True, False])
async def test_trailers_are_no_headers(together: bool) -> None:
    rest = b"2\r\nhi\r\n0\r\nAuthorization: Bearer other\r\n\r\n"
    application = Heard()
    async with serving(application) as port:
        heard = await told(port, *([_CHUNKED + rest] if together else [_CHUNKED, rest]), until=b"</a hi>")
    assert b"</a hi>" in heard
    [scope] = application.scopes
    assert [name for name, _ in scope["headers"]] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize("line", [b"x-a: " + b"a" * 60_000 + b"\r\n", b"a" * 60_000], ids=["many", "one"])
async def test_endless_trailers_are_refused(line: bytes) -> None:
    application = Heard()
    async with serving(application) as port:
        heard = await told(port, _CHUNKED + b"2\r\nhi\r\n0\r\nx: ", *[line] * 20)
    assert heard.startswith(b"HTTP/1.1 431") or heard == b""


async def test_many_chunks_are_no_long_head() -> None:
    application = Heard()
    async with serving(application) as port:
        heard = await told(port, _CHUNKED, *[b"1\r\na\r\n" * 10_000] * 3, b"0\r\n\r\n", until=b"a>")
    assert b"</a " + b"a" * 30_000 + b">" in heard


async def test_requests_that_wait_do_not_grow_with_each_answer() -> None:
    """Each answer let in all that had come since, so that one client could make as many wait as it had the time to send."""
    queued: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.001)
        connection = cycle_of(scope).connection  # type: ignore[union-attr]
        queued.append(len(connection._queued or ()))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving(application) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100_000)
        async with asyncio.timeout(10):
            while len(queued) < 100:
                await reader.read(65_536)
        writer.close()
    assert max(queued) <= 2 * 262_144 // 27  # what a slice can hold


async def test_an_answer_under_way_is_not_broken_into() -> None:
    """What is said of a second request that cannot be read would be taken for the answer of the first."""
    application = Heard()
    application.goes_on.clear()
    async with serving(application) as port:
        heard = await told(port, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"nonsense\r\n\r\n")
        application.goes_on.set()
    assert b" 400 " not in heard
