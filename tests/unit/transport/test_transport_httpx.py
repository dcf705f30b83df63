"""What only the transport on httpx does."""

from __future__ import annotations

import asyncio

from misbehaving import QUICK, request, server

from pulse_gateway.transport.httpx_ import HttpxTransport


async def test_a_proxy_is_used_where_one_is_named() -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    transport = HttpxTransport()
    async with server(proxy) as served:
        response = await transport.send(request("http://vendor.example"), QUICK, proxy=served.url)
        await response.aclose()
        await transport.aclose()
    assert seen[0].startswith(b"POST http://vendor.example/x HTTP/1.1")
