"""Answers kept in this process are bounded, in number, in bytes and in time."""

from __future__ import annotations

from pulse_gateway.idempotency.memory import MemoryAnswerStore
from pulse_gateway.idempotency.store import Answer, Place
from pulse_gateway.testing import FakeClock

THIS = b"\x01" * 32


def answer(size: int) -> Answer:
    return Answer(request_id="req_1", status=200, headers=(), stream=False, body=b"x" * size)


async def fill(store: MemoryAnswerStore, key: str, size: int) -> None:
    place = Place("default", "alice", key)
    assert await store.claim(place, THIS, key) is None
    assert await store.keep(place, key, answer(size))


async def found(store: MemoryAnswerStore, key: str) -> bool:
    return isinstance(await store.claim(Place("default", "alice", key), THIS, f"another {key}"), Answer)


async def test_beyond_its_bytes_the_oldest_answers_go() -> None:
    store = MemoryAnswerStore(FakeClock(), max_bytes=1000)
    for number in range(5):
        await fill(store, f"key-{number}", 300)
    assert store.bytes == 900
    assert [await found(store, f"key-{number}") for number in range(5)] == [False, False, True, True, True]


async def test_beyond_their_number_the_oldest_answers_go() -> None:
    store = MemoryAnswerStore(FakeClock(), max_answers=3)
    for number in range(5):
        await fill(store, f"key-{number}", 1)
    assert store.keys == 3


async def test_an_answer_larger_than_everything_is_not_kept() -> None:
    store = MemoryAnswerStore(FakeClock(), max_bytes=1000)
    await fill(store, "key", 1001)
    assert (store.bytes, store.keys) == (0, 0)


async def test_a_day_later_an_answer_is_gone_and_its_memory_free() -> None:
    clock = FakeClock()
    store = MemoryAnswerStore(clock)
    await fill(store, "key", 100)
    clock.advance(24 * 3600 - 1)
    assert await found(store, "key")
    clock.advance(1)
    assert not await found(store, "key")
    assert store.bytes == 0


async def test_what_runs_is_not_pushed_out_by_what_is_kept() -> None:
    store = MemoryAnswerStore(FakeClock(), max_answers=1)
    running = Place("default", "alice", "running")
    assert await store.claim(running, THIS, "me") is None
    for number in range(5):
        await fill(store, f"key-{number}", 1)
    assert await store.runs(running, "me")
