from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, cast

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    AnswerInterrupted,
    AnswerNotExpressible,
    InvalidRequest,
    PulseError,
    StreamInterrupted,
    UnsupportedParameter,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamTimedOut,
    UpstreamTimeout,
)
from pulse_gateway.ledger.ledger import Ledger, UsageEntry
from pulse_gateway.pipeline.answer import (
    MAX_ERROR_BYTES,
    MAX_REPLY_BYTES,
    read_out,
    read_whole,
    until_committed,
)
from pulse_gateway.pipeline.attempt import Attempt
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.refusal import reword
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.retry import DEAR
from pulse_gateway.pipeline.steps import Begun, ClientLeft, StepRunner
from pulse_gateway.pipeline.stream import Drains, StreamBody
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.providers.offer import Billed, Offer, OfferCall, SpokenOffer
from pulse_gateway.providers.offers import own_offer
from pulse_gateway.providers.provider import Provider
from pulse_gateway.transport.transport import HttpResponse, Transport
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, Payload, header
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_gateway.wire.client_spelling import dropped_paths
from pulse_gateway.wire.operation import OperationCodec
from pulse_gateway.wire.operation_relay import RawRelay, WatchedRelay
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.relay import Relay

__all__ = ["Keeper", "Operate"]

_EVENT_STREAM = "text/event-stream"
_JSON = "application/json"
_UNHEARD = (UpstreamTimeout, UpstreamDisconnected, AnswerInterrupted)  # the request has left, and no word came back


class Keeper(Protocol):
    """Takes what a vendor has only begun."""

    async def check(self, exchange: Exchange, /) -> None:
        """Whether it could be kept, and may be. Raises: StoreUnavailable, AdmissionError; the vendor is then not asked."""
        ...

    async def keep(self, exchange: Exchange, entry: UsageEntry, request: Any, value: Any, /) -> Any:
        """`entry` is the attempt's, `value` what the vendor said. Returns what the client is told of it. Raises: StoreUnavailable."""
        ...


class Operate:
    """Ask one deployment once for something that is no chat. Returns at the commit point, as `Call` does.

    A client that speaks the vendor's own dialect is passed through; for any other the vendor's steps are run, one after the other,
    and what came of them is said in the client's dialect. `keepers`, by operation, take what a vendor has only begun; `webhook_of` is
    where a provider may call when it is done.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        steps: StepRunner,
        provider_of: Callable[[str], Provider],
        ledger: Ledger,
        clock: Clock,
        supervisor: Supervisor,
        drains: Drains,
        keepers: Mapping[str, Keeper],
        webhook_of: Callable[[str], str | None],
    ) -> None:
        self._keepers, self._webhook_of = keepers, webhook_of
        self._transport, self._steps, self._provider_of = transport, steps, provider_of
        self._ledger, self._clock, self._supervisor, self._drains = ledger, clock, supervisor, drains

    async def __call__(self, exchange: Exchange) -> Reply:
        deployment, envelope, face = exchange.deployment, exchange.envelope, exchange.face
        assert deployment is not None and envelope is not None  # chosen before
        provider, operation = self._provider_of(deployment.kind), exchange.inbound.operation
        offer = _offer(exchange, deployment, provider)
        if offer is None:
            raise UnsupportedParameter(f"{deployment.name} does not offer {operation.replace('_', ' ')}", param="model")
        keeper = self._keepers.get(operation)
        if keeper is not None:
            await keeper.check(exchange)
        call = _call(
            exchange, deployment, provider, offer, None if keeper is None else self._webhook_of(deployment.provider)
        )
        started = self._clock.monotonic()
        try:
            if face is not None and _passes_through(exchange, offer):
                same = cast("OperationCodec", face), cast("SpokenOffer", offer)  # for both sides speak it
                return await self._forward(exchange, deployment, provider, call, *same)
            return await self._run(exchange, deployment, provider, offer, call)
        finally:
            exchange.upstream_ms += (self._clock.monotonic() - started) * 1000

    # ── the vendor's own dialect ──────────────────────────────────────────────────────────────────────────────────────

    async def _forward(
        self,
        exchange: Exchange,
        deployment: Deployment,
        provider: Provider,
        call: OfferCall,
        face: OperationCodec,
        offer: SpokenOffer,
    ) -> Reply:
        assert exchange.envelope is not None
        request = offer.forward(face.rewrite_request(exchange.payload, model=deployment.model.name), call)
        left_out = getattr(offer, "left_out", None)  # by those alone that leave anything out
        exchange.dropped = () if left_out is None else left_out(exchange.payload)
        attempt = Attempt(exchange, deployment, ledger=self._ledger, clock=self._clock)
        response: HttpResponse | None = None
        try:
            request = await self._steps.authorized(provider, deployment, request)
            response = await self._transport.send(
                request, deployment.timeouts, proxy=deployment.proxy, on_send=attempt.sent
            )
            if not 200 <= response.status < 300:
                body = await read_whole(response, MAX_ERROR_BYTES, cut=True)
                raise provider.error(response.status, response.headers, body)
            attempt.accepted = True
            kind = header(response.headers, "content-type") or _JSON
            if kind.startswith(_EVENT_STREAM) or not _is_text(kind):
                return await self._stream(exchange, deployment, attempt, face, response, kind)
            body = await read_whole(response, MAX_REPLY_BYTES)
            attempt.first_byte()
            reading = Reading()
            face.read_reply(Payload(body, kind), reading)
            attempt.reading = reading
            said = Payload(body, kind)
            if exchange.envelope.stream:  # the vendor has passed over that wish
                said = _told_as_events(face, said, exchange.request)
            attempt.end(Outcome.COMPLETED)
            reply = Reply(200, [("content-type", said.content_type), *_estimated(exchange)], said.data)
        except StreamInterrupted as error:  # nothing of it has reached the client
            interrupted = AnswerInterrupted(error.message)
            _end(exchange, attempt, interrupted)
            await self._leave(response)
            raise interrupted from error
        except BaseException as error:  # cancellation too: the attempt leaves its entry, and a closed answer
            _end(exchange, attempt, error)
            await self._leave(response)
            raise
        await response.aclose()
        return reply

    async def _stream(
        self,
        exchange: Exchange,
        deployment: Deployment,
        attempt: Attempt,
        face: OperationCodec,
        response: HttpResponse,
        kind: str,
    ) -> Reply:
        relay: Relay[bytes] = WatchedRelay(face) if kind.startswith(_EVENT_STREAM) else RawRelay()
        chunks = aiter(response)
        held = await until_committed(relay, chunks, quiet_frames=0)  # a beginning is a sound, an image or a text
        attempt.first_byte()
        attempt.reading = relay.reading

        async def finish(exchange: Exchange) -> None:
            attempt.end(exchange.outcome, exchange.error)  # first: closing may hang or fail
            if relay.reading.ended:
                await read_out(chunks)
            await response.aclose()

        exchange.defer(finish)
        body = StreamBody(
            exchange,
            chunks,
            relay,
            held,
            window=None,
            clock=self._clock,
            drains=self._drains,
            may_drain=deployment.abandoned == "drain",
            idle_s=deployment.timeouts.idle_s,
            mark=attempt.mark,
            settle=attempt.end,
        )
        headers = [("content-type", kind), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
        if isinstance(relay, RawRelay):  # nothing in it will say what it costs
            exchange.foreseen_nano_usd = attempt.cost_so_far_nano_usd
            headers.append(("x-pulse-usage", "estimated"))
        keep_alive = face.keep_alive if kind.startswith(_EVENT_STREAM) else None
        return Reply(200, headers, stream=body, keep_alive=keep_alive)

    # ── any other dialect ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(
        self, exchange: Exchange, deployment: Deployment, provider: Provider, offer: Offer, call: OfferCall
    ) -> Reply:
        face, envelope = exchange.face, exchange.envelope
        assert envelope is not None
        request = exchange.request
        with _spelled(exchange):
            dropped = offer.check(request, deployment)
            begun = Begun(offer.steps(request, call))
        if face is not None and dropped:
            dropped = dropped_paths(dropped, face.field_paths, _json_of(exchange))
        exchange.dropped = dropped
        attempt = Attempt(exchange, deployment, ledger=self._ledger, clock=self._clock)
        try:
            value = await self._steps.run(
                begun,
                provider,
                deployment,
                deadline=exchange.deadline,
                left=exchange.inbound.left if exchange.inbound.idempotency_key is None else None,
                on_send=attempt.sent_once,
                on_accepted=attempt.accept,
                on_billed=attempt.bill,
            )
            attempt.first_byte()
            if begun.first is not None:  # somebody was asked
                attempt.reading = _reading_of(value)
            if (keeper := self._keepers.get(exchange.inbound.operation)) is not None:
                # On a task of its own: the vendor has taken it, so neither a deadline nor a server that ends may lose it half-way.
                keeping = self._supervisor.spawn(keeper.keep(exchange, attempt.end(Outcome.COMPLETED), request, value))
                value = await asyncio.shield(keeping)
            if face is None:
                attempt.end(Outcome.COMPLETED)
                return Reply(200, [], value=_priced(value, exchange.cost_nano_usd))
            try:
                said = (face.encode_stream if envelope.stream else face.encode_reply)(value, request)
            except UpstreamError as error:
                raise AnswerNotExpressible(error.message) from error
            attempt.end(Outcome.COMPLETED)
        except BaseException as error:  # whatever ends the attempt, cancellation too, leaves its entry
            _end(exchange, attempt, error, taken=_has_made(attempt))
            raise
        return Reply(200, [("content-type", said.content_type), *_estimated(exchange, value)], said.data)

    async def _leave(self, response: HttpResponse | None) -> None:
        """Close on a task of our own: the current one may be in the middle of being cancelled."""
        if response is not None:
            await asyncio.shield(self._supervisor.spawn(response.aclose()))


def _told_as_events(face: OperationCodec, answer: Payload, request: Any) -> Payload:
    """A whole answer of the client's own dialect, for a client that reads events. What none can hold (an image that is only an address)
    goes on as it is: it is paid for."""
    try:
        return face.encode_stream(face.decode_reply(answer, request), request)
    except UpstreamError:
        return answer


@contextmanager
def _spelled(exchange: Exchange) -> Iterator[None]:
    """Names the field of a refusal as the client wrote it."""
    try:
        yield
    except InvalidRequest as error:
        face, deployment = exchange.face, exchange.deployment
        assert deployment is not None  # chosen before
        named = face is None or error.param in getattr(exchange.request, "extra", ())
        reword(error, deployment, None if named or face is None else face.field_paths, _json_of(exchange))
        raise


def _offer(exchange: Exchange, deployment: Deployment, provider: Provider) -> Offer | None:
    """The vendor's, in the client's own dialect if it can be; what the vendor lacks this gateway may do itself."""
    face, operation = exchange.face, exchange.inbound.operation
    own = None if face is None else provider.offer(face.dialect, deployment)
    return own or provider.offer(operation, deployment) or own_offer(operation)


def _passes_through(exchange: Exchange, offer: Offer) -> bool:
    """Whether the client speaks as the vendor does; not if it wants a stream of one that would pass over that wish."""
    face, envelope = exchange.face, exchange.envelope
    assert envelope is not None
    spoken = face is not None and face.dialect == offer.dialect
    return spoken and not (envelope.stream and getattr(offer, "answers_whole", False))


def _estimated(exchange: Exchange, value: Any = None) -> Headers:
    """Says so where what was used, or what was asked for itself, is an estimate."""
    estimated = exchange.source is UsageSource.ESTIMATED or getattr(value, "estimated", False)
    return (("x-pulse-usage", "estimated"),) if estimated else ()


def _call(
    exchange: Exchange, deployment: Deployment, provider: Provider, offer: Offer, webhook: str | None
) -> OfferCall:
    inbound, face = exchange.inbound, exchange.face
    handed_on: Headers = ()
    if face is not None and face.dialect == offer.dialect:
        handed_on = tuple(pair for pair in inbound.headers if pair[0] in provider.passed_headers)
        for name, value in handed_on:
            if not value.isascii() or not value.isprintable():
                raise InvalidRequest(f"the header {name} may hold printable ASCII only", param=name)
    assert exchange.envelope is not None
    return OfferCall(
        deployment=deployment,
        stream=exchange.envelope.stream,
        webhook=webhook,
        client_headers=handed_on,
        trace_headers=(*exchange.trace.upstream_headers(), ("x-request-id", exchange.request_id)),
    )


def _priced(value: Any, cost_nano_usd: int | None) -> Any:
    """A reply with what it cost, if it is of a kind that says so."""
    if "cost_nano_usd" not in getattr(value, "__struct_fields__", ()):
        return value
    return msgspec.structs.replace(value, cost_nano_usd=cost_nano_usd)


def _reading_of(value: Any) -> Reading:
    reading = Reading()
    reading.started = reading.ended = True
    reading.usage = value.usage
    reading.usage_is_final = value.usage is not None
    reading.told_nano_usd = getattr(value, "cost_nano_usd", None)
    return reading


def _json_of(exchange: Exchange) -> bytes:
    """The body, for whoever looks where a field stands in it; a form has only one place for each."""
    inbound = exchange.inbound
    return inbound.body if inbound.content_type.startswith(_JSON) else b"{}"


def _is_text(content_type: str) -> bool:
    return content_type.startswith((_JSON, "text/"))


def _has_made(attempt: Attempt) -> bool:
    """Whether a vendor, asked in several steps, has begun, or made, something dear: it has said yes, and not that nothing came of it."""
    known = attempt.billed
    return attempt.accepted and (
        known is None or any((known.images, known.video_ms, known.image_output_tokens, known.video_output_tokens))
    )


def _end(exchange: Exchange, attempt: Attempt, error: BaseException, *, taken: bool = False) -> None:
    """`taken`: the vendor is at work on it, or has done some of it, whatever it says now."""
    if isinstance(error, UpstreamError) and error.told_nano_usd and not attempt.accepted:
        attempt.bill(Billed(Usage(images=0), error.told_nano_usd))  # nothing was made, and it costs something
    attempt.end(
        Outcome.CLIENT_GONE
        if isinstance(error, ClientLeft)
        else Outcome.CANCELLED
        if isinstance(error, asyncio.CancelledError)
        else Outcome.FAILED,
        error if isinstance(error, PulseError) else None,
    )
    if exchange.inbound.operation not in DEAR or not isinstance(error, UpstreamError):
        return
    # Of a request of which no word came back nobody knows; but a vendor that gave up by itself has said so.
    unheard = attempt.may_be_made and isinstance(error, _UNHEARD) and not isinstance(error, UpstreamTimedOut)
    error.may_be_made = taken or unheard
