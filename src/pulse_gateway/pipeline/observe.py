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
from pulse_gateway.pipeline.report import report
from pulse_gateway.pipeline.steps import ClientLeft
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.telemetry.record import Observer
from pulse_gateway.telemetry.traced import Recording, Sampler
from pulse_gateway.types.usage import Outcome
from pulse_gateway.units import usd
from pulse_gateway.wire.client_spelling import as_spelled

__all__ = ["Observe"]

_log = logging.getLogger("pulse_gateway")
_COMPLETED = Outcome.COMPLETED


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
            await self._end(exchange, _COMPLETED)
        else:
            reply.settle_with(self._supervisor, exchange.end)
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
        deployment, kind = exchange.deployment, exchange.kind
        if kind is not None and kind.deployment is deployment and exchange.attempts == 1:
            headers += kind.headers
        elif deployment is not None and exchange.attempts:
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
        headers.append(("server-timing", _timing(exchange, self._clock.monotonic())))
        return headers

    async def _end(self, exchange: Exchange, outcome: Outcome, error: PulseError | None = None) -> None:
        """What waits, on a task of its own: cancelling the request must not cancel what settles it."""
        if (rest := exchange.end(outcome, error)) is not None:
            await asyncio.shield(self._supervisor.spawn(rest))

    def _report(self, exchange: Exchange) -> None:
        trace, observers = exchange.trace, self._observers
        if trace.recording and isinstance(trace, Recording):
            observers = (*observers, trace.ended)
        if not observers:
            return
        record = report(exchange, self._clock.monotonic())
        for observer in observers:
            try:
                observer(record)
            except Exception:  # noqa: BLE001 -- observers are not ours, and one must not silence the next
                _log.exception("an observer failed", extra={"request_id": exchange.request_id})


def _timing(exchange: Exchange, now: float) -> str:
    """What took how many milliseconds so far: the provider; the gateway, which is all the rest; and of that, the stages that may wait."""
    upstream_ms = exchange.upstream_ms
    gateway_ms = (now - exchange.started) * 1000 - upstream_ms
    timing = f"gateway;dur={gateway_ms if gateway_ms > 0 else 0.0:.3f}, upstream;dur={upstream_ms:.3f}"
    if exchange.limits_ms is not None:
        timing += f", limits;dur={exchange.limits_ms:.3f}"
    if exchange.moderation_ms is not None:
        timing += f", moderation;dur={exchange.moderation_ms:.3f}"
    return timing


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
