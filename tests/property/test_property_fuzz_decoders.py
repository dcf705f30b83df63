"""Whatever the bytes, every decoder reads them, or refuses them with an error that it declares, in time and memory of their size.

`make fuzz` looks further: the same decoders, guided by what they reach.
"""

from __future__ import annotations

import time
import tracemalloc
from random import Random

import pytest
from fuzz_inputs import bombs, mutated, seeds
from fuzz_targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st

_GROUPS = sorted({name.partition("/")[0] for name in TARGETS})
_SEEDS = {name: seeds(name, count=4) for name in TARGETS}
_SMALL, _LARGE = 4 * 1024, 32 * 1024  # bytes
_NOISE_S = 0.002
_MOST_GROWTH = 3.0  # times the growth of the input; what is quadratic grows eight times as much
_MOST_MEMORY = 150  # bytes for each byte of input, the objects that Python makes of JSON included


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_valid_is_read(target: str) -> None:
    for data in _SEEDS[target]:
        TARGETS[target](data)


@pytest.mark.parametrize("group", _GROUPS)
@given(data=st.data(), random=st.integers(0, 2**64).map(Random))
@settings(max_examples=200)
def test_damaged_input_is_read_or_refused(group: str, data: st.DataObject, random: Random) -> None:
    target = data.draw(st.sampled_from([name for name in TARGETS if name.startswith(f"{group}/")]))
    damaged = random.choice(_SEEDS[target])
    for _ in range(random.randint(1, 3)):
        damaged = mutated(random, damaged)
    TARGETS[target](damaged)


@pytest.mark.parametrize("group", _GROUPS)
@given(data=st.data(), garbage=st.binary(max_size=80))
@settings(max_examples=60)
def test_garbage_is_read_or_refused(group: str, data: st.DataObject, garbage: bytes) -> None:
    target = data.draw(st.sampled_from([name for name in TARGETS if name.startswith(f"{group}/")]))
    TARGETS[target](data.draw(st.sampled_from((b"", b"{", b"data: ", b"\x00\x00\x00"))) + garbage)


# Of each decoder one: the offers and errors of all vendors read JSON in the same way.
_GROWING = [
    name
    for name in TARGETS
    if name.startswith(("request/", "stream/openai.", "stream/anthropic", "stream/gemini", "stream/bedrock", "frames/"))
]


def _cost_s(target: str, data: bytes) -> float:
    began = time.process_time()
    TARGETS[target](data)
    return time.process_time() - began


@pytest.mark.parametrize("target", _GROWING)
def test_time_and_memory_are_in_proportion_to_the_input(target: str) -> None:
    for name, bomb in bombs(target).items():
        small, large = bomb(_SMALL), bomb(_LARGE)
        allowed = _MOST_GROWTH * len(large) / len(small)
        for _ in range(3):  # the machine may have been busy with something else
            base_s = max(_NOISE_S, _cost_s(target, small))
            took_s = _cost_s(target, large)
            if took_s <= allowed * base_s:
                break
        else:
            pytest.fail(f"{name}: {took_s:.3f} s for {len(large)} bytes, {base_s:.3f} s for {len(small)}")
    tracemalloc.start()
    try:
        for name, bomb in bombs(target).items():
            data = bomb(_SMALL)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            TARGETS[target](data)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before <= _MOST_MEMORY * len(data) + 100_000, name
    finally:
        tracemalloc.stop()
