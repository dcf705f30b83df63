"""Mistakes that the tests have to find: each a small change of the source, and the tests that go red with it.

A change is a file below `src/pulse_gateway`, a text that is in it exactly once, and what takes its place. `python -m tests.mutants` makes
them one at a time on a copy of the source; `tests/unit/test_mutants.py` sees to it that they can still be made.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MUTANTS", "Change", "Mutant", "changed"]


class Change(NamedTuple):
    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """`red_by`: nodes of pytest below `tests`, of which at least one has to fail; all of them are green without the change."""

    name: str
    promise: str
    changes: tuple[Change, ...]
    red_by: tuple[str, ...]


def changed(text: str, change: Change) -> str:
    """Raises: ValueError unless what is to be changed is there exactly once."""
    if (found := text.count(change.old)) != 1:
        raise ValueError(f"{change.file} has this {found} times, not once:\n{change.old}")
    return text.replace(change.old, change.new)


_CONTRACT = "integration/test_limits_contract.py"
_REDIS = "integration/test_limits_redis.py"
_CLIENT = "integration/test_redis_client.py"
_FAULTS = "integration/test_redis_client_faults.py"
_EDGES = "integration/test_library_edges.py"
_REPLAY = "integration/test_ledger_replay.py"

MUTANTS = (
    Mutant(
        "the limiter reads the client's clock for windows",
        "P1",
        (
            Change(
                "limits/lua/acquire_v1.lua",
                "local now = clock\n",
                "local now = tonumber(ARGV[#ARGV])\n",
            ),
            Change(
                "limits/scripts.py",
                "        return self._redis.run(_ACQUIRE, grant.keys, args)\n",
                "        args.append(round(self._clock.now() * 1e6))\n"
                "        return self._redis.run(_ACQUIRE, grant.keys, args)\n",
            ),
        ),
        (f"{_REDIS}::test_a_gateway_whose_clock_is_wrong_frees_no_place_and_takes_none_for_longer",),
    ),
    Mutant(
        "the limiter reads the client's clock for months",
        "P3",
        (
            Change(
                "limits/lua/acquire_v1.lua",
                "local clock = t[1] * 1000000 + t[2]\n",
                "local clock = tonumber(ARGV[#ARGV])\n",
            ),
            Change(
                "limits/scripts.py",
                "        return self._redis.run(_ACQUIRE, grant.keys, args)\n",
                "        args.append(round(self._clock.now() * 1e6))\n"
                "        return self._redis.run(_ACQUIRE, grant.keys, args)\n",
            ),
        ),
        (f"{_REDIS}::test_a_gateway_whose_clock_is_in_another_month_charges_the_servers_month",),
    ),
    Mutant(
        "check and reserve are two calls",
        "P3",
        (
            Change(
                "limits/scripts.py",
                "        return self._redis.run(_ACQUIRE, grant.keys, args)\n",
                "        async def twice() -> list[int]:\n"
                '            looked = await self._redis.run(_ACQUIRE, grant.keys, ["", *args[1:]])\n'
                "            if looked[0] == 0 and permit_id and all(\n"
                "                ask.cap < 0 or looked[2 + 4 * i] + looked[3 + 4 * i] + ask.amount <= ask.cap\n"
                "                for i, ask in enumerate(grant.asks)\n"
                "            ):\n"
                "                args[7::4] = [-1] * len(grant.asks)\n"
                "            return await self._redis.run(_ACQUIRE, grant.keys, args)\n\n"
                "        return twice()\n",
            ),
        ),
        (f"{_CONTRACT}::test_fifty_racers_for_a_thousand_tokens_get_two_grants_of_five_hundred",),
    ),
    Mutant(
        "balances are rebuilt by adding",
        "P5",
        (
            Change(
                "limits/lua/balance_v1.lua",
                "if ARGV[3] == 'cold' and have[1] then return 0 end\n",
                "",
            ),
            Change(
                "limits/lua/balance_v1.lua",
                "redis.call('HSET', KEYS[1], 'used', tonumber(ARGV[1]) < 0 and '0' or ARGV[1])",
                "redis.call('HINCRBY', KEYS[1], 'used', ARGV[1])",
            ),
        ),
        (f"{_REDIS}::test_balances_are_set_by_many_replicas_and_not_added_up",),
    ),
    Mutant(
        "leases never run out",
        "P6",
        (
            Change(
                "limits/lua/acquire_v1.lua",
                "local ids = call('ZRANGE', KEYS[1], '-inf', clock, 'BYSCORE', 'LIMIT', 0, most)\n",
                "local ids = call('ZRANGE', KEYS[1], '-inf', 0, 'BYSCORE', 'LIMIT', 0, most)\n",
            ),
        ),
        (f"{_REDIS}::test_what_a_killed_process_held_comes_back_with_its_lease",),
    ),
    Mutant(
        "a cancelled permit keeps its hold",
        "P6",
        (
            Change(
                "limits/redis.py",
                '            await self._scripts.end(permit, "cancel", ending.actual)\n',
                "            pass\n",
            ),
        ),
        (f"{_CONTRACT}::test_cancelling_gives_everything_back_the_places_in_windows_too",),
    ),
    Mutant(
        "a grant whose caller has left keeps its hold",
        "P6",
        (
            Change(
                "limits/settlements.py",
                '        self._sought.append(Ending(grant, "cancel", [0] * len(grant.asks), 0.0))\n',
                "",
            ),
        ),
        (f"{_REDIS}::test_a_caller_who_leaves_once_redis_has_decided_holds_nothing",),
    ),
    Mutant(
        "a settlement that is sent again counts again",
        "P4",
        (
            Change(
                "limits/settlements.py",
                '            ending = ending._replace(mode="again")  # counts only where the store still knows the permit\n',
                "            pass\n",
            ),
        ),
        (f"{_REDIS}::test_a_settlement_whose_answer_was_lost_counts_once",),
    ),
    Mutant(
        "answers go to whoever still waits",
        "P9",
        (
            Change(
                "transport/redis_lane.py",
                "                call = calls[0]\n",
                "                call = next((each for each in calls if not each.future.done()), calls[0])\n",
            ),
            Change(
                "transport/redis_lane.py", "                calls.popleft()\n", "                calls.remove(call)\n"
            ),
        ),
        (f"{_CLIENT}::test_callers_that_leave_take_nobody_elses_answer",),
    ),
    Mutant(
        "a Redis connection that was given up is used again",
        "P9",
        (
            Change(
                "transport/redis_node.py",
                "        lane.abort()\n        self._retired.discard(lane)\n        if self._lane is lane:\n            self._lane = None\n",
                "        self._retired.discard(lane)\n",
            ),
        ),
        (f"{_FAULTS}::test_answers_of_a_connection_given_up_reach_nobody",),
    ),
    Mutant(
        "a batch is taken off the queue before its commit",
        "P4",
        (
            Change(
                "ledger/postgres.py",
                "                if batch := self._backlog.head(self._batch_rows):\n",
                "                if batch := self._backlog.head(self._batch_rows):\n"
                "                    self._backlog.drop(len(batch))\n",
            ),
            Change(
                "ledger/postgres.py", "        self._backlog.drop(len(batch))\n        if kept:\n", "        if kept:\n"
            ),
        ),
        (
            "integration/test_ledger_outages.py::test_while_every_connection_is_taken_nobody_waits_long_and_nothing_is_lost",
        ),
    ),
    Mutant(
        "DONE is written before the commit",
        "P4",
        (
            Change(
                "ledger/postgres.py",
                "                if batch := self._backlog.head(self._batch_rows):\n",
                "                if batch := self._backlog.head(self._batch_rows):\n"
                "                    if self._journal is not None:\n"
                "                        self._journal.done([item.entry.entry_id for item in batch if item.journal == 0])\n",
            ),
        ),
        (f"{_REPLAY}::test_what_could_not_be_written_before_the_end_is_written_after_the_next_start",),
    ),
    Mutant(
        "CLOSE is not written",
        "P4",
        (
            Change(
                "ledger/journal.py",
                "        self._writer.end(entry.entry_id, encode_entry(entry))\n",
                "        del entry\n",
            ),
        ),
        (f"{_REPLAY}::test_a_killed_process_loses_nothing_and_the_next_one_writes_the_rest",),
    ),
    Mutant(
        "the provider is called before the ledger knows",
        "P4",
        (
            Change(
                "pipeline/attempt.py",
                "        ledger.open(self._announced)\n",
                "",
            ),
        ),
        (
            "integration/test_library_accounting.py::test_a_ledger_that_can_keep_nothing_stops_the_call_before_it_is_made",
        ),
    ),
    Mutant(
        "a request settles on its own task",
        "P6",
        (
            Change(
                "pipeline/reply.py",
                "            await asyncio.shield(self._supervisor.spawn(rest))\n",
                "            await rest\n",
            ),
            Change(
                "pipeline/observe.py",
                "            self._supervisor.spawn(exchange.close(Outcome.CLIENT_GONE if gone else Outcome.CANCELLED))\n",
                "            await exchange.close(Outcome.CANCELLED)\n",
            ),
            Change(
                "pipeline/observe.py",
                "            await asyncio.shield(self._supervisor.spawn(rest))\n",
                "            await rest\n",
            ),
        ),
        (f"{_EDGES}::test_cancelled_at_every_turn_the_hold_comes_back_from_a_limiter_that_takes_its_time",),
    ),
    Mutant(
        "a stream that breaks is asked for again after its first byte",
        "P7",
        (
            Change(
                "pipeline/retry.py",
                "                return await self._inner(exchange)\n",
                "                reply = await self._inner(exchange)\n"
                "                if reply.stream is not None:\n"
                "                    reply.stream = _Again(self._inner, exchange, reply.stream)\n"
                "                return reply\n",
            ),
            Change(
                "pipeline/retry.py",
                "class Retry:\n",
                "class _Again:\n"
                "    def __init__(self, inner, exchange, body):\n"
                "        self._inner, self._exchange, self._body = inner, exchange, body\n\n"
                "    def __getattr__(self, name):\n"
                "        return getattr(self._body, name)\n\n"
                "    async def __aiter__(self):\n"
                "        async for item in self._body:\n"
                '            if self._body.ending is not None and self._body.ending[0].value == "interrupted":\n'
                "                self._body = (await self._inner(self._exchange)).stream\n"
                "                async for again in self._body:\n"
                "                    yield again\n"
                "                return\n"
                "            yield item\n\n\n"
                "class Retry:\n",
            ),
        ),
        (f"{_EDGES}::test_an_answer_that_breaks_off_in_the_middle_is_asked_of_nobody_again",),
    ),
    Mutant(
        "the end of the connection is taken for the end of the answer",
        "P7",
        (
            Change(
                "pipeline/stream.py",
                '            raise StreamInterrupted("the provider\'s stream ended before it was complete")\n',
                "            self._relay.reading.ended = True\n            return []\n",
            ),
        ),
        ("unit/pipeline/test_pipeline_endings.py::test_a_stream_that_stops_short_ends_in_an_error_event",),
    ),
    Mutant(
        "an idempotency key stands for any body",
        "P4",
        (
            Change(
                "pipeline/idempotent.py",
                "        digest.update(inbound.body)\n",
                "        pass\n",
            ),
        ),
        ("integration/test_idempotency_gateway.py::test_another_body_with_the_same_key_is_a_conflict",),
    ),
)
