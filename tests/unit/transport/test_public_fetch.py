"""Fetching what a stranger names, from servers over real sockets that lead it astray, drip, and lie."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pulse_gateway.errors import InvalidRequest, UpstreamProtocolError
from pulse_gateway.providers.offer import Download
from pulse_gateway.transport import public_fetch
from pulse_gateway.transport.public_addresses import Allowed
from pulse_gateway.transport.public_fetch import PublicFetch
from pulse_gateway.types.http import header

CERTIFICATE = Path(__file__).parents[2] / "faults" / "localhost.pem"
Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """`serve` gets the head of each request. `heads` keeps them."""

    def __init__(self, serve: Serve) -> None:
        self.heads: list[bytes] = []
        self.port = 0
        self._serve = serve

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            await self._serve(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has had enough
        finally:
            writer.close()


@asynccontextmanager
async def server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    served = Server(serve)
    listening = await asyncio.start_server(served.accept, "127.0.0.1", 0, ssl=tls)
    served.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield served


def answer(head: str, body: bytes = b"") -> Serve:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return serve


def whole(body: bytes, kind: str = "image/png") -> Serve:
    return answer(f"HTTP/1.1 200 OK\ncontent-type: {kind}\ncontent-length: {len(body)}", body)


class Names:
    """A resolver that is told what to say, and remembers what it was asked. A name may have another address each time."""

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = {name.replace("_", "."): list(found) for name, found in addresses.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.addresses:
            return [host]
        found = self.addresses[host]
        return [found.pop(0)] if len(found) > 1 else list(found)


def fetch(port: int, names: Names | None = None, *more_ports: int, **settings: Any) -> PublicFetch:
    """Port and loopback are allowed as an intranet's would be; every other address is as strict as always."""
    settings.setdefault("allowed", Allowed(["127.0.0.1"]))
    return PublicFetch(ports=(port, *more_ports, 80, 443), resolve=names or Names(), **settings)


async def refusal(fetching: PublicFetch, url: str) -> str:
    with pytest.raises(InvalidRequest) as caught:
        await fetching(Download(url, "messages[0]"))
    assert caught.value.param == "messages[0]"
    return caught.value.message


async def test_a_file_comes_with_what_its_server_says_it_is_and_nothing_of_ours_goes_along() -> None:
    async with server(whole(b"PNG")) as there:
        got = await fetch(there.port)(Download(f"http://127.0.0.1:{there.port}/a%20b?c=d#e", "messages[0]"))
    assert (got.status, header(got.headers, "content-type"), got.body) == (200, "image/png", b"PNG")
    first, *lines = there.heads[0].decode().rstrip().split("\r\n")
    assert first == "GET /a%20b?c=d HTTP/1.1"
    names = {line.partition(":")[0].lower() for line in lines}
    assert names == {"host", "accept", "accept-encoding", "user-agent"}


async def test_the_connection_goes_to_the_address_that_was_judged_under_the_name_that_was_asked_for() -> None:
    """A name that has a public address when it is looked at and a private one a moment later is only looked at once."""
    names = Names(pictures_test=["127.0.0.1", "10.0.0.1"])
    async with server(whole(b"x")) as there:
        await fetch(there.port, names)(Download(f"http://pictures.test:{there.port}/", "p"))
    assert names.asked == ["pictures.test"]
    assert f"host: pictures.test:{there.port}".encode() in there.heads[0].lower()


async def test_a_certificate_is_checked_against_the_name() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    names = Names(localhost=["127.0.0.1"], other_test=["127.0.0.1"])
    async with server(whole(b"safe"), tls) as there:
        fetching = fetch(there.port, names, verify=trusting)
        got = await fetching(Download(f"https://localhost:{there.port}/", "p"))
        assert got.body == b"safe"
        assert "no connection to other.test" in await refusal(fetching, f"https://other.test:{there.port}/")


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["127.0.0.1", "192.168.0.1"], ["169.254.169.254"], ["::1"]])
async def test_a_name_with_any_address_that_is_not_public_is_refused(addresses: list[str]) -> None:
    async def resolving(host: str, port: int) -> list[str]:
        return ["8.8.8.8", *addresses]

    fetching = PublicFetch(resolve=resolving)
    assert "only public addresses" in await refusal(fetching, "http://metadata.google.internal/computeMetadata/v1/")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://[::1]/",
        "http://[::ffff:169.254.169.254]/latest/meta-data/", "http://169.254.169.254/", "http://localhost/", "http://0/",
    ],
)  # fmt: skip
async def test_no_spelling_of_an_inner_address_gets_through_the_system_resolver(url: str) -> None:
    message = await refusal(PublicFetch(), url)
    assert "only public addresses" in message or "is not known" in message


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://8.8.8.8/a", "http and https"), ("file:///etc/passwd", "http and https"), ("gopher://8.8.8.8/", "http and https"),
        ("http://", "can be read"), ("http:///a", "can be read"), ("http://[", "is not known"), ("a\x00b", "can be read"), ("http://0177.0.0.1/", "can be read"),
        ("http://user:pass@8.8.8.8/", "no user"), ("http://8.8.8.8:22/", "port 22"), ("https://8.8.8.8:6379/", "port 6379"),
    ],
)  # fmt: skip
async def test_only_plain_addresses_of_the_web_are_taken(url: str, told: str) -> None:
    assert told in await refusal(PublicFetch(), url)


async def test_a_name_that_nobody_knows_is_the_callers_mistake() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("Name or service not known")

    assert "no-such.test is not known" in await refusal(PublicFetch(resolve=unknown), "http://no-such.test/")


async def test_each_redirect_is_judged_like_the_first_address() -> None:
    async with server(whole(b"secret")) as inner:
        for target in (
            f"http://10.0.0.1:{inner.port}/",
            f"//inner.test:{inner.port}/",
            "file:///etc/passwd",
            "http://8.8.8.8:22/",
        ):
            leading = answer(f"HTTP/1.1 302 Found\nlocation: {target}\ncontent-length: 0")
            async with server(leading) as outer:
                names = Names(outer_test=["127.0.0.1"], inner_test=["10.0.0.1"])
                fetching = fetch(outer.port, names, inner.port)
                await refusal(fetching, f"http://outer.test:{outer.port}/")
        assert inner.heads == []


async def test_a_redirect_within_the_bounds_is_followed_and_too_many_are_not() -> None:
    async def serve(head: bytes, writer: asyncio.StreamWriter) -> None:
        left = int(head.split()[1].lstrip(b"/"))
        await (whole(b"done") if not left else answer(f"HTTP/1.1 307 x\nlocation: /{left - 1}\ncontent-length: 0"))(
            head, writer
        )

    async with server(serve) as there:
        fetching = fetch(there.port)
        got = await fetching(Download(f"http://127.0.0.1:{there.port}/3", "p"))
        assert got.body == b"done"
        assert "more than 3 times" in await refusal(fetching, f"http://127.0.0.1:{there.port}/4")


@pytest.mark.parametrize(
    ("serve", "told"),
    [
        (answer("HTTP/1.1 404 Not Found\ncontent-length: 0"), "status 404"),
        (answer("HTTP/1.1 206 Partial Content\ncontent-length: 1", b"x"), "status 206"),
        (answer("HTTP/1.1 302 Found\ncontent-length: 0"), "leads nowhere"),
        (answer("HTTP/1.1 302 Found\nlocation: http://0177.0.0.1/\ncontent-length: 0"), "no address"),
        (answer("HTTP/1.1 200 OK\ncontent-length: 2000000"), "exceeds 1000 bytes"),
        (answer("HTTP/1.1 200 OK", b"x" * 5000), "exceeds 1000 bytes"),
        (answer("HTTP/1.1 200 OK\ntransfer-encoding: chunked", b"7d0\r\n" + b"x" * 2000), "exceeds 1000 bytes"),
        (answer("HTTP/1.1 200 OK\ncontent-length: 500", b"short"), "breaks off"),
        (answer("HTTP/1.1 200 OK\ntransfer-encoding: chunked", b"5\r\nsh"), "breaks off"),
        (answer("HTTP/1.1 200 OK\ncontent-encoding: gzip\ncontent-length: 3", b"zip"), "compressed"),
        (answer("SSH-2.0-OpenSSH"), "not HTTP"),
        (answer("HTTP/1.1 200 OK\nx: " + "y" * 200_000), "not HTTP"),
        (answer(""), "not HTTP"),
    ],
)
async def test_what_is_no_whole_file_within_bounds_is_refused_by_what_is_wrong(serve: Serve, told: str) -> None:
    async with server(serve) as there:
        assert told in await refusal(fetch(there.port, max_bytes=1000), f"http://127.0.0.1:{there.port}/")


async def test_a_server_that_drips_is_left_when_the_time_is_over() -> None:
    gone = asyncio.Event()

    async def drip(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            gone.set()

    async with server(drip) as there:
        assert "within 0.2 s" in await refusal(fetch(there.port, timeout_s=0.2), f"http://127.0.0.1:{there.port}/")
        await asyncio.wait_for(gone.wait(), 5)


async def test_one_address_that_cannot_be_connected_to_is_passed_over_for_the_next() -> None:
    async with server(whole(b"second")) as there:
        gone = await asyncio.start_server(lambda r, w: None, "127.0.0.2", there.port)
        gone.close()
        await gone.wait_closed()

        async def resolving(host: str, port: int) -> list[str]:
            return ["127.0.0.2", "127.0.0.1"]

        fetching = PublicFetch(ports=(there.port,), resolve=resolving, allowed=Allowed(["127.0.0.0/8"]))
        assert (await fetching(Download(f"http://both.test:{there.port}/", "p"))).body == b"second"


async def test_without_fetching_a_clients_url_is_refused_and_a_vendors_still_had() -> None:
    async with server(whole(b"made")) as there:
        fetching = fetch(there.port, enabled=False, max_bytes=2)
        assert "fetches no addresses" in await refusal(fetching, f"http://127.0.0.1:{there.port}/")
        assert (await fetching(Download(f"http://127.0.0.1:{there.port}/"))).body == b"made"


async def test_a_vendors_file_that_cannot_be_had_is_the_vendors_fault_and_bound_by_its_own_size() -> None:
    async with server(whole(b"much too much")) as there:
        with pytest.raises(UpstreamProtocolError, match="exceeds 4 bytes"):
            await fetch(there.port)(Download(f"http://127.0.0.1:{there.port}/", max_bytes=4))
        with pytest.raises(UpstreamProtocolError, match="only public addresses"):
            await PublicFetch()(Download("http://127.0.0.1/"))


async def test_names_that_are_slow_to_resolve_keep_nobody_elses_work_from_being_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        go_on.wait(20.0)
        raise OSError("nobody answers")

    with monkeypatch.context() as patched:
        patched.setattr(public_fetch.socket, "getaddrinfo", slow)
        asked = [asyncio.create_task(public_fetch.resolve(f"slow-{number}.example", 443)) for number in range(100)]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(5):
                assert await asyncio.to_thread(lambda: "done") == "done"
        finally:
            go_on.set()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, OSError) for each in outcomes)
