"""What both transports promise, against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from misbehaving import (
    CHUNKED,
    OK,
    QUICK,
    answering,
    collected,
    read_request,
    request,
    reset,
    server,
    serving_ok,
    whole,
)

from pulse_gateway.errors import (
    StreamInterrupted,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from pulse_gateway.transport.transport import Transport
from pulse_gateway.types.http import HttpRequest, Timeouts, header

# ── what goes out, what comes back ──


async def test_an_answer_comes_with_status_headers_and_body(transport: Transport) -> None:
    head = (
        b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Request-Id:  r1 \r\nX-Empty:\r\n"
        b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Latin: \xe9\r\n\r\n"
    )
    async with server(answering(head + b"hello")) as served:
        response = await transport.send(request(served.url), QUICK)
        assert response.status == 201
        assert header(response.headers, "x-request-id") == "r1"
        assert header(response.headers, "x-empty") == ""
        assert header(response.headers, "x-latin") == "\xe9"
        assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]
        assert await whole(response) == b"hello"
        assert response.read_now() == b""


async def test_the_request_arrives_as_it_was_written(transport: Transport) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(OK)

    body = '{"a": "é"}'.encode()
    async with server(serve) as served:
        await collected(transport, request(served.url, body))
        await collected(transport, HttpRequest("GET", f"{served.url}?a=b%20c&d=%C3%A9", ()))
        await collected(transport, HttpRequest("POST", f"{served.url}/a%2Fb:predict", (("host", "other.example"),)))
    head = seen[0][0].decode().lower()
    assert head.startswith("post /x http/1.1\r\n")
    assert f"host: {served.url[7:]}\r\n" in head
    assert seen[0][1] == body
    assert head.count("x-one: ") == 2
    assert "accept-encoding: identity" in head
    assert "cookie" not in head
    assert seen[1][0].startswith(b"GET /?a=b%20c&d=%C3%A9 HTTP/1.1\r\n")
    assert b"content-length" not in seen[1][0].lower()
    assert seen[2][0].startswith(b"POST /a%2Fb:predict HTTP/1.1\r\n")
    assert seen[2][0].lower().count(b"host:") == 1 and b"other.example" in seen[2][0]
    assert b"content-length: 0" in seen[2][0].lower()


async def test_redirects_are_not_followed(transport: Transport) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with server(answering(moved)) as served:
        assert (await collected(transport, request(served.url)))[0] == 302


async def test_pieces_arrive_as_they_are_sent(transport: Transport) -> None:
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CHUNKED + b"3\r\none\r\n")
        await gate.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with server(serve) as served:
        response = await transport.send(request(served.url), QUICK)
        pieces = aiter(response)
        assert await anext(pieces) == b"one"  # while the rest is not even written
        assert response.read_now() is None
        gate.set()
        assert [piece async for piece in pieces] == [b"two"]
        await response.aclose()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world",
        CHUNKED + b"5;name=value\r\nhello\r\n6\r\n world\r\n0\r\nx-trailer: said after\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world",
    ],
    ids=["length", "chunks", "interim"],
)
@pytest.mark.parametrize("size", [1, 7], ids=["one byte", "seven bytes"])
async def test_an_answer_in_writes_of_a_few_bytes_is_the_same(transport: Transport, answer: bytes, size: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for start in range(0, len(answer), size):
                writer.write(answer[start : start + size])
                await asyncio.sleep(0)

    async with server(serve) as served:
        for _ in range(2):
            assert await collected(transport, request(served.url)) == (200, b"hello world")
    assert served.accepted == 1


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"),
        ("HEAD", CHUNKED),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n"),
        ("POST", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ],
    ids=["HEAD", "HEAD of chunks", "204", "304", "nothing"],
)
async def test_an_answer_without_a_body_ends_with_its_head(transport: Transport, method: str, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(answer)

    async with server(serve) as served:
        for _ in range(2):
            assert (await collected(transport, request(served.url, b"", method)))[1] == b""


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_body_without_a_length_ends_with_the_connection(transport: Transport, version: bytes) -> None:
    async with server(answering(b"HTTP/" + version + b" 200 OK\r\n\r\nuntil", b" the end")) as served:
        for _ in range(2):
            assert await collected(transport, request(served.url)) == (200, b"until the end")
    assert served.accepted == 2


@pytest.mark.parametrize("length", [None, 300_000], ids=["chunks", "length"])
async def test_a_body_may_be_made_while_it_is_sent(transport: Transport, length: int | None) -> None:
    seen: list[tuple[bytes, bytes]] = []
    sent: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for number in range(3):
            assert not sent
            yield b"%d" % number * 100_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await read_request(reader))
            writer.write(OK)

    headers = () if length is None else (("content-length", str(length)),)
    async with server(serve) as served:
        for _ in range(2):
            asked = HttpRequest("POST", served.url, headers, stream=body())
            assert await collected(transport, asked, on_send=lambda: sent.append(1)) == (200, b"ok")
            assert sent.pop() == 1
    assert [len(said) for _, said in seen] == [300_000] * 2
    assert served.accepted == 1


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("https://x.replicate.delivery\t/", "a"),
        ("http://[::1/", "a"),
        ("https://xn--.replicate.delivery/", "a"),
        ("", "\u00e9"),
        ("", "a\r\nb: c"),
        ("", "a\x0bb"),
        ("http://127.0.0.1:99999/", "a"),
    ],
    ids=["tab", "bracket", "punycode", "not ascii", "line break", "control", "port"],
)
async def test_what_http_cannot_carry_is_an_error_of_the_gateways_own_kind(
    transport: Transport, address: str, value: str
) -> None:
    """Vendors name addresses, too: of what they have made."""
    async with server(serving_ok) as served:
        with pytest.raises(UpstreamProtocolError):
            await transport.send(HttpRequest("GET", address or served.url, (("x", value),)), QUICK)


# ── breaking off ──


@pytest.mark.parametrize(
    ("pieces", "then_wait", "error"),
    [
        ([], False, UpstreamDisconnected),
        ([b"HTTP/1.1 200 OK\r\nx: "], False, UpstreamDisconnected),
        ([b"not http at all\r\n\r\n"], False, UpstreamProtocolError),
        ([b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"], False, UpstreamProtocolError),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"], True, UpstreamProtocolError),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy"], True, UpstreamProtocolError),
        (
            [b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
            True,
            UpstreamProtocolError,
        ),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!"], False, StreamInterrupted),
        ([CHUNKED + b"5\r\nfive!\r\n"], False, StreamInterrupted),
        ([CHUNKED + b"5\r\nfiv"], False, StreamInterrupted),
        ([CHUNKED + b"5\r\nfive!\r\n0\r\nx: y\r\n"], False, StreamInterrupted),
        ([CHUNKED + b"zz\r\nfive!\r\n"], False, StreamInterrupted),
        ([CHUNKED, b"-5\r\nfive!\r\n"], False, StreamInterrupted),
        ([], True, UpstreamTimeout),
        ([b"HTTP/1.1 200 OK\r\n"], True, UpstreamTimeout),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], True, UpstreamTimeout),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!"], True, UpstreamTimeout),
        ([CHUNKED + b"5\r\nfive!\r\n"], True, UpstreamTimeout),
    ],
)
async def test_every_way_of_breaking_off_is_an_error_of_ours(
    transport: Transport, pieces: list[bytes], then_wait: bool, error: type[UpstreamError]
) -> None:
    async with server(answering(*pieces, then_wait=then_wait)) as served:
        with pytest.raises(error):
            await collected(transport, request(served.url))
        await served.when(lambda: served.open == 0)


@pytest.mark.parametrize(
    "phase",
    [
        "at once",
        "within the request",
        "after the request",
        "within the head",
        "within the body",
        "within a body without end",
    ],
)
async def test_a_reset_in_any_phase_is_an_error_of_ours(transport: Transport, phase: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if phase != "at once":
            await reader.readexactly(10)
        if phase not in ("at once", "within the request"):
            await reader.readuntil(b"\r\n\r\n{}")
        if phase == "within the head":
            writer.write(b"HTTP/1.1 200 OK\r\nx-a")
        if phase == "within the body":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
        if phase == "within a body without end":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nfive!")
        if " body" in phase:
            await got_head.wait()
        reset(writer)

    got_head = asyncio.Event()
    async with server(serve) as served:
        if " body" in phase:
            response = await transport.send(request(served.url), QUICK)
            got_head.set()
            with pytest.raises(StreamInterrupted):
                await whole(response)
        else:
            with pytest.raises(
                (UpstreamDisconnected, UpstreamUnreachable) if phase == "at once" else UpstreamDisconnected
            ):
                await collected(transport, request(served.url))


async def test_what_came_before_a_break_is_still_read(transport: Transport) -> None:
    async with server(answering(CHUNKED + b"5\r\nfive!\r\n")) as served:
        response = await transport.send(request(served.url), QUICK)
        pieces = aiter(response)
        assert await anext(pieces) == b"five!"
        with pytest.raises(StreamInterrupted):
            await anext(pieces)
        await response.aclose()


@pytest.mark.parametrize(
    ("start", "more", "error"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x-long: " + b"x" * 8000 + b"\r\n", UpstreamProtocolError),
        (b"HTTP/1.1 200 OK\r\nx-long: ", b"x" * 8000, UpstreamProtocolError),
        (CHUNKED + b"1\r\na\r\n0\r\n", b"x-long: " + b"x" * 8000 + b"\r\n", StreamInterrupted),
        (CHUNKED + b"1\r\na\r\n1;", b"x" * 8000, StreamInterrupted),
    ],
    ids=["headers", "a header", "trailers", "an extension"],
)
async def test_what_is_no_body_may_not_be_without_end(
    transport: Transport, start: bytes, more: bytes, error: type[UpstreamError]
) -> None:
    """A hundred megabytes of it are never taken."""
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(start)
        while written < 100_000_000 and not writer.is_closing():
            writer.write(more)
            await writer.drain()
            await asyncio.sleep(0)
            written += len(more)

    async with server(serve) as served:
        with pytest.raises(error):
            await collected(transport, request(served.url), Timeouts(first_byte_s=1.0))
        await served.when(lambda: served.open == 0)
    assert written < 10_000_000  # what was in the pipes


async def test_a_head_that_drips_in_does_not_keep_the_request_for_ever(transport: Transport) -> None:
    async with server(_dripping(b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n")) as served:
        with pytest.raises(UpstreamError):
            await transport.send(request(served.url), Timeouts(connect_s=0.1, first_byte_s=0.1, idle_s=5.0))


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n", CHUNKED], ids=["head", "body"])
async def test_all_of_it_has_a_time(transport: Transport, start: bytes) -> None:
    drip = b"x: 1\r\n" if start != CHUNKED else b"1\r\nx\r\n"
    async with server(_dripping(start, drip)) as served:
        with pytest.raises(UpstreamTimeout, match=r"not whole within 0\.1 s"):
            await collected(transport, request(served.url), Timeouts(total_s=0.1))


def _dripping(start: bytes, drip: bytes) -> Callable[..., object]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        for _ in range(1000):
            writer.write(drip)
            await writer.drain()
            await asyncio.sleep(0.002)

    return serve
