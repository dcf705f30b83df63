"""The scripts of the limits on a server: for programs, with the program's clock, and one by one, with the server's own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import redis

from limits_programs import CLOCK, Call, Difference, Program
from pulse_gateway.limits.asks import Ask, holds_of, key_prefix
from valkey_server import ValkeyProcess

__all__ = ["SOURCES", "ProgramServer", "ScriptServer"]

NAMES = ("acquire_v1", "settle_v1", "renew_v1", "balance_v1")
SOURCES = {
    name: resources.files("pulse_gateway.limits").joinpath("lua", f"{name}.lua").read_text("utf-8") for name in NAMES
}
TIME = "redis.call('TIME')"


class ProgramServer:
    """Runs programs with the scripts in `sources`, whose clock is the program's."""

    def __init__(self, process: ValkeyProcess, sources: Mapping[str, str], clock: str = "'s', 'us'") -> None:
        self.client: redis.Redis = redis.Redis(unix_socket_path=str(process.socket_path), protocol=2)
        self.sources = {}
        for name, source in sources.items():
            assert source.count(TIME) == SOURCES[name].count(TIME) == 1
            self.sources[name] = source.replace(TIME, f"redis.call('HMGET', '{CLOCK}', {clock})")
        self.hashes = {name: hashlib.sha1(source.encode()).hexdigest() for name, source in self.sources.items()}

    def run(self, programs: Iterable[Program]) -> None:
        """Raises: Difference, with the program's last steps."""
        pipeline = self.client.pipeline(transaction=False)
        expected: list[tuple[Program, int, Call] | None] = []
        for program in programs:
            pipeline.execute_command("FLUSHALL")
            self._load(pipeline)
            expected += [None] * (1 + len(self.sources))
            for number, call in enumerate(program.calls):
                words = list(call.words)
                if words[0] == "EVALSHA":
                    words[1] = self.hashes[str(words[1])]
                pipeline.execute_command(*words)
                expected.append((program, number, call))
                if words[0] == "SCRIPT FLUSH":
                    self._load(pipeline)
                    expected += [None] * len(self.sources)
        for reply, one in zip(pipeline.execute(raise_on_error=False), expected, strict=True):
            if one is not None:
                self._judge(reply, *one)

    def _load(self, pipeline: Any) -> None:
        for source in self.sources.values():
            pipeline.execute_command("SCRIPT LOAD", source)

    def _judge(self, reply: Any, program: Program, number: int, call: Call) -> None:
        if call.expected is None and not isinstance(reply, Exception):
            return
        found = call.read(reply) if call.read is not None and not isinstance(reply, Exception) else reply
        if found != call.expected:
            raise Difference(
                f"program {program.seed}, {call.told}: {found!r} on the server\n{program.trace(number + 1)}"
            )


class ScriptServer:
    """One script at a time, for the tenant `default`. Raises: redis.ResponseError, as the server says it."""

    prefix = key_prefix("pulse", "default")
    leases, holds = f"{prefix}leases", f"{prefix}holds"

    def __init__(self, process: ValkeyProcess) -> None:
        self.client: redis.Redis = redis.Redis(
            unix_socket_path=str(process.socket_path), protocol=2, decode_responses=True
        )
        self.run = {name: self.client.register_script(source) for name, source in SOURCES.items()}

    def acquire(self, permit_id: str, asks: Sequence[Ask], *, lease_us: int = 60_000_000) -> list[int]:
        words: list[str | int] = [permit_id, lease_us, 0, 2**53, holds_of(asks)]
        for ask in asks:
            words += (ask.form, ask.amount, ask.cap, ask.window_us)
        return self.run["acquire_v1"](keys=[self.leases, self.holds, *[ask.key for ask in asks]], args=words)

    def settle(
        self, permit_id: str, asks: Sequence[Ask], granted_us: int, mode: str = "settle", *, doubted: bool = False
    ) -> list[int]:
        """Of each counter exactly the estimate was used."""
        words: list[str | int] = [permit_id, mode, granted_us]
        for ask in asks:
            words += (ask.form, ask.amount, ask.amount, ask.cap, ask.window_us)
        if doubted:
            words += ("", 1)
        return self.run["settle_v1"](keys=[self.leases, self.holds, *[ask.key for ask in asks]], args=words)

    def renew(self, permits: Mapping[str, Sequence[Ask]], *, lease_us: int = 60_000_000) -> int:
        words = [word for permit_id, asks in permits.items() for word in (permit_id, holds_of(asks))]
        return self.run["renew_v1"](keys=[self.leases, self.holds], args=[lease_us, *words])

    def set_used(self, ask: Ask, used: int = 0) -> None:
        self.run["balance_v1"](keys=[ask.key], args=[used, 3_600_000, "always"])
