"""The scripts on a real server and their twin in Python: the same answers, and the same state, for random programs (RL-8, QL-2).

The server runs the files themselves; only its clock is handed in: where a script asks for `TIME`, it reads the program's clock.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import settings

from limits_programs import Difference, Program
from limits_scripts import SOURCES, ProgramServer
from valkey_server import ValkeyProcess, cluster

PROGRAMS, STEPS, AT_ONCE = 2_000, 30, 25
FIRST = (
    0 if settings.default.derandomize else random.SystemRandom().randrange(10**9)
)  # `--hypothesis-profile=explore` draws others


@pytest.fixture(scope="module")
def process() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


def test_the_scripts_and_their_twin_agree_in_two_thousand_random_programs(process: ValkeyProcess) -> None:
    server = ProgramServer(process, SOURCES)
    for begin in range(FIRST, FIRST + PROGRAMS, AT_ONCE):
        server.run([Program(seed).run(STEPS) for seed in range(begin, begin + AT_ONCE)])


def test_they_agree_on_a_node_of_a_cluster_too() -> None:
    """Every key that a script touches, also one that it finds in a hold, is in the slot of its tenant."""
    with cluster(nodes=1) as [node]:
        ProgramServer(node, SOURCES).run([Program(seed).run(STEPS) for seed in range(40)])


# ── a suite that stays green with one of these in place is not finished ───────────────────────────────────────────────

MUTANTS = {
    "a window ends a microsecond early": ("acquire_v1", "older(key, length, now - window)", "older(key, length, now - window + 1)"),
    "a window ends a microsecond late": ("acquire_v1", "older(key, length, now - window)", "older(key, length, now - window - 1)"),
    "a slice ends a microsecond early": ("acquire_v1", "if left > 0 and amounts", "if left > 1 and amounts"),
    "a clock that steps back is believed": ("acquire_v1", "if newest[i] > now then", "if false then"),
    "a clock that steps back is believed by slices": ("acquire_v1", "if number * width > now then", "if false then"),
    "the window is cleared by looking": ("acquire_v1", "local used = length - expired\n", "local used = length - expired\n if expired > 0 then call('LTRIM', key, 0, used - 1) length, expired = used, 0 end\n"),
    "a refusal takes a place": ("acquire_v1", "if reply[1] ~= 0 or permit == ''", "if reply[1] == 1 and ARGV[6] == 'l' then call('LPUSH', KEYS[3], now) end\nif reply[1] ~= 0 or permit == ''"),
    "a cold counter grants": ("acquire_v1", "if not have[1] then return -1, 0, 0, 0 end", "if not have[1] then have[1] = 0 end"),
    "holds are not looked at": ("acquire_v1", "amount <= cap - used - held", "amount <= cap - used"),
    "the month is not looked at": ("acquire_v1", "if clock < tonumber(ARGV[3]) or clock >= tonumber(ARGV[4])", "if clock < tonumber(ARGV[3])"),
    "a permit is granted twice": ("acquire_v1", "if permit ~= '' and call('HEXISTS', KEYS[2], permit) == 1", "if false"),
    "the dead keep their places": ("acquire_v1", "and swept == 8 and sweep(512) > 0", "and false"),
    "an expired permit gives back twice": ("acquire_v1", "expired[#expired + 2] = ids[n], 'X'", "expired[#expired + 2] = ids[n], held"),
    "a log lives for ever": ("acquire_v1", "    call('PEXPIRE', key, math.ceil((window + math.min(now - clock, window)) / 1000) + 1000)\n", ""),
    "buckets live for ever": ("acquire_v1", "    call('PEXPIRE', key, math.ceil((window + width + math.min(now - clock, window)) / 1000) + 1000)\n", ""),
    "running calls live for ever": ("acquire_v1", "call('SET', key, reply[at], 'PX', 172800000)", "call('SET', key, reply[at])"),
    "leases live for ever": ("acquire_v1", "call('PEXPIRE', KEYS[1], 172800000)\n", ""),
    "what is given back loses its time to live": ("acquire_v1", "call('SET', key, running - amount, 'KEEPTTL')", "call('SET', key, running - amount)"),
    "a settlement counts again": ("settle_v1", "(mode == 'settle' and not ended and 2 or 0)", "2"),
    "a settlement that was overtaken counts": ("settle_v1", "(mode == 'settle' and not ended and 2 or 0)", "(mode == 'settle' and 2 or 0)"),
    "what has ended ends once more": ("settle_v1", "if ended then held = false end", ""),
    "what has ended is not remembered": ("settle_v1", "if code > 0 and ARGV[5 * #KEYS - 5] then", "if false then"),
    "what was never there is remembered": ("settle_v1", "if code > 0 and ARGV[5 * #KEYS - 5] then", "if ARGV[5 * #KEYS - 5] then"),
    "every end is remembered": ("settle_v1", "if code > 0 and ARGV[5 * #KEYS - 5] then", "if code > 0 then"),
    "an end is remembered for ever": ("settle_v1", "  redis.call('PEXPIRE', KEYS[2], 172800000)\n", ""),
    "an end is remembered without end": ("acquire_v1", " and held ~= 'E||0' then", " then"),
    "what has ended is renewed": ("renew_v1", "if held == 'E||0' then holds = '' else redis.call('ZADD', KEYS[1], until_us, permit) end", "redis.call('ZADD', KEYS[1], until_us, permit)"),
    "an end gives nothing back": ("settle_v1", "math.max(0, before - (back[key] or 0))\n  if used", "before\n  if used"),
    "a cancellation keeps its places": ("settle_v1", "if held and mode == 'cancel' and amount > 0 then", "if false then"),
    "an estimate stays in its window": ("settle_v1", "if held and by ~= 0 then", "if false then"),
    "what nothing is said of stays held": ("settle_v1", "for key, form in pairs(forms) do finish[form](key) end", ""),
    "a renewal holds twice": ("renew_v1", "local lost = not held or held == 'X'", "local lost = true"),
    "a renewal forgets what had expired": ("renew_v1", "local lost = not held or held == 'X'", "local lost = not held"),
    "a rebuild adds": ("balance_v1", "redis.call('HSET', KEYS[1], 'used', tonumber(ARGV[1]) < 0 and '0' or ARGV[1])", "redis.call('HINCRBY', KEYS[1], 'used', ARGV[1])"),
    "a correction overwrites what came in between": ("balance_v1", "have[1] ~= ARGV[4] or", ""),
    "a cold start overwrites": ("balance_v1", "if ARGV[3] == 'cold' and have[1] then return 0 end", ""),
}  # fmt: skip
ENOUGH = 300


def found_out(server: ProgramServer) -> bool:
    try:
        for begin in range(0, ENOUGH, AT_ONCE):
            server.run([Program(seed).run(STEPS) for seed in range(begin, begin + AT_ONCE)])
    except Difference:
        return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_script_that_is_wrong_in_one_point_is_found_out(process: ValkeyProcess, mutant: str) -> None:
    name, right, wrong = MUTANTS[mutant]
    assert SOURCES[name].count(right) == 1
    assert found_out(ProgramServer(process, SOURCES | {name: SOURCES[name].replace(right, wrong)}))


def test_scripts_that_believe_a_clients_clock_are_found_out(process: ValkeyProcess) -> None:
    """RL-3: the clients of a program are half a minute ahead, right, or half a minute behind."""
    assert found_out(ProgramServer(process, SOURCES, clock="'client', 'us'"))
