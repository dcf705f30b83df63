"""Which of a name's addresses our own HTTP client connects to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest
from misbehaving import CHUNKED, QUICK, read_request, request, server

from pulse_gateway.errors import (
    UpstreamUnreachable,
)
from pulse_gateway.transport.http1.client import Http1Transport
from pulse_gateway.transport.http1.dns import Addresses
from pulse_gateway.types.http import Timeouts

Make = Callable[..., Http1Transport]


async def holding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(CHUNKED)
    await reader.read()


async def test_connections_spread_over_all_addresses_of_a_name(make_http1: Make) -> None:
    asked = 0

    async def resolve(host: str, port: int) -> list[str]:
        nonlocal asked
        asked += 1
        assert host == "vendor.example"
        return ["127.0.0.1", "127.0.0.2", "127.0.0.3"]

    http1 = make_http1(resolve=resolve)
    async with server(holding, host="0.0.0.0") as served:
        url = f"http://vendor.example:{served.port}"
        held = await asyncio.gather(*(http1.send(request(url), QUICK) for _ in range(9)))
        for each in held:
            await each.aclose()
    assert asked == 1  # all wanted it at once, and it is remembered
    assert sorted(served.local_addresses) == ["127.0.0.1"] * 3 + ["127.0.0.2"] * 3 + ["127.0.0.3"] * 3


async def test_an_address_that_refuses_is_passed_over_and_then_tried_last(make_http1: Make) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["::1", "127.0.0.2", "127.0.0.1"]

    http1 = make_http1(resolve=resolve)
    async with server(holding) as served:
        for _ in range(4):
            response = await http1.send(request(f"http://vendor.example:{served.port}"), QUICK)
            await response.aclose()
    assert served.accepted == 4
    with pytest.raises(UpstreamUnreachable):
        await http1.send(request(f"http://vendor.example:{served.port}"), QUICK)


async def test_an_address_that_does_not_answer_is_not_waited_for_alone(make_http1: Make) -> None:
    """Its queue of connections to be taken is full, so that the next is neither taken nor refused."""

    async def both(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async def deaf_alone(host: str, port: int) -> list[str]:
        return ["127.0.0.2"]

    async with server(holding) as served:
        url = f"http://vendor.example:{served.port}"
        with socket.create_server(("127.0.0.2", served.port), backlog=0), contextlib.ExitStack() as filling:
            for _ in range(4):
                waiting = filling.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(("127.0.0.2", served.port))
            http1 = make_http1(resolve=both, stagger_s=0.01)
            response = await http1.send(request(url), Timeouts(connect_s=2.0))
            await response.aclose()
            with pytest.raises(UpstreamUnreachable, match=r"no connection within 0\.05 s"):
                await make_http1(resolve=deaf_alone).send(request(url), Timeouts(connect_s=0.05))


async def test_a_name_is_looked_up_again_after_its_time_and_serves_on_while_nobody_answers() -> None:
    answers: list[list[str] | OSError] = [["10.0.0.1"], ["10.0.0.2"], OSError("away"), []]

    async def resolve(host: str, port: int) -> list[str]:
        found = answers.pop(0)
        if isinstance(found, OSError):
            raise found
        return found

    addresses = Addresses(resolve, ttl_s=-1.0)
    assert [await addresses.of("a.example", 1) for _ in range(4)] == [
        ["10.0.0.1"],
        ["10.0.0.2"],
        ["10.0.0.2"],
        ["10.0.0.2"],
    ]
    assert await addresses.of("::1", 1) == ["::1"]
    answers.append(OSError("away"))
    with pytest.raises(OSError, match="away"):
        await addresses.of("b.example", 1)


async def test_families_take_turns_and_so_do_the_addresses_of_each() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3"]

    addresses = Addresses(resolve)
    first, second = await addresses.of("a.example", 1), await addresses.of("a.example", 1)
    assert first == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"]
    assert second == ["2001:db8::2", "192.0.2.2", "2001:db8::1", "192.0.2.3", "192.0.2.1"]
    addresses.unreachable("a.example", 1, "2001:db8::1")
    assert (await addresses.of("a.example", 1))[-1] == "2001:db8::1"


async def test_whoever_gives_up_a_look_up_does_not_end_it_for_others() -> None:
    gate = asyncio.Event()

    async def resolve(host: str, port: int) -> list[str]:
        await gate.wait()
        return ["10.0.0.1"]

    addresses = Addresses(resolve)
    asking = [asyncio.create_task(addresses.of("a.example", 1)) for _ in range(2)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    assert await asking[1] == ["10.0.0.1"]
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
