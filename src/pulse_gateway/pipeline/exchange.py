"""One client request, from its first byte until it is settled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from pulse_gateway.ids import new_request_id
from pulse_gateway.limits.limiter import Permit, Standing
from pulse_gateway.pipeline.kind import Kind
from pulse_gateway.telemetry.trace import TraceContext, read_trace
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, Payload
from pulse_gateway.types.identity import Principal
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_gateway.wire.codec import Codec, Envelope
from pulse_gateway.wire.operation import OperationFace

if TYPE_CHECKING:
    from pulse_gateway.errors import PulseError

__all__ = ["CHAT", "Exchange", "Finalizer", "Inbound"]

CHAT = "chat"  # the operation whose dialects are `Codec`s; those of all others are `OperationFace`s

_REFUSED, _UNUSED = Outcome.REFUSED, UsageSource.NONE  # looked up once: members of enums are slow to come by

_log = logging.getLogger("pulse_gateway")

Finalizer = Callable[["Exchange"], Awaitable[None] | None]
"""What has to happen at the end. It returns what has to be waited for, or None when nothing has."""


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sent. Either `dialect` with `body`, or a neutral `request` from a program that embeds the gateway: a `ChatRequest`,
    or that of another `operation`, which comes with its `envelope`.

    `model` and `stream` are set where the dialect has them in the path. `headers` are lower case. `credential` is the
    caller's key; a `principal` given instead is believed. `left` tells whether the client is gone, while nothing is sent to it yet.
    """

    dialect: str | None = None
    operation: str = "chat"
    body: bytes = b""
    content_type: str = "application/json"
    request: Any = None
    envelope: Envelope | None = None
    model: str | None = None
    stream: bool | None = None
    credential: str | None = None
    principal: Principal | None = None
    headers: Headers = ()
    request_id: str | None = None
    trace: TraceContext | None = None
    timeout_s: float | None = None
    tags: tuple[tuple[str, str], ...] = ()
    idempotency_key: str | None = None
    left: Callable[[], bool] | None = None

    def __repr__(self) -> str:
        """Without the credential and what was asked."""
        return f"Inbound({self.dialect or 'native'}, {self.operation}, {len(self.body)} bytes)"


class Exchange:
    """The state that layers share. Each layer fills in its part; nobody else writes it.

    `defer` registers what must happen at the end. `end` or `close` runs it, last in first out, exactly once.
    """

    __slots__ = (
        "_closed",
        "_deferred",
        "_request",
        "attempts",
        "candidates",
        "candidates_left",
        "chat",
        "client",
        "cost_nano_usd",
        "deadline",
        "deployment",
        "drained",
        "dropped",
        "envelope",
        "error",
        "fetched",
        "fetches",
        "first_byte_ms",
        "foreseen_nano_usd",
        "gone",
        "inbound",
        "kind",
        "limits_ms",
        "moderation_ms",
        "outcome",
        "period",
        "permit",
        "principal",
        "prompt_tokens",
        "replayed",
        "request_id",
        "source",
        "standings",
        "started",
        "status",
        "trace",
        "upstream_ms",
        "usage",
        "used_images",
        "used_tokens",
        "used_videos",
    )

    def __init__(self, inbound: Inbound, client: Codec | OperationFace | None, started: float) -> None:
        self.inbound = inbound
        self.client = client  # None: the caller is a program, and gets values instead of bytes
        self.chat: Codec | None = client  # type: ignore[assignment]  # the same, for those who know that it is a chat
        self.request_id = inbound.request_id or new_request_id()
        self.trace = inbound.trace or read_trace(None, None, None)
        self.started = started
        self.deadline = float("inf")
        self.principal: Principal | None = None
        self.envelope: Envelope | None = None
        self.fetched: dict[str, Payload] = {}  # files that the request names, by URL
        self.fetches = False  # some were asked for, wherever that led
        self.candidates: Sequence[Deployment] = ()
        self.candidates_left = 0  # how many stand behind the one that is being tried
        self.deployment: Deployment | None = None
        self.kind: Kind | None = None  # of the last attempt
        self.permit: Permit | None = None
        self.period = 0
        self.prompt_tokens = 0  # of the prompt, by estimate, as it was held
        self.standings: Sequence[Standing] = ()
        self.attempts = 0
        self.dropped: tuple[str, ...] = ()
        self.gone = False  # the client has left
        self.drained = False  # and its stream was read on without it
        self.replayed = False  # the answer is that of another exchange with the same idempotency key
        self.outcome = _REFUSED
        self.error: PulseError | None = None
        self.status = 0
        self.usage: Usage | None = None
        self.source = _UNUSED
        self.used_tokens = 0
        self.used_images = 0
        self.used_videos = 0
        self.cost_nano_usd: int | None = None
        self.foreseen_nano_usd: int | None = None  # what a stream will cost, if that is settled
        self.first_byte_ms: float | None = None
        self.upstream_ms = 0.0  # waited for providers, up to the commit point
        self.limits_ms: float | None = None  # waited for the limiter
        self.moderation_ms: float | None = None  # and for moderators, until the answer's head
        self._request = inbound.request
        self._deferred: list[Finalizer] = []
        self._closed = False

    @property
    def request(self) -> Any:
        """The neutral form, decoded when first asked for: an exchange within one dialect never needs it.

        Raises: InvalidRequest.
        """
        if self._request is None:
            client, inbound = self.client, self.inbound
            assert client is not None  # a native exchange has its request from the start
            body: Any = inbound.body if inbound.operation == CHAT else self.payload
            self._request = client.decode_request(body, model=inbound.model, stream=inbound.stream)
        return self._request

    @property
    def payload(self) -> Payload:
        """What the client sent, with what it said that it is."""
        return Payload(self.inbound.body, self.inbound.content_type)

    @property
    def face(self) -> OperationFace | None:
        """The client's dialect, of another operation."""
        return cast("OperationFace | None", self.client)

    def defer(self, finalizer: Finalizer) -> None:
        self._deferred.append(finalizer)

    def end(self, outcome: Outcome, error: PulseError | None = None) -> Coroutine[Any, Any, None] | None:
        """End the exchange, as far as nothing waits. The rest is returned, to be awaited where nobody cancels it; mostly there is none.
        Further calls do nothing. A finalizer that fails is logged; the next one still runs.
        """
        if self._closed:
            return None
        self._closed = True
        self.outcome, self.error = outcome, error
        while self._deferred:
            if (waiting := self._finalize()) is not None:
                return self._end_waiting(waiting)
        return None

    async def close(self, outcome: Outcome, error: PulseError | None = None) -> None:
        """The same, to the end."""
        if (rest := self.end(outcome, error)) is not None:
            await rest

    def _finalize(self) -> Awaitable[None] | None:
        """Begin with the last finalizer that is left."""
        try:
            return self._deferred.pop()(self)
        except Exception:  # noqa: BLE001 -- one broken ending must not keep the others from settling
            self._log_failure()
            return None

    async def _end_waiting(self, waiting: Awaitable[None] | None) -> None:
        cancelled: asyncio.CancelledError | None = None
        while True:
            try:
                if waiting is not None:
                    await waiting
            except asyncio.CancelledError as interrupted:
                cancelled = interrupted  # the rest must still settle
            except Exception:  # noqa: BLE001 -- as above
                self._log_failure()
            if not self._deferred:
                break
            waiting = self._finalize()
        if cancelled is not None:
            raise cancelled

    def _log_failure(self) -> None:
        _log.exception("a finalizer failed", extra={"request_id": self.request_id})
