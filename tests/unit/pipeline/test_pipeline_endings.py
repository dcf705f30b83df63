"""How exchanges and streams end: once, in order, whatever fails on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from pulse_gateway.errors import PulseError, RateLimited
from pulse_gateway.pipeline.exchange import Exchange, Finalizer, Inbound
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.stream import Drains, StreamBody
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.testing import FakeClock
from pulse_gateway.types.usage import Outcome
from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.registry import codec

DIALECT = "openai.chat"


def frame(text: str, finish: str | None = None) -> bytes:
    stop = "null" if finish is None else f'"{finish}"'
    head = '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,'
    return f'data: {head}"delta":{{"content":"{text}"}},"finish_reason":{stop}}}]}}\n\n'.encode()


DONE = b"data: [DONE]\n\n"


class Upstream:
    """Chunks that come when they are let go."""

    def __init__(self) -> None:
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, *chunks: bytes | None) -> None:
        for chunk in chunks:
            self._chunks.put_nowait(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk


def body_of(
    upstream: Upstream, clock: FakeClock, *, drains: Drains | None = None, may_drain: bool = False
) -> StreamBody[bytes]:
    client = codec(DIALECT)
    exchange = Exchange(Inbound(dialect=DIALECT), client, clock.monotonic())
    return StreamBody(
        exchange,
        aiter(upstream),
        Passthrough(client, "m"),
        [],
        window=None,
        clock=clock,
        drains=drains or Drains(),
        may_drain=may_drain,
        idle_s=30.0,
        mark=lambda: None,
        settle=lambda outcome, error: None,
    )


async def test_finalizers_run_last_in_first_out_and_once(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange(Inbound(dialect=DIALECT), codec(DIALECT), 0.0)
    order: list[str] = []

    def note(name: str, *, fails: bool = False) -> None:
        async def finalizer(closed: Exchange) -> None:
            order.append(name)
            if fails:
                raise RuntimeError("broken ending")

        exchange.defer(finalizer)

    note("report")
    note("settle", fails=True)
    note("record")
    with caplog.at_level(logging.ERROR, "pulse_gateway"):
        await exchange.close(Outcome.COMPLETED)
        await exchange.close(Outcome.FAILED, RateLimited("late"))
    assert order == ["record", "settle", "report"]
    assert exchange.outcome is Outcome.COMPLETED
    assert "a finalizer failed" in caplog.text


async def test_what_need_not_wait_is_over_before_anything_is_awaited(caplog: pytest.LogCaptureFixture) -> None:
    order: list[str] = []

    def note(name: str) -> Finalizer:
        return lambda _: order.append(name)

    async def waits(_: Exchange) -> None:
        order.append("begins")
        await asyncio.sleep(0)
        order.append("ends")

    def fails(_: Exchange) -> None:
        raise RuntimeError("broken ending")

    plain = Exchange(Inbound(dialect=DIALECT), codec(DIALECT), 0.0)
    for finalizer in (note("report"), fails, note("settle")):
        plain.defer(finalizer)
    with caplog.at_level(logging.ERROR, "pulse_gateway"):
        assert plain.end(Outcome.COMPLETED) is None
    assert order == ["settle", "report"]
    assert "a finalizer failed" in caplog.text

    order.clear()
    mixed = Exchange(Inbound(dialect=DIALECT), codec(DIALECT), 0.0)
    for finalizer in (note("report"), waits, fails, note("record")):
        mixed.defer(finalizer)
    rest = mixed.end(Outcome.COMPLETED)
    assert rest is not None
    assert order == ["record"]
    assert mixed.end(Outcome.FAILED) is None  # it has ended, though not all of it is over
    await rest
    assert order == ["record", "begins", "ends", "report"]


async def test_a_whole_stream_is_completed() -> None:
    upstream, clock = Upstream(), FakeClock()
    upstream.send(frame("hello"), frame("", "stop") + DONE, None)
    body = body_of(upstream, clock)
    assert b"".join([item async for item in body]) == frame("hello") + frame("", "stop") + DONE
    assert body.ending == (Outcome.COMPLETED, None)


async def test_a_stream_that_stops_short_ends_in_an_error_event() -> None:
    upstream, clock = Upstream(), FakeClock()
    upstream.send(frame("hello"), None)
    body = body_of(upstream, clock)
    items = [item async for item in body]
    assert items[0] == frame("hello")
    assert b"upstream_interrupted" in items[-1]
    assert body.ending is not None and body.ending[0] is Outcome.INTERRUPTED


async def test_half_an_event_is_never_forwarded() -> None:
    upstream, clock = Upstream(), FakeClock()
    whole = frame("hello")
    upstream.send(whole + frame("never seen whole")[:40], None)
    items = [item async for item in body_of(upstream, clock)]
    assert items[0] == whole
    assert b"never seen" not in b"".join(items)


async def test_a_last_event_without_its_blank_line_does_not_swallow_the_error_after_it() -> None:
    upstream, clock = Upstream(), FakeClock()
    upstream.send(frame("hello").rstrip(b"\n"), None)
    joined = b"".join([item async for item in body_of(upstream, clock)])
    assert b'}\n\ndata: {"error"' in joined


async def test_without_draining_a_client_that_left_ends_the_stream() -> None:
    upstream, clock = Upstream(), FakeClock()
    body = body_of(upstream, clock)
    assert body.abandon() is True  # the task that iterates may be cancelled
    assert body.ending == (Outcome.CLIENT_GONE, None)


async def test_draining_reads_on_and_gives_nothing_out() -> None:
    upstream, clock, drains = Upstream(), FakeClock(), Drains(at_once=1)
    body = body_of(upstream, clock, drains=drains, may_drain=True)
    upstream.send(frame("one"))
    items = aiter(body)
    assert await anext(items) == frame("one")
    assert body.abandon() is False
    assert drains.free == 0
    upstream.send(frame("two"), frame("", "stop") + DONE, None)
    assert [item async for item in items] == []
    assert body.ending == (Outcome.CLIENT_GONE, None)
    assert drains.free == 1


async def test_only_so_many_streams_are_drained_at_once() -> None:
    clock, drains = FakeClock(), Drains(at_once=1)
    first = body_of(Upstream(), clock, drains=drains, may_drain=True)
    second = body_of(Upstream(), clock, drains=drains, may_drain=True)
    assert first.abandon() is False
    assert second.abandon() is True


async def test_draining_ends_in_time() -> None:
    upstream, clock, drains = Upstream(), FakeClock(), Drains(seconds=30)
    body = body_of(upstream, clock, drains=drains, may_drain=True)
    upstream.send(frame("one"))
    items = aiter(body)
    await anext(items)
    body.abandon()
    clock.advance(31)
    upstream.send(frame("two"))
    assert [item async for item in items] == []
    assert body.ending is not None and body.ending[0] is Outcome.CLIENT_GONE
    assert drains.free == 100


async def test_the_farewell_is_an_error_event_until_the_stream_is_whole() -> None:
    upstream, clock = Upstream(), FakeClock()
    body = body_of(upstream, clock)
    assert b'"unavailable"' in body.farewell()
    upstream.send(frame("", "stop") + DONE, None)
    assert [item async for item in body]
    assert body.farewell() == b""


async def test_the_supervisor_logs_what_fails_and_waits_for_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor()
    done: list[str] = []

    async def fails() -> None:
        raise RuntimeError("in the background")

    async def works() -> None:
        await asyncio.sleep(0)
        done.append("works")

    with caplog.at_level(logging.ERROR, "pulse_gateway"):
        supervisor.spawn(fails())
        supervisor.spawn(works())
        await supervisor.drain(5)
    assert done == ["works"]
    assert "a background task failed" in caplog.text
    assert len(supervisor) == 0


async def test_the_supervisor_does_not_wait_for_ever() -> None:
    supervisor = Supervisor()
    task = supervisor.spawn(asyncio.Event().wait())
    await supervisor.drain(0.01)
    assert task.cancelled()


async def test_a_stream_whose_end_waits_for_nothing_is_settled_as_it_is_left() -> None:
    settled: list[Outcome] = []
    supervisor = Supervisor()
    reply = Reply(200, [], stream=body_of(Upstream(), FakeClock()))

    def close(outcome: Outcome, error: PulseError | None) -> None:
        settled.append(outcome)
        assert len(supervisor) == 0

    reply.settle_with(supervisor, close)
    async with reply:
        pass
    assert settled == [Outcome.CANCELLED]


async def test_a_stream_whose_end_waits_is_settled_on_a_task_that_the_leaving_one_cannot_take_along() -> None:
    settled: list[Outcome] = []
    supervisor, reached, go = Supervisor(), asyncio.Event(), asyncio.Event()
    reply = Reply(200, [], stream=body_of(Upstream(), FakeClock()))

    async def close(outcome: Outcome, error: PulseError | None) -> None:
        reached.set()
        await go.wait()
        settled.append(outcome)

    reply.settle_with(supervisor, close)

    async def leave() -> None:
        async with reply:
            pass

    leaving = asyncio.create_task(leave())
    await reached.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go.set()
    await supervisor.drain(1.0)
    assert settled == [Outcome.CANCELLED]
