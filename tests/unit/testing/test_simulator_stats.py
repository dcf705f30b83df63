"""The books: what a vendor would put on its bill."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import msgspec
import pytest
from simulator_wire import Wire

from pulse_gateway.testing.simulator import Billed, Record, Simulator, Stats

USER: Any = [{"role": "user", "content": "x" * 40}]  # ten tokens
WHOLE: Any = {"model": "gpt-4.1", "messages": USER}
STREAM: Any = {**WHOLE, "stream": True}


async def settled(simulator: Simulator) -> Record:
    """The last request, once it is over."""
    async with asyncio.timeout(5):
        while simulator.stats().requests[-1].outcome == "open":
            await asyncio.sleep(0)
    return simulator.stats().requests[-1]


async def test_a_completed_answer_is_owed_in_full_and_class_by_class(wire: Wire, simulator: Simulator) -> None:
    spec = "cached=3,cache-write=2,reasoning=11,tokens=30"
    for stream in (False, True):
        response = await wire.openai({**WHOLE, "stream": stream}, x_simulate=spec)
        record = await settled(simulator)
        assert record.billed == Billed(input=5, cached=3, cache_write=2, output=30, reasoning=11)
        assert (record.outcome, record.status, record.stream) == ("completed", 200, stream)
        assert record.id == response.headers["x-request-id"]
        assert record.chunks == (response.text.count("\n\n") if stream else 1)


async def test_every_vendor_owes_the_same_for_the_same(wire: Wire, simulator: Simulator) -> None:
    spec = "cached=3,reasoning=11,tokens=30"
    for stream in (False, True):
        await wire.openai({**WHOLE, "stream": stream}, x_simulate=spec)
        body = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": USER, "stream": stream}
        await wire.anthropic(body, x_simulate=spec)
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        await wire.gemini("gemini-2.5-flash", {"contents": [{"parts": [{"text": "x" * 40}]}]}, method, x_simulate=spec)
    await settled(simulator)
    stats = simulator.stats()
    assert set(stats.providers) == {"openai", "anthropic", "gemini"}
    for counts in stats.providers.values():
        assert counts.billed == Billed(input=14, cached=6, output=60, reasoning=22)
        assert (counts.requests, counts.streams, counts.completed, counts.open) == (2, 1, 2, 0)
        assert counts.by_status == {"200": 2}


async def test_errors_are_free(wire: Wire, simulator: Simulator) -> None:
    await wire.openai({**WHOLE, "model": "gpt-4.1+status=429"})
    await wire.openai({**WHOLE, "frobnicate": 1})
    counts = simulator.stats().providers["openai"]
    assert counts.billed.total == 0
    assert (counts.refused, counts.by_status) == (2, {"429": 1, "400": 1})
    assert [record.model for record in simulator.stats().requests] == ["gpt-4.1+status=429", ""]


async def test_a_client_that_leaves_owes_the_input_and_what_was_produced(simulator: Simulator) -> None:
    """Eight pieces of four tokens each; the client reads the role and three of them."""
    seen = b""
    async with httpx.AsyncClient(base_url=simulator.url) as client:
        headers = {"authorization": "Bearer k", "x-simulate": "tokens=32,chunks=8,chunk-delay=0.03,reasoning=5"}
        async with client.stream("POST", "/v1/chat/completions", json=STREAM, headers=headers) as response:
            async for data in response.aiter_bytes():
                seen += data
                if seen.count(b"\n\n") >= 4:
                    break
    record = await settled(simulator)
    assert record.outcome == "aborted"
    assert record.chunks in {4, 5}  # one more may have been under way
    produced = b"".join(
        json.loads(frame.removeprefix(b"data: "))["choices"][0]["delta"]["content"].encode()
        for frame in seen.split(b"\n\n")[:4]
    )
    assert record.billed.output >= -(-len(produced) // 4)
    assert record.billed.output <= -(-len(produced) // 4) + 5
    assert (record.billed.input, record.billed.reasoning) == (10, 5)
    assert simulator.stats().providers["openai"].aborted == 1


async def test_a_client_that_leaves_before_the_head_owes_nothing(simulator: Simulator) -> None:
    async with httpx.AsyncClient(base_url=simulator.url, timeout=0.1) as client:
        headers = {"authorization": "Bearer k", "x-simulate": "delay=30"}
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/chat/completions", json=WHOLE, headers=headers)
    record = await settled(simulator)
    assert (record.outcome, record.status, record.billed.total) == ("aborted", None, 0)


async def test_a_cut_answer_owes_what_was_produced(wire: Wire, simulator: Simulator) -> None:
    """The role and three pieces of four tokens are five frames less than all."""
    response = await wire.openai(STREAM, x_simulate="tokens=32,chunks=8,cut=4")
    record = await settled(simulator)
    text = "".join(
        json.loads(frame.removeprefix("data: "))["choices"][0]["delta"]["content"]
        for frame in response.text.split("\n\n")[:4]
    )
    assert record.outcome == "faulted"
    assert record.billed == Billed(input=10, output=-(-len(text.encode()) // 4))
    assert record.chunks == 4


async def test_an_error_event_owes_what_came_before_it(wire: Wire, simulator: Simulator) -> None:
    await wire.openai(STREAM, x_simulate="tokens=32,chunks=8,cut=4")
    cut = await settled(simulator)
    await wire.openai(STREAM, x_simulate="tokens=32,chunks=8,error=4")
    failed = await settled(simulator)
    assert (failed.outcome, failed.billed) == ("faulted", cut.billed)


async def test_a_missing_end_mark_and_a_wrong_length_change_no_bill(wire: Wire, simulator: Simulator) -> None:
    await wire.openai(STREAM, x_simulate="tokens=32,no-done,no-usage")
    assert (await settled(simulator)).billed == Billed(input=10, output=32)
    with pytest.raises(httpx.RemoteProtocolError):
        await wire.openai(WHOLE, x_simulate="tokens=32,wrong-length")
    assert (await settled(simulator)).billed == Billed(input=10, output=32)


async def test_the_callers_ids_are_kept(wire: Wire, simulator: Simulator) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await wire.openai(WHOLE, x_request_id="mine", traceparent=trace)
    record = simulator.stats().requests[-1]
    assert (record.caller_request_id, record.traceparent) == ("mine", trace)


async def test_the_page_shows_what_the_library_shows_and_can_be_cleared(wire: Wire, simulator: Simulator) -> None:
    await wire.openai(WHOLE)
    await wire.openai({**WHOLE, "model": "gpt-5.2"})
    page = await wire.get("/_stats")
    assert msgspec.json.decode(page.content, type=Stats) == simulator.stats()
    assert set(page.json()["providers"]["openai"]["models"]) == {"gpt-4.1", "gpt-5.2"}
    assert (await wire.post("/_reset")).status_code == 200
    assert simulator.stats().providers == {}
    assert simulator.stats().requests == []
    assert (await wire.get("/_reset")).status_code == 405


async def test_a_snapshot_does_not_move(wire: Wire, simulator: Simulator) -> None:
    await wire.openai(WHOLE)
    before = simulator.stats()
    await wire.openai(WHOLE)
    assert before.providers["openai"].requests == 1
    assert len(before.requests) == 1


async def test_open_requests_are_counted(simulator: Simulator) -> None:
    async with httpx.AsyncClient(base_url=simulator.url) as client:
        headers = {"authorization": "Bearer k", "x-simulate": "stall=2"}
        async with client.stream("POST", "/v1/chat/completions", json=STREAM, headers=headers):
            assert simulator.stats().providers["openai"].open == 1
    await settled(simulator)
    assert simulator.stats().providers["openai"].open == 0
