"""`Idempotency-Key`: a request that comes again is answered again, not run again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Sequence
from functools import partial
from math import inf
from typing import cast

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.errors import IdempotencyConflict, InvalidRequest, PulseError
from pulse_gateway.idempotency.recording import Recording
from pulse_gateway.idempotency.store import Place
from pulse_gateway.pipeline.authenticate import Authenticate, Authenticator
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.deadline import Deadline
from pulse_gateway.pipeline.exchange import CHAT, Exchange, Inbound
from pulse_gateway.pipeline.execution import Execution, Executions, handed_on
from pulse_gateway.pipeline.observe import Observe
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.resolve import read_envelope
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.telemetry.record import Observer
from pulse_gateway.telemetry.traced import Sampler
from pulse_gateway.types.http import Payload, header
from pulse_gateway.types.usage import Outcome
from pulse_gateway.wire.codec import Codec, Envelope
from pulse_gateway.wire.multipart import is_form, parse_form
from pulse_gateway.wire.operation import OperationFace

__all__ = ["Idempotent"]

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_PARAM = "idempotency-key"


class Idempotent:
    """Around the whole pipeline. The first request with a key is run by a task of its own, to its end, whoever stays.

    A repeat reads along from the beginning, or gets what was kept: without a permit, an attempt, or an entry in the ledger.
    Requests without a key pass through.
    """

    def __init__(
        self,
        inner: Handler,
        *,
        executions: Executions,
        authenticator: Authenticator,
        total_s: float,
        clock: Clock,
        supervisor: Supervisor,
        observers: Sequence[Observer],
        sampler: Sampler | None = None,
    ) -> None:
        self._inner, self._executions = inner, executions
        self._authenticated = Authenticate(self._answer, authenticator=authenticator)
        self._deadline, self._clock = Deadline(inner, total_s=total_s, clock=clock), clock
        self._supervisor = supervisor
        self._observed_by = partial(Observe, clock=clock, supervisor=supervisor, observers=observers, sampler=sampler)

    def __call__(self, exchange: Exchange) -> Awaitable[Reply]:
        return self._inner(exchange) if exchange.inbound.idempotency_key is None else self._with_key(exchange)

    async def _with_key(self, exchange: Exchange) -> Reply:
        try:
            return await self._authenticated(exchange)
        except PulseError as error:
            return await self._observed(exchange, partial(_raise, error))

    async def _answer(self, exchange: Exchange) -> Reply:
        """Raises: PulseError, of an exchange that nobody has reported yet."""
        execution, begun = self._executions.find(
            exchange, _place(exchange), _fingerprint(exchange.inbound), self._inner
        )
        if begun and await execution.runs_here():
            return self._own(exchange, await execution.head())
        return await self._observed(exchange, partial(self._read_along, execution))

    async def _observed(self, exchange: Exchange, handler: Handler) -> Reply:
        reply = await self._observed_by(partial(self._deadline.run, handler))(exchange)
        if isinstance(exchange.error, IdempotencyConflict):
            reply.headers.append(("x-should-retry", "false"))  # the vendors' SDKs ask again after a 409
        return reply

    def _own(self, exchange: Exchange, recording: Recording) -> Reply:
        """What the client gets whose request is run: reported already, or when it ends, by the pipeline itself."""
        headers = list(recording.headers)
        if not recording.stream:
            return Reply(recording.status, headers, recording.joined())
        reader = recording.reader(render=partial(_render, exchange, recording), clock=self._clock, deadline=inf)
        reply = Reply(recording.status, headers, stream=reader, keep_alive=recording.keep_alive)

        async def leave(outcome: Outcome, error: PulseError | None) -> None:
            reader.leave()

        reply.settle_with(self._supervisor, leave)
        return reply

    async def _read_along(self, execution: Execution, exchange: Exchange) -> Reply:
        """Raises: PulseError; that of the execution, where it failed in a way that is not kept."""
        recording = await execution.head()
        if execution.failure is not None:
            raise execution.failure
        exchange.envelope = _envelope(execution, exchange)
        headers = list(handed_on(recording.headers))
        if execution.ran is None or execution.first is not exchange:
            exchange.replayed = True
            headers += (("idempotent-replayed", "true"), ("x-pulse-original-request-id", recording.request_id))
        if not recording.stream:
            return Reply(recording.status, headers, recording.joined())
        render = partial(_render, exchange, recording)
        reader = recording.reader(render=render, clock=self._clock, deadline=exchange.deadline)

        async def leave(exchange: Exchange) -> None:
            reader.leave()

        exchange.defer(leave)
        return Reply(recording.status, headers, stream=reader, keep_alive=recording.keep_alive)


async def _raise(error: PulseError, exchange: Exchange) -> Reply:
    raise error


def _place(exchange: Exchange) -> Place:
    """Raises: InvalidRequest."""
    key, principal = exchange.inbound.idempotency_key, exchange.principal
    assert key is not None and principal is not None  # looked at before
    if not _KEY.fullmatch(key):
        raise InvalidRequest("an idempotency key is 1 to 255 visible ASCII characters", param=_PARAM)
    if exchange.client is None:
        raise InvalidRequest(
            "an idempotency key needs a request in a dialect, whose bytes can be compared", param=_PARAM
        )
    return Place(principal.tenant_id, principal.user_id, key)


def _fingerprint(inbound: Inbound) -> bytes:
    """What makes a request the same one: its address, and every byte of its body; of a form, every byte of its parts, since SDKs draw
    another boundary for each try."""
    address = msgspec.json.encode((inbound.dialect, inbound.operation, inbound.model, inbound.stream))
    digest = hashlib.sha256(address + b"\n")
    try:
        parts = parse_form(Payload(inbound.body, inbound.content_type)) if is_form(inbound.content_type) else None
    except InvalidRequest:  # it will be refused, and the same bytes for the same reason
        parts = None
    if parts is None:
        digest.update(inbound.body)
    for part in parts or ():
        digest.update(msgspec.json.encode((part.name, part.filename, part.content_type, len(part.data))))
        digest.update(part.data)
    return digest.digest()


def _envelope(execution: Execution, exchange: Exchange) -> Envelope | None:
    """For the report alone: what was asked for, by name."""
    if execution.ran is not None:
        return execution.ran.envelope
    try:
        return read_envelope(exchange)
    except InvalidRequest:
        return None  # another release could read it, and answered it: that answer counts


def _render(exchange: Exchange, recording: Recording, error: PulseError) -> bytes:
    """Nothing where the stream is sound or the like, in which nothing can be said."""
    if not (header(recording.headers, "content-type") or "").startswith("text/event-stream"):
        return b""
    assert exchange.client is not None  # refused without one
    inbound = exchange.inbound
    if inbound.operation != CHAT:
        return cast("OperationFace", exchange.client).stream_error(error, exchange.request_id) or b""
    encoder = cast("Codec", exchange.client).encoder(inbound.model or "", include_usage=False)
    return encoder.error(error, exchange.request_id)
