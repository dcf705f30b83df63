"""Prepared calls are to the byte those that the client would pack of their words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.ids import new_entry_id
from pulse_gateway.limits.asks import asks_of, holds_of
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.packed import ID_CHARACTERS
from pulse_gateway.limits.scripts import Grant, Scripts, room_of
from pulse_gateway.limits.tally import Charges, Tally
from pulse_gateway.testing.clock import FakeClock
from pulse_gateway.transport.redis import RedisClient
from pulse_gateway.transport.redis_calls import Call, Script, pack

caps = st.none() | st.integers(0, 10**15)
charges = st.lists(
    st.builds(
        Charge,
        account=st.sampled_from(["ada", "key/k1", "tenant/t", "u%20v/model/m"]),
        kind=st.sampled_from(["requests", "tokens", "cost_nano_usd", "concurrency"]),
        amount=st.just(1),
        cap=caps,
        window_s=st.sampled_from([None, 1.0, 60.0]),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda charge: (charge.account, charge.kind, charge.window_s if charge.kind != "concurrency" else None),
)


class Written(RedisClient):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        self.calls.append(pack(("EVALSHA", script.sha1, len(keys), *keys, *args)))

    def run_packed(self, script: Script, key: str, packed: bytes) -> Any:
        self.calls.append(packed)


@settings(max_examples=200, deadline=None)
@given(
    asked=charges,
    tokens=st.sampled_from([0, 1, 999, 10**12]),
    cost=st.sampled_from([0, 7, 10**15]),
    used=st.sampled_from([0, 3, 10**9]),
    prefix=st.sampled_from(["pulse", "größer"]),
)
def test_a_prepared_call_is_to_the_byte_what_its_words_are_packed_to(
    asked: list[Charge], tokens: int, cost: int, used: int, prefix: str
) -> None:
    redis = Written()
    scripts, room = Scripts(redis, FakeClock()), room_of(prefix, "acme")
    month = scripts.month
    tally = Tally(asked)
    for _ in range(2):  # the second call finds what the first has prepared
        charged = Charges(tally, tokens, cost)
        counted = tally.counted(prefix, "acme", month.period)
        if counted is None:
            return
        anew, permit_id = asks_of(room.prefix, list(charged), month.period), new_entry_id()
        grants = (
            Grant(room, permit_id, month, counted.asks(charged), "", counted),
            Grant(room, permit_id, month, anew, holds_of(anew)),
        )
        for grant in grants:
            grant.granted_us = 1_790_000_000_123_456
            actual = [used if ask.kind != "requests" else 0 for ask in grant.asks]
            cast(Any, scripts.acquire)(grant, 60_000_000, permit_id)
            cast(Any, scripts.settle)(grant, actual)
            assert grant.holds == holds_of(grant.asks)
        assert redis.calls[-4] == redis.calls[-2]
        assert redis.calls[-3] == redis.calls[-1]


def test_ids_of_permits_have_the_length_that_is_packed() -> None:
    assert len(new_entry_id()) == ID_CHARACTERS


@pytest.mark.parametrize("asking", [False, True])
async def test_a_script_that_the_server_does_not_know_is_called_with_its_source_and_the_same_words(
    asking: bool,
) -> None:
    script = Script("any", "return {KEYS[1], ARGV[1]} -- ü\n")
    words = (2, "{t}:a", "{t}:b", "EVALSHA", 5, "ü\r\n$7\r\nEVALSHA\r\n")
    call = Call(pack(("EVALSHA", script.sha1, *words)), asyncio.get_running_loop().create_future(), 0.0, script)
    before = b""
    if asking:
        call.go_elsewhere(asking=True)
        before = pack(("ASKING",))
    call.say_the_source()
    assert call.packed == before + pack(("EVAL", script.source, *words))
    assert (call.script, call.skips) == (None, int(asking))
