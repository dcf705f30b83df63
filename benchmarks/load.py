"""A closed-loop load generator on bare sockets: `python -m benchmarks.load URL KEY REQUESTS CONNECTIONS [stream]`."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from urllib.parse import urlsplit

__all__ = ["main"]


def _request(host: str, key: str, stream: bool) -> bytes:
    fields = {
        "model": "gpt-5.2",
        "messages": [{"role": "user", "content": "What is the capital of Jordan?"}],
        "stream": stream,
    }
    body = json.dumps(fields).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    lower = head.lower()
    if b"content-length:" in lower:
        await reader.readexactly(int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]))
    else:
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    return status


async def _run(url: str, key: str, requests: int, connections: int, stream: bool) -> dict[str, float]:
    address = urlsplit(url)
    assert address.hostname and address.port
    payload = _request(address.netloc, key, stream)
    left = requests
    failed = 0
    took_ms: list[float] = []

    async def connection() -> None:
        nonlocal left, failed
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while left > 0:
            left -= 1
            begun = time.perf_counter()
            writer.write(payload)
            failed += await _read_answer(reader) != 200
            took_ms.append((time.perf_counter() - begun) * 1000)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    return {
        "requests": requests,
        "failed": failed,
        "seconds": time.perf_counter() - started,
        "p50_ms": statistics.median(took_ms),
    }


def main() -> None:
    url, key, requests, connections, *rest = sys.argv[1:]
    print(json.dumps(asyncio.run(_run(url, key, int(requests), int(connections), "stream" in rest))))


if __name__ == "__main__":
    main()
