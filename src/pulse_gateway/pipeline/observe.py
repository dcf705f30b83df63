from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    AdmissionError,
    CallerError,
    ContentBlocked,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    PulseError,
    UpstreamError,
)
from pulse_gateway.limits.headers import limit_headers, refusal_headers
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.steps import ClientLeft
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.telemetry.record import ExchangeRecord, Observer
from pulse_gateway.telemetry.traced import Recording, Sampler
from pulse_gateway.types.usage import Outcome
from pulse_gateway.units import usd
from pulse_gateway.wire.client_spelling import as_spelled

__all__ = ["Observe"]

_log = logging.getLogger("pulse_gateway")
_LONGEST_NAME = 200  # characters of the model a client names that are reported: it may be any text


class Observe:
    """The outermost layer: every exchange ends here once, is reported once, and leaves with its headers.

    Errors become replies in the client's dialect; for a program that embeds the gateway they are raised. `sampler` chooses what is
    traced; None: nothing is.
    """

    def __init__(
        self,
        inner: Handler,
        *,
        clock: Clock,
        supervisor: Supervisor,
        observers: Sequence[Observer],
        sampler: Sampler | None = None,
    ) -> None:
        self._inner, self._clock, self._supervisor, self._observers = inner, clock, supervisor, observers
        self._sampler = sampler

    async def __call__(self, exchange: Exchange) -> Reply:
        if self._sampler is not None:
            exchange.trace = self._sampler.begin(exchange.trace, exchange.started)
        exchange.defer(self._report)
        try:
            reply = await self._inner(exchange)
        except PulseError as error:
            return await self._refuse(exchange, error)
        except asyncio.CancelledError as error:
            # The task is being cancelled: what settles must not run on it.
            gone = isinstance(error, ClientLeft)
            self._supervisor.spawn(exchange.close(Outcome.CLIENT_GONE if gone else Outcome.CANCELLED))
            raise
        except Exception:  # noqa: BLE001 -- a defect must not take the client's connection or the settlement with it
            _log.exception("an exchange failed for a reason of ours", extra={"request_id": exchange.request_id})
            return await self._refuse(
                exchange, InternalError("the gateway failed; the request id helps to find out why")
            )
        exchange.status = reply.status
        if reply.stream is None:
            await self._end(exchange, Outcome.COMPLETED)
        else:
            reply.settle_with(self._supervisor, exchange.close)
        reply.headers += self._headers(exchange)
        return reply

    async def _refuse(self, exchange: Exchange, error: PulseError) -> Reply:
        exchange.status = error.status
        if isinstance(error, InvalidRequest):
            _spell(error, exchange)
        await self._end(exchange, _outcome(exchange, error), error)
        if exchange.client is None:
            raise error
        headers = [("content-type", "application/json"), *self._headers(exchange), *refusal_headers(error)]
        if error.limits_policy is not None:
            headers.append(("x-pulse-limits", error.limits_policy))
        if isinstance(error, MethodNotAllowed):
            headers.append(("allow", error.allowed))
        return Reply(error.status, headers, exchange.client.encode_error(error, exchange.request_id))

    def _headers(self, exchange: Exchange) -> list[tuple[str, str]]:
        headers = [("x-request-id", exchange.request_id)]
        if exchange.client is not None and exchange.client.dialect.startswith("anthropic."):
            headers.append(("request-id", exchange.request_id))  # the name Anthropic's SDKs read
        deployment = exchange.deployment
        if deployment is not None and exchange.attempts:
            headers += (
                ("x-pulse-provider", deployment.provider),
                ("x-pulse-model", deployment.model.name),
                ("x-pulse-attempts", str(exchange.attempts)),
            )
        cost, foreseen = exchange.cost_nano_usd, exchange.foreseen_nano_usd
        if cost is not None or foreseen is not None:
            headers.append(("x-pulse-cost-usd", usd((cost or 0) + (foreseen or 0))))
        if exchange.dropped:
            spelled = dict.fromkeys(as_spelled(path, exchange.inbound.body) for path in exchange.dropped)
            headers.append(("x-pulse-dropped", ", ".join(spelled)))
        if (permit := exchange.permit) is not None:
            headers += limit_headers(exchange.standings or permit.standings)
            if permit.degraded is not None:
                headers.append(("x-pulse-limits", permit.degraded))
        total_ms = (self._clock.monotonic() - exchange.started) * 1000
        upstream_ms = exchange.upstream_ms
        headers.append(
            ("server-timing", f"gateway;dur={max(0.0, total_ms - upstream_ms):.3f}, upstream;dur={upstream_ms:.3f}")
        )
        return headers

    async def _end(self, exchange: Exchange, outcome: Outcome, error: PulseError | None = None) -> None:
        """What waits, on a task of its own: cancelling the request must not cancel what settles it."""
        if (rest := exchange.end(outcome, error)) is not None:
            await asyncio.shield(self._supervisor.spawn(rest))

    def _report(self, exchange: Exchange) -> None:
        trace, observers = exchange.trace, self._observers
        if isinstance(trace, Recording):
            observers = (*observers, trace.ended)
        if not observers:
            return
        record = _record(exchange, (self._clock.monotonic() - exchange.started) * 1000)
        for observer in observers:
            try:
                observer(record)
            except Exception:  # noqa: BLE001 -- observers are not ours, and one must not silence the next
                _log.exception("an observer failed", extra={"request_id": exchange.request_id})


def _spell(error: InvalidRequest, exchange: Exchange) -> None:
    """Name the field in the spelling of the client's own body: codecs know one of those in which it may be written."""
    if exchange.client is None or error.param is None:
        return
    spelled = as_spelled(error.param, exchange.inbound.body)
    if spelled != error.param:
        error.message = error.message.replace(error.param, spelled)
        error.args = (error.message,)
        error.param = spelled


def _outcome(exchange: Exchange, error: PulseError) -> Outcome:
    if isinstance(error, ContentBlocked):
        return Outcome.BLOCKED if exchange.attempts else Outcome.REFUSED
    if isinstance(error, UpstreamError) or exchange.attempts:
        return Outcome.FAILED
    return Outcome.REFUSED if isinstance(error, CallerError | AdmissionError) else Outcome.FAILED


def _record(exchange: Exchange, total_ms: float) -> ExchangeRecord:
    principal, deployment, usage, error = exchange.principal, exchange.deployment, exchange.usage, exchange.error
    inbound, envelope = exchange.inbound, exchange.envelope
    return ExchangeRecord(
        request_id=exchange.request_id,
        trace_id=exchange.trace.trace_id,
        tenant_id=principal.tenant_id if principal else None,
        user_id=principal.user_id if principal else None,
        key_id=principal.key_id if principal else None,
        dialect=inbound.dialect or "native",
        operation=inbound.operation,
        stream=envelope.stream if envelope else bool(inbound.stream),
        model=(envelope.model if envelope else inbound.model or "")[:_LONGEST_NAME] or None,
        provider=deployment.provider if deployment else None,
        provider_model=deployment.model.name if deployment else None,
        attempts=exchange.attempts,
        outcome=exchange.outcome._value_,  # as `value` does, which is a property written in Python
        status=exchange.status,
        error_code=error.code if error else None,
        upstream_status=error.upstream_status if isinstance(error, UpstreamError) else None,
        input_tokens=usage.input_total if usage else None,
        cached_input_tokens=usage.cached_input_tokens if usage else None,
        output_tokens=usage.output_total if usage else None,
        reasoning_tokens=usage.reasoning_tokens if usage else None,
        total_tokens=exchange.used_tokens,
        usage_source=exchange.source._value_,
        cost_nano_usd=exchange.cost_nano_usd,
        first_byte_ms=None if exchange.first_byte_ms is None else round(exchange.first_byte_ms, 3),
        total_ms=round(total_ms, 3),
        tags=dict(inbound.tags) if inbound.tags else {},
        replayed=exchange.replayed,
    )
