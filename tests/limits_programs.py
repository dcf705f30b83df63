"""Random programs over limits, for everything that must answer alike: `Counters`, the reference, and the scripts on a real server.

A program is made from a seed, step by step, while `Counters` and the reference run it: each step is checked there, and noted as the
commands that a server has to answer in the same way. The server's clock is part of the program, and so is a client's that is wrong.
"""

from __future__ import annotations

import calendar
import itertools
import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from limits_reference import Reference
from pulse_gateway.limits.asks import BUCKETS, LARGEST, LOG, QUOTA, RUNNING, Ask, asks_of, holds_of, key_prefix
from pulse_gateway.limits.counters import COLD, GRANTED, Counters, Row
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.periods import month_of

__all__ = ["CLOCK", "Call", "Difference", "Program"]

PREFIX = key_prefix("p", "t")
LEASES, HOLDS, CLOCK = f"{PREFIX}leases", f"{PREFIX}holds", f"{PREFIX}clock"
SECOND_US = 1_000_000
START_US = calendar.timegm((2100, 1, 31, 23, 58, 30)) * SECOND_US
KEPT_MS = 86_400_000
WITHOUT_TTL = (
    "local found = {} for _, key in ipairs(redis.call('KEYS', '*')) do\n"
    "if redis.call('PTTL', key) < 0 then found[#found + 1] = key end end return found"
)


class Counter(NamedTuple):
    account: str
    kind: str
    window_s: float | None
    caps: tuple[int, ...]
    amounts: tuple[int, ...]


COUNTERS = (
    Counter("ada", "requests", 20.0, (1, 2, 3, 5, 60), (1, 1, 1, 2, 0)),
    Counter("ada", "requests", 60.0, (2, 5, 60), (1, 1, 1, 3)),
    Counter("tenant/acme", "requests", 20.0, (4, 8), (1,)),
    Counter("ada", "tokens", 20.0, (10, 50, 200), (0, 1, 5, 40)),
    Counter("key/k", "tokens", 60.000_013, (100, 1_000_000), (10, 90, 250)),
    Counter("ada", "concurrency", None, (1, 2, 5), (1,)),
    Counter("tenant/acme", "concurrency", None, (2, 9), (1, 2)),
    Counter("ada", "tokens", None, (100, 1_000), (0, 10, 40, 101)),
    Counter("ada", "images", None, (4,), (0, 1, 2)),
    Counter("tenant/acme", "cost_nano_usd", None, (10**9, 8 * 10**15 + 10**14, LARGEST), (0, 1, 10**8, 10**14)),
)


class Difference(AssertionError):
    """Two that must agree do not."""


class Call(NamedTuple):
    """A command for the server, and what it must answer once `read` has made values of it; `told` is for people."""

    words: tuple[str | int, ...]
    expected: Any = None
    read: Callable[[Any], Any] | None = None
    told: str = ""


class Permit(NamedTuple):
    permit_id: str
    asks: Sequence[Ask]
    granted_us: int


class Program:
    """`calls` is the program for a server: `EVALSHA` with a script's name in the place of its hash."""

    def __init__(self, seed: int, *, counters: type[Counters] = Counters) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.calls: list[Call] = []
        self.permits: list[Permit] = []
        self.ended: set[str] = set()  # whose end was sent: those are neither asked for nor renewed any more
        self.numbers = itertools.count()
        self.asks: dict[str, Ask] = {}
        self.make_counters = counters
        self.clock_us = START_US + self.random.randrange(60 * SECOND_US)
        self.begin()

    def begin(self) -> None:
        """With an empty store; permits of before are forgotten there, and so is when they were granted."""
        self.counters = self.make_counters()
        self.reference = Reference()
        self.permits = [permit._replace(granted_us=0) for permit in self.permits]
        self.set_clock()

    def run(self, steps: int) -> Program:
        for _ in range(steps):
            self.random.choices(STEPS, WEIGHTS)[0](self)
            self.compare()
        self.look_at_the_store()
        return self

    # ── steps ──

    def acquire(self) -> None:
        self.ask(self.charges())

    def ask_again(self) -> None:
        """With the id of an earlier permit, as after an answer that was lost."""
        if permits := self.open_permits()[-6:]:
            self.ask(self.charges(), self.random.choice(permits).permit_id)

    def look(self) -> None:
        self.ask(self.charges(), "")

    def crowd(self) -> None:
        """A process takes many permits and dies; then somebody comes who finds room only once those are put away."""
        counter = self.random.choice(COUNTERS[5:9])
        charge = Charge(account=counter.account, kind=counter.kind, amount=1, cap=None)
        for _ in range(self.random.choice([7, 8, 9, 20])):
            self.ask([charge], lease_us=3 * SECOND_US)
        self.clock_us += self.random.choice([3 * SECOND_US - 1, 3 * SECOND_US, 3 * SECOND_US + 1])
        self.set_clock()
        self.ask([Charge(account=counter.account, kind=counter.kind, amount=2, cap=4)])

    def settle(self) -> None:
        permit = self.some_permit()
        asks = self.random.choices([permit.asks, []], [15, 1])[0]  # without charges: only give back
        actual = [self.random.choice([0, ask.amount, ask.amount // 2, ask.amount + 7]) for ask in asks]
        first = self.random.random() < 0.8
        self.settle_it(permit._replace(asks=asks), actual, first=first, marks=self.random.random() < 0.3)

    def cancel(self) -> None:
        self.cancel_it(self.some_permit(), marks=self.random.random() < 0.3)

    def overtake(self) -> None:
        """Calls whose answers were lost with their connection are executed after the one that was sent in their place."""
        permit = self.some_permit()
        actual = [self.random.choice([0, ask.amount, ask.amount + 7]) for ask in permit.asks]
        self.random.choice(
            [
                lambda: self.settle_it(permit, actual, first=False, marks=True),
                lambda: self.settle_it(permit, actual, first=True, marks=True),
                lambda: self.cancel_it(permit, marks=True),
            ]
        )()
        for _ in range(self.random.choice([1, 1, 2, 3])):
            if self.random.random() < 0.3:
                self.time_passes()
            held = self.counters._permits.get(permit.permit_id)
            if held is None or not held.ended:
                return  # it is not remembered: then nothing may come any more that holds or counts
            self.random.choice(
                [
                    lambda: self.settle_it(permit, actual, first=True, marks=self.random.random() < 0.5),
                    lambda: self.settle_it(permit, actual, first=False, marks=True),
                    lambda: self.cancel_it(permit, marks=self.random.random() < 0.5),
                    lambda: self.renew_them([permit]),
                    lambda: self.ask(self.charges(), permit.permit_id),
                ]
            )()

    def renew(self) -> None:
        permits = self.open_permits()
        if permits:
            self.renew_them(self.random.sample(permits, min(len(permits), self.random.randint(1, 3))))

    def settle_it(self, permit: Permit, actual: Sequence[int], *, first: bool, marks: bool) -> None:
        permit_id, asks = permit.permit_id, permit.asks
        verdict = self.counters.settle(
            self.clock_us, permit_id, permit.granted_us, asks, actual, first=first, marks=marks
        )
        code = self.reference.settle(self.clock_us, permit_id, asks, actual, first, marks)
        self.agree("settle", verdict.code, code)
        self.end("settle" if first else "again", permit, actual, verdict.code, verdict.rows, marks=marks)

    def cancel_it(self, permit: Permit, *, marks: bool) -> None:
        verdict = self.counters.cancel(self.clock_us, permit.permit_id, permit.granted_us, permit.asks, marks=marks)
        code = self.reference.cancel(self.clock_us, permit.permit_id, permit.asks, marks)
        self.agree("cancel", verdict.code, code)
        self.end("cancel", permit, [0] * len(permit.asks), verdict.code, verdict.rows, marks=marks)

    def renew_them(self, permits: Sequence[Permit]) -> None:
        lease_us = self.lease_us()
        words: list[str | int] = [lease_us]
        anew = 0
        for permit in permits:
            lost = self.counters.renew(self.clock_us, permit.permit_id, lease_us, permit.asks)
            self.agree("renew", lost, self.reference.renew(self.clock_us, permit.permit_id, lease_us, permit.asks))
            anew += lost
            words += (permit.permit_id, holds_of(permit.asks))
        self.call("renew_v1", [LEASES, HOLDS], words, anew)

    def warm(self) -> None:
        key, used = self.quota(), self.random.choice([0, 0, 1, 90, 8 * 10**15, -5])
        done = self.counters.warm(key, used)
        self.agree("warm", done, self.reference.warm(key, used))
        self.call("balance_v1", [key], [used, KEPT_MS, "cold"], int(done))

    def correct(self) -> None:
        key = self.quota()
        expected = self.random.choice([self.reference.used.get(key, 0)] * 3 + [1])
        used, quiet_us = max(-1, expected + self.random.choice([-7, 3, 20])), self.random.choice([0, SECOND_US])
        done = self.counters.correct(self.clock_us, key, expected, used, quiet_us)
        self.agree("correct", done, self.reference.correct(self.clock_us, key, expected, used, quiet_us))
        self.call("balance_v1", [key], [used, KEPT_MS, "expected", expected, quiet_us], int(done))

    def set_used(self) -> None:
        key, used = self.quota(), self.random.choice([0, 12, 99, -1, 8 * 10**15])
        self.counters.set_used(key, used)
        self.reference.set_used(key, used)
        self.call("balance_v1", [key], [used, KEPT_MS, "always"], 1)

    def time_passes(self) -> None:
        self.clock_us = max(
            START_US, self.random.choices([self.soon, self.edge, self.back, self.leap], [9, 6, 3, 1])[0]()
        )
        self.set_clock()

    def flush(self) -> None:
        self.calls.append(Call(("FLUSHALL",), told="flush"))
        self.begin()

    def forget_scripts(self) -> None:
        self.calls.append(Call(("SCRIPT FLUSH",), told="script flush"))

    def look_at_the_store(self) -> None:
        """Everything that matters of the server's state is what `Counters` holds."""
        permits = self.counters._permits
        holds = {
            permit_id: "E||0" if held.ended else "X" if held.expired else holds_of(held.asks)
            for permit_id, held in permits.items()
        }
        self.calls.append(Call(("HGETALL", HOLDS), holds, _texts, "holds"))
        leases = {permit_id: held.until_us for permit_id, held in permits.items()}
        self.calls.append(Call(("ZRANGE", LEASES, 0, -1, "WITHSCORES"), leases, _scores, "leases"))
        for ask in self.asks.values():
            self.calls.append(self._state(ask))
        self.calls.append(Call(("EVAL", WITHOUT_TTL, 0), [CLOCK.encode()], None, "keys without a time to live"))

    # ── what steps are made of ──

    def charges(self) -> list[Charge]:
        chosen = [self.random.choice(COUNTERS) for _ in range(self.random.choice([1, 1, 2, 3, 4, 6]))]
        if self.random.random() < 0.2:
            chosen.append(chosen[0])
        return [
            Charge(
                account=counter.account,
                kind=counter.kind,
                amount=self.random.choice(counter.amounts),
                cap=self.random.choice([*counter.caps * 4, None, 0]),
                window_s=counter.window_s,
            )
            for counter in chosen
        ]

    def ask(self, charges: Sequence[Charge], permit_id: str | None = None, lease_us: int | None = None) -> None:
        month = month_of(self.clock_us / 1e6 + self.random.choice([0] * 12 + [-40, 40]))
        asks = asks_of(PREFIX, charges, month.period)
        self.asks |= {ask.key: ask for ask in asks}
        permit_id = f"permit-{next(self.numbers):03}" if permit_id is None else permit_id
        lease_us = self.lease_us() if lease_us is None else lease_us
        begin_us, end_us = month.starts_at * SECOND_US, month.resets_at * SECOND_US
        words: list[str | int] = [permit_id, lease_us, begin_us, end_us, holds_of(asks)]
        for ask in asks:
            words += (ask.form, ask.amount, ask.cap, ask.window_us)
        keys = [LEASES, HOLDS, *[ask.key for ask in asks]]
        if not begin_us <= self.clock_us < end_us:
            self.call("acquire_v1", keys, words, [4, self.clock_us])
            return
        verdict = self.counters.acquire(self.clock_us, permit_id, lease_us, asks)
        expected = self.reference.acquire(self.clock_us, permit_id, lease_us, asks)
        self.agree("acquire", (verdict.code, verdict.now_us, verdict.rows), expected)
        flat = [number for row in verdict.rows for number in (row.used, row.held, row.wait_us, row.reset_us)]
        self.call("acquire_v1", keys, words, [verdict.code, verdict.now_us, *flat])
        if verdict.code == GRANTED and permit_id:
            self.permits = [permit for permit in self.permits if permit.permit_id != permit_id]
            self.permits.append(Permit(permit_id, asks, verdict.now_us))
        elif verdict.code == COLD and self.random.random() < 0.8:
            for ask, row in zip(asks, verdict.rows, strict=True):
                if row.used < 0:
                    self.counters.warm(ask.key, 0)
                    self.reference.warm(ask.key, 0)
                    self.call("balance_v1", [ask.key], [0, KEPT_MS, "cold"], 1)

    def end(
        self, mode: str, permit: Permit, actual: Sequence[int], code: int, rows: Sequence[Row], *, marks: bool
    ) -> None:
        words: list[str | int] = [permit.permit_id, mode, permit.granted_us]
        for ask, amount in zip(permit.asks, actual, strict=True):
            words += (ask.form, ask.amount, amount, ask.cap, ask.window_us)
        if marks:
            words += ("", 1)
        self.ended.add(permit.permit_id)
        flat = [number for row in rows for number in (row.used, row.held)]
        self.call("settle_v1", [LEASES, HOLDS, *[ask.key for ask in permit.asks]], words, [code, self.clock_us, *flat])

    def some_permit(self) -> Permit:
        unknown = Permit(
            "nobody's", asks_of(PREFIX, self.charges(), month_of(self.clock_us / 1e6).period), self.clock_us
        )
        return self.random.choice([*self.open_permits()[-5:] * 5, *self.permits, unknown])

    def open_permits(self) -> list[Permit]:
        return [permit for permit in self.permits if permit.permit_id not in self.ended]

    def quota(self) -> str:
        quotas = [ask.key for ask in self.asks.values() if ask.form == QUOTA]
        return self.random.choice(quotas or [f"{PREFIX}usage:tokens:ada:2100-01"])

    def lease_us(self) -> int:
        return self.random.choice([3, 10, 60]) * SECOND_US

    def soon(self) -> int:
        return self.clock_us + self.random.randrange(4_000_000)

    def back(self) -> int:
        return self.clock_us - self.random.choice([1, 50_000, 3 * SECOND_US, self.random.randrange(90 * SECOND_US)])

    def leap(self) -> int:
        return self.clock_us + self.random.choice([30, 61, 3_600, 7_300]) * SECOND_US

    def edge(self) -> int:
        """A moment at which something ends, or its neighbour."""
        ends = [window.end_of(entry) for window in self.reference.windows.values() for entry in window.entries[-4:]]
        ends += [lease.until for lease in self.reference.leases.values()]
        ends += [month_of(self.clock_us / 1e6).resets_at * SECOND_US, (self.clock_us // 60_000_000 + 1) * 60_000_000]
        ahead = sorted(end for end in ends if end >= self.clock_us)[:6]
        return self.random.choice(ahead) + self.random.choice([-1, 0, 1])

    def set_clock(self) -> None:
        seconds, micros = divmod(self.clock_us, SECOND_US)
        wrong = seconds + self.random.choice([-30, 0, 30])
        self.calls.append(
            Call(("HSET", CLOCK, "s", seconds, "us", micros, "client", wrong), told=f"clock {self.clock_us}")
        )

    def call(self, script: str, keys: Sequence[str], words: Sequence[str | int], expected: Any) -> None:
        self.calls.append(Call(("EVALSHA", script, len(keys), *keys, *words), expected, None, script))

    # ── judging ──

    def agree(self, what: str, counters: object, reference: object) -> None:
        if counters != reference:
            raise Difference(f"program {self.seed}, {what}: Counters {counters}, reference {reference}\n{self.trace()}")

    def compare(self) -> None:
        """After each step, of every counter: what is used and held is what happened to it."""
        for ask in self.asks.values():
            if ask.form == QUOTA:
                quota = self.counters._quotas.get(ask.key)
                self.agree(f"held of {ask.key}", quota.held if quota else 0, self.reference.held(ask.key))
                self.agree(f"used of {ask.key}", quota.used if quota else None, self.reference.used.get(ask.key))
            elif ask.form == RUNNING:
                self.agree(ask.key, self.counters._running.get(ask.key, 0), self.reference.held(ask.key))

    def trace(self, upto: int | None = None) -> str:
        lines = [f"  {call.told}: {' '.join(map(str, call.words[1:]))} → {call.expected}" for call in self.calls[:upto]]
        return "\n".join(lines[-25:])

    def _state(self, ask: Ask) -> Call:
        counters, key = self.counters, ask.key
        if ask.form == LOG:
            log = list(counters._logs.get(ask.window_us, {}).get(key, []))
            log = log[bisect_left(log, log[-1] - ask.window_us) :] if log else []
            return Call(("LRANGE", key, 0, -1), log[::-1], _numbers, key)
        if ask.form == BUCKETS:
            buckets = counters._buckets.get(ask.window_us, {}).get(key, {})
            return Call(("HGETALL", key), {str(number): str(amount) for number, amount in buckets.items()}, _texts, key)
        if ask.form == RUNNING:
            return Call(("GET", key), counters._running.get(key, 0), lambda reply: int(reply or 0), key)
        quota = counters._quotas.get(key)
        state = [None, 0, 0] if quota is None else [quota.used, quota.held, quota.settled_us]
        return Call(("HMGET", key, "used", "held", "at"), state, _quota, key)


def _texts(reply: dict[bytes, bytes]) -> dict[str, str]:
    return {field.decode(): value.decode() for field, value in reply.items()}


def _scores(reply: list[bytes]) -> dict[str, int]:
    return {member.decode(): int(score) for member, score in zip(reply[::2], reply[1::2], strict=True)}


def _numbers(reply: list[bytes]) -> list[int]:
    return [int(item) for item in reply]


def _quota(reply: list[bytes | None]) -> list[int | None]:
    return [None if reply[0] is None else int(reply[0]), int(reply[1] or 0), int(reply[2] or 0)]


STEPS, WEIGHTS = zip(
    (Program.acquire, 40),
    (Program.settle, 16),
    (Program.time_passes, 18),
    (Program.cancel, 6),
    (Program.overtake, 4),
    (Program.renew, 5),
    (Program.look, 5),
    (Program.warm, 3),
    (Program.correct, 3),
    (Program.set_used, 2),
    (Program.ask_again, 2),
    (Program.crowd, 1),
    (Program.look_at_the_store, 4),
    (Program.flush, 1),
    (Program.forget_scripts, 1),
    strict=True,
)
