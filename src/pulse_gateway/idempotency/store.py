"""Where the answers to requests with an `Idempotency-Key` are kept, and who may run a request that has one."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pulse_gateway.errors import IdempotencyConflict
from pulse_gateway.types.http import Headers

__all__ = [
    "GRACE",
    "KEPT_S",
    "LEASE_S",
    "MAX_KEPT_BYTES",
    "Answer",
    "AnswerStore",
    "Place",
    "Running",
    "another_request",
    "too_large",
]

KEPT_S = 24 * 3600.0
LEASE_S = 60.0
GRACE = 1 / 3  # of a lease: how long a holder that did not renew may still do so, once somebody else has asked
MAX_KEPT_BYTES = 16 * 1024 * 1024


class Place(msgspec.Struct, frozen=True):
    """A key belongs to one user of one tenant: the same text from somebody else is another key."""

    tenant_id: str
    user_id: str
    key: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was answered, once. `request_id` is that of the request which ran.

    `stream`: `body` is the whole of a streamed one. `body` None: the answer was larger than `MAX_KEPT_BYTES`.
    """

    request_id: str
    status: int
    headers: Headers
    stream: bool
    body: bytes | None


class Running(msgspec.Struct, frozen=True):
    """Somebody runs the request at the moment."""

    owner: str


class AnswerStore(Protocol):
    """Decides, for all replicas, who runs the request of a key, and keeps its answer for `KEPT_S`.

    Whoever runs it holds the key under a lease of `lease_s` seconds, which it renews while it lives: a process that dies frees its
    keys by that. The last third of a lease begins when somebody else asks, not before: a store that was away for any time gives a
    holder which lives time to renew before it gives its key to another. `owner` is one run's own word, never used again. Every
    method raises StoreUnavailable when the store does not answer.
    """

    lease_s: float

    async def claim(self, place: Place, fingerprint: bytes, owner: str, /) -> Answer | Running | None:
        """None: the key is now `owner`'s, who runs the request. Else what has become of it. `fingerprint` is the request's SHA-256.

        A holder that did not renew for two thirds of a lease is doubted by this: it has the last third, from now, to renew.

        Raises: IdempotencyConflict when the key came with another request before.
        """
        ...

    async def runs(self, place: Place, owner: str, /) -> bool:
        """Whether `owner` still holds the key and has not ended."""
        ...

    async def renew(self, place: Place, owner: str, /) -> bool:
        """Hold the key for another lease. False: it is no longer `owner`'s."""
        ...

    async def keep(self, place: Place, owner: str, answer: Answer, /) -> bool:
        """The request has its answer, for everybody who asks again. False: the key is no longer `owner`'s."""
        ...

    async def release(self, place: Place, owner: str, /) -> None:
        """The request has failed: the key is free, as if it had never come."""
        ...


def another_request() -> IdempotencyConflict:
    return IdempotencyConflict(
        "this idempotency key came with another request before; use a new key for every new request",
        param="idempotency-key",
    )


def too_large() -> IdempotencyConflict:
    """What a repeat is told: to run again would be billed again."""
    return IdempotencyConflict(
        f"the answer to this idempotency key was larger than {MAX_KEPT_BYTES >> 20} MiB and is not kept; "
        "use a new key to ask again, and pay again",
        param="idempotency-key",
    )
