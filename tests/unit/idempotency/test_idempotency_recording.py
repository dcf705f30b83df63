"""One writer, any number of readers: everything from the beginning, each in its own time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from math import inf

import pytest

from pulse_gateway.clock import SystemClock
from pulse_gateway.errors import IdempotencyConflict, PulseError, StoreUnavailable
from pulse_gateway.idempotency.recording import Reader, Recording
from pulse_gateway.idempotency.store import Answer
from pulse_gateway.types.usage import Outcome

COMPLETED = (Outcome.COMPLETED, None)
TURNS = 20  # of the loop: enough for whatever can happen to have happened


def begun(*, max_bytes: int = 1000) -> Recording:
    recording = Recording(max_bytes=max_bytes)
    recording.begin(request_id="req_1", status=200, headers=(), stream=True)
    return recording


def reader_of(recording: Recording, *, deadline: float = inf) -> Reader:
    def render(error: PulseError) -> bytes:
        return f"error: {error.code}\n\n".encode()

    return recording.reader(render=render, clock=SystemClock(), deadline=deadline)


async def read(reader: Reader) -> bytes:
    return b"".join([piece async for piece in reader])


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def test_a_late_reader_gets_everything_and_then_what_comes() -> None:
    recording = begun()
    early = asyncio.create_task(read(reader_of(recording)))
    await recording.append(b"one ")
    await turns()
    late = asyncio.create_task(read(reader_of(recording)))
    await turns()
    await recording.append(b"two ", COMPLETED)
    recording.end(COMPLETED)
    after = await read(reader_of(recording))
    assert await early == await late == after == recording.whole == b"one two "


async def test_a_reader_that_is_behind_gets_larger_pieces_and_the_same_bytes() -> None:
    recording = begun(max_bytes=10_000_000)
    for number in range(5000):
        await recording.append(b"data: %d and some more\n\n" % number)
    recording.end(COMPLETED)
    pieces = [piece async for piece in reader_of(recording)]
    assert b"".join(pieces) == recording.whole
    assert 1 < len(pieces) < 10
    assert max(map(len, pieces)) <= 64 * 1024


async def test_the_ending_is_known_with_the_last_item_and_told_when_all_is_settled() -> None:
    recording = begun()
    reader = reader_of(recording)
    items = aiter(reader)
    await recording.append(b"first\n\n")
    assert await anext(items) == b"first\n\n"
    assert reader.ending is None
    assert reader.farewell() == b"error: unavailable\n\n"
    await recording.append(b"last\n\n", COMPLETED)
    assert await anext(items) == b"last\n\n"
    assert reader.ending == COMPLETED
    assert reader.farewell() == b""
    end = asyncio.ensure_future(anext(items, None))
    await turns()
    assert not end.done()
    recording.end(COMPLETED)
    assert await end is None


async def test_a_reader_that_leaves_only_stops_reading() -> None:
    recording = begun()
    gone, other = reader_of(recording), reader_of(recording)
    assert gone.abandon() is True
    assert (gone.gone, gone.ending) == (True, (Outcome.CLIENT_GONE, None))
    await recording.append(b"one", COMPLETED)
    recording.end(COMPLETED)
    assert await read(other) == b"one"
    assert other.abandon() is False


@pytest.mark.parametrize("open_frame", [True, False])
async def test_a_failure_in_the_middle_is_told_to_every_reader(open_frame: bool) -> None:
    recording = begun()
    reading = [asyncio.create_task(read(reader_of(recording))) for _ in range(3)]
    await recording.append(b"one" if open_frame else b"one\n\n")
    await turns()
    recording.fail(StoreUnavailable("stopping"))
    assert {await each for each in reading} == {b"one\n\nerror: unavailable\n\n"}
    reader = reader_of(recording)
    await read(reader)
    assert reader.ending is not None and reader.ending[0] is Outcome.INTERRUPTED


async def test_what_had_its_end_before_the_failure_is_whole() -> None:
    recording = begun()
    await recording.append(b"one\n\n", COMPLETED)
    recording.fail(StoreUnavailable("stopping"))
    assert recording.failure is None
    assert await read(reader_of(recording)) == b"one\n\n"


async def test_a_failure_before_the_head_is_raised_in_whoever_waits() -> None:
    recording = Recording()
    waiting = [asyncio.create_task(recording.head()) for _ in range(3)]
    await turns()
    recording.fail(StoreUnavailable("stopping"))
    for each in waiting:
        with pytest.raises(StoreUnavailable):
            await each
    with pytest.raises(StoreUnavailable):
        await recording.head()


async def test_a_cancelled_waiter_does_not_disturb_the_others() -> None:
    recording = Recording()
    first, second = asyncio.create_task(recording.head()), asyncio.create_task(recording.head())
    await turns()
    first.cancel()
    await turns()
    recording.begin(request_id="req_1", status=200, headers=(), stream=False)
    recording.complete(b"body")
    await second
    assert recording.joined() == b"body"


async def test_a_reader_waits_no_longer_than_its_deadline() -> None:
    recording = begun()
    await recording.append(b"one\n\n")
    reader = reader_of(recording, deadline=SystemClock().monotonic() + 0.01)
    assert await read(reader) == b"one\n\nerror: upstream_timeout\n\n"
    assert reader.farewell() == b""


# ── answers that are too large ────────────────────────────────────────────────────────────────────────────────────────


async def write(recording: Recording, count: int, size: int) -> None:
    for number in range(count):
        await recording.append(b"%d" % (number % 10) * size)
    recording.end(COMPLETED)


async def test_a_slow_reader_holds_up_an_answer_only_beyond_the_bound() -> None:
    recording = begun(max_bytes=1000)
    items: AsyncIterator[bytes] = aiter(reader_of(recording))
    await recording.append(b"a" * 1000)  # within it, nobody waits for anybody
    writing = asyncio.create_task(write(recording, 30, 100))
    await turns()
    assert not writing.done()
    seen = [piece async for piece in items]
    await writing
    assert b"".join(seen) == b"a" * 1000 + b"".join(b"%d" % (number % 10) * 100 for number in range(30))
    assert recording.whole is None


async def test_the_slowest_of_several_readers_counts_until_it_leaves() -> None:
    recording = begun(max_bytes=1000)
    quick, slow = reader_of(recording), reader_of(recording)
    reading = asyncio.create_task(read(quick))
    writing = asyncio.create_task(write(recording, 50, 100))
    await turns()
    assert not writing.done()
    slow.abandon()
    await writing
    assert len(await reading) == 5000


async def test_without_a_reader_an_answer_that_is_too_large_runs_to_its_end() -> None:
    recording = begun(max_bytes=1000)
    await write(recording, 50, 100)
    assert recording.whole is None
    assert recording.joined() == b""


async def test_nobody_joins_an_answer_whose_beginning_is_forgotten() -> None:
    recording = begun(max_bytes=1000)
    await write(recording, 50, 100)
    with pytest.raises(IdempotencyConflict, match="new key"):
        reader_of(recording)


async def test_a_whole_answer_that_is_too_large_is_there_for_those_who_wait_and_for_nobody_else() -> None:
    recording = Recording(max_bytes=10)
    recording.begin(request_id="req_1", status=200, headers=(), stream=False)
    recording.complete(b"more than ten bytes")
    assert recording.joined() == b"more than ten bytes"
    assert recording.whole is None


async def test_one_item_larger_than_the_bound_still_gets_through() -> None:
    recording = begun(max_bytes=1000)
    reading = asyncio.create_task(read(reader_of(recording)))
    await recording.append(b"a" * 5000)
    await recording.append(b"b", COMPLETED)
    recording.end(COMPLETED)
    assert await reading == b"a" * 5000 + b"b"


async def test_an_answer_from_before_is_read_like_any_other() -> None:
    recording = Recording()
    headers = (("content-type", "text/event-stream"),)
    recording.replay(Answer(request_id="req_0", status=200, headers=headers, stream=True, body=b"all\n\n"))
    await recording.head()
    assert (recording.request_id, recording.headers, recording.stream) == ("req_0", headers, True)
    assert await read(reader_of(recording)) == b"all\n\n"


async def test_an_answer_that_was_not_kept_is_refused_rather_than_run_again() -> None:
    with pytest.raises(IdempotencyConflict, match="16 MiB"):
        Recording().replay(Answer(request_id="req_0", status=200, headers=(), stream=True, body=None))
