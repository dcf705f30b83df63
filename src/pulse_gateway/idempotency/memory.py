"""Answers kept in this process: for programs that embed the gateway, and for tests."""

from __future__ import annotations

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.idempotency.store import (
    GRACE,
    KEPT_S,
    LEASE_S,
    Answer,
    Place,
    Running,
    another_request,
)

__all__ = ["MemoryAnswerStore"]


class _Held(msgspec.Struct):
    fingerprint: bytes
    owner: str
    until: float  # by the clock's `now`: when it must be renewed, or, once there is an answer, the end of what is kept
    doubted: bool = False  # it was not renewed, somebody else has asked, and `until` is its last chance
    answer: Answer | None = None


class MemoryAnswerStore:
    """`AnswerStore` for one process. Keeps at most `max_bytes` of answers, and `max_answers` of them: beyond that the oldest go."""

    def __init__(
        self,
        clock: Clock,
        *,
        lease_s: float = LEASE_S,
        kept_s: float = KEPT_S,
        max_bytes: int = 64 * 1024 * 1024,
        max_answers: int = 10_000,
    ) -> None:
        self.lease_s = lease_s
        self._grace_s = lease_s * GRACE
        self._held_s = lease_s - self._grace_s
        self._clock, self._kept_s = clock, kept_s
        self._max_bytes, self._max_answers = max_bytes, max_answers
        self._running: dict[Place, _Held] = {}
        self._kept: dict[Place, _Held] = {}  # oldest first
        self.bytes = 0

    async def claim(self, place: Place, fingerprint: bytes, owner: str, /) -> Answer | Running | None:
        now = self._clock.now()
        self._prune(now)
        held = self._kept.get(place) or self._running.get(place)
        if held is None or (held.until <= now and (held.doubted or held.answer is not None)):
            self._running[place] = _Held(fingerprint, owner, now + self._held_s)
            return None
        if held.until <= now:
            held.until, held.doubted = now + self._grace_s, True
        if held.fingerprint != fingerprint:
            raise another_request()
        return held.answer or Running(held.owner)

    async def runs(self, place: Place, owner: str, /) -> bool:
        held = self._running.get(place)
        return held is not None and held.owner == owner and held.until > self._clock.now()

    async def renew(self, place: Place, owner: str, /) -> bool:
        held = self._running.get(place)
        if held is None or held.owner != owner:
            return False
        held.until, held.doubted = self._clock.now() + self._held_s, False
        return True

    async def keep(self, place: Place, owner: str, answer: Answer, /) -> bool:
        held = self._running.get(place)
        if held is None or held.owner != owner:
            return False
        del self._running[place]
        held.answer, held.until = answer, self._clock.now() + self._kept_s
        self._kept[place] = held
        self.bytes += len(answer.body or b"")
        while self._kept and (self.bytes > self._max_bytes or len(self._kept) > self._max_answers):
            self._forget(next(iter(self._kept)))
        return True

    async def release(self, place: Place, owner: str, /) -> None:
        held = self._running.get(place)
        if held is not None and held.owner == owner:
            del self._running[place]

    @property
    def keys(self) -> int:
        """How many keys are held or answered."""
        return len(self._running) + len(self._kept)

    def _prune(self, now: float) -> None:
        while self._kept and self._kept[first := next(iter(self._kept))].until <= now:
            self._forget(first)

    def _forget(self, place: Place) -> None:
        answer = self._kept.pop(place).answer
        self.bytes -= len((answer and answer.body) or b"")
