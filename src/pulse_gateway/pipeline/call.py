from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    AnswerInterrupted,
    AnswerNotExpressible,
    ContentBlocked,
    PulseError,
    StreamInterrupted,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
)
from pulse_gateway.ledger.ledger import Ledger
from pulse_gateway.moderation.chain import Chain
from pulse_gateway.pipeline.attempt import Attempt
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.moderate import answer_window, review
from pulse_gateway.pipeline.prepare import Prepared, prepare
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.stream import Drains, StreamBody
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.providers.provider import Provider
from pulse_gateway.transport.transport import HttpResponse, Transport
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import Part, TextPart
from pulse_gateway.types.http import header
from pulse_gateway.types.usage import Outcome
from pulse_gateway.wire.codec import Codec
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.relay import HideUsage, Native, Passthrough, Piece, Relay, Translate
from pulse_gateway.wire.sse import MAX_EVENT_BYTES

__all__ = ["Call"]

_MAX_REPLY_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 64 * 1024
_READ_OUT_S = 0.5
_EVENT_STREAM = "text/event-stream"


class Call:
    """Ask one deployment once. Returns at the commit point: with the whole answer, or with the first good event of a stream."""

    def __init__(
        self,
        *,
        transport: Transport,
        provider_of: Callable[[str], Provider],
        codec_of: Callable[[str], Codec],
        ledger: Ledger,
        clock: Clock,
        supervisor: Supervisor,
        drains: Drains,
        chain: Chain,
        hold_chars: int,
    ) -> None:
        self._transport, self._provider_of, self._codec_of = transport, provider_of, codec_of
        self._ledger, self._clock, self._supervisor = ledger, clock, supervisor
        self._drains, self._chain, self._hold_chars = drains, chain, hold_chars

    async def __call__(self, exchange: Exchange) -> Reply:
        deployment = exchange.deployment
        assert deployment is not None and exchange.envelope is not None  # chosen before
        provider = self._provider_of(deployment.kind)
        upstream = self._codec_of(provider.dialect)
        prepared = prepare(exchange, deployment, provider, upstream)
        exchange.dropped = prepared.dropped
        attempt = Attempt(exchange, deployment, ledger=self._ledger, clock=self._clock)
        response: HttpResponse | None = None
        sent = self._clock.monotonic()
        try:
            response = await self._transport.send(
                prepared.request, deployment.timeouts, proxy=deployment.proxy, on_send=attempt.sent
            )
            if not 200 <= response.status < 300:
                raise provider.error(
                    response.status, response.headers, await _read(response, _MAX_ERROR_BYTES, cut=True)
                )
            attempt.accepted = True
            if exchange.envelope.stream:
                return await self._stream(exchange, deployment, attempt, prepared, upstream, response)
            reply = await self._whole(exchange, attempt, prepared, upstream, response)
        except StreamInterrupted as error:  # nothing of it has reached the client
            interrupted = AnswerInterrupted(error.message)
            attempt.end(Outcome.FAILED, interrupted)
            await self._leave(response)
            raise interrupted from error
        except (
            BaseException
        ) as error:  # whatever ends the attempt, cancellation too, leaves its entry and a closed answer
            cancelled = isinstance(error, asyncio.CancelledError)
            attempt.end(
                Outcome.CANCELLED if cancelled else Outcome.FAILED, error if isinstance(error, PulseError) else None
            )
            await self._leave(response)
            raise
        finally:
            exchange.upstream_ms += (self._clock.monotonic() - sent) * 1000
        await response.aclose()
        return reply

    async def _whole(
        self, exchange: Exchange, attempt: Attempt, prepared: Prepared, upstream: Codec, response: HttpResponse
    ) -> Reply:
        body = await _read(response, _MAX_REPLY_BYTES)
        attempt.first_byte()
        reading = Reading()
        value = None
        if prepared.verbatim:
            text = upstream.read_reply(body, reading)
        else:
            value = upstream.decode_reply(body)
            reading.observe_reply(value)
            text = "\n".join(_text_of(choice.parts) for choice in value.choices)
        attempt.reading = reading
        if self._chain.reviews_answers and text:
            try:
                await review(self._chain, exchange, text, "answer")
            except ContentBlocked as error:
                attempt.end(Outcome.BLOCKED, error)
                raise
        if value is not None and exchange.client is not None:
            try:
                body = exchange.client.encode_reply(value)
            except UpstreamError as error:
                raise AnswerNotExpressible(error.message) from error
        attempt.end(Outcome.COMPLETED)
        if value is not None and exchange.client is None:
            return Reply(200, [], value=msgspec.structs.replace(value, cost_nano_usd=exchange.cost_nano_usd))
        return Reply(200, [("content-type", "application/json")], body)

    async def _stream(
        self,
        exchange: Exchange,
        deployment: Deployment,
        attempt: Attempt,
        prepared: Prepared,
        upstream: Codec,
        response: HttpResponse,
    ) -> Reply:
        content_type = header(response.headers, "content-type") or ""
        if not content_type.startswith(_EVENT_STREAM):
            raise UpstreamProtocolError(
                f"asked for a stream, the provider answered with {content_type or 'no content type'!r}"
            )
        relay = _relay(exchange, prepared, upstream)
        chunks = aiter(response)
        held = await _until_committed(relay, chunks)
        attempt.first_byte()

        attempt.reading = relay.reading

        async def finish(exchange: Exchange) -> None:
            attempt.end(exchange.outcome, exchange.error)  # first: closing may hang or fail
            if relay.reading.ended:
                await _read_out(chunks)
            await response.aclose()

        exchange.defer(finish)
        body = StreamBody(
            exchange,
            chunks,
            relay,
            held,
            window=answer_window(self._chain, exchange, self._hold_chars),
            clock=self._clock,
            drains=self._drains,
            may_drain=deployment.abandoned == "drain",
            idle_s=deployment.timeouts.idle_s,
            mark=attempt.mark,
        )
        headers = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
        ]
        keep_alive = exchange.client.keep_alive if exchange.client is not None else None
        return Reply(200, headers, stream=body, keep_alive=keep_alive)

    async def _leave(self, response: HttpResponse | None) -> None:
        """Close on a task of our own: the current one may be in the middle of being cancelled."""
        if response is not None:
            await asyncio.shield(self._supervisor.spawn(response.aclose()))


def _relay(exchange: Exchange, prepared: Prepared, upstream: Codec) -> Relay[Any]:
    client, envelope = exchange.client, exchange.envelope
    assert envelope is not None
    if client is None:
        return Native(upstream.decoder())
    if not prepared.verbatim:
        return Translate(upstream, client, envelope.model, exchange.request_id, include_usage=envelope.include_usage)
    return (HideUsage if prepared.hide_usage else Passthrough)(upstream, envelope.model)


async def _until_committed(relay: Relay[Any], chunks: AsyncIterator[bytes]) -> list[Piece[Any]]:
    """Read until the answer has really begun. What came so far is held, so that a failure until here costs the client nothing.

    Raises: UpstreamError.
    """
    held: list[Piece[Any]] = []
    reading, size = relay.reading, 0
    async for chunk in chunks:
        held += relay.feed_pieces(chunk)
        size += len(chunk)
        _raise_failure(relay)
        if reading.started:
            return held
        if size > MAX_EVENT_BYTES:
            raise UpstreamProtocolError(f"the provider's stream held nothing in its first {size} bytes")
    held += relay.finish()
    _raise_failure(relay)
    if not reading.started:
        raise UpstreamProtocolError("the provider's stream was empty")
    return held


def _raise_failure(relay: Relay[Any]) -> None:
    if relay.reading.failed is not None:
        raise relay.reading.failed
    if relay.broken is not None:
        raise relay.broken


async def _read_out(chunks: AsyncIterator[bytes]) -> None:
    """Read what follows a stream's terminal frame, mostly nothing, so that its connection can be used again."""
    try:
        async with asyncio.timeout(_READ_OUT_S):
            async for _ in chunks:
                pass
    except (UpstreamError, TimeoutError):
        return  # the answer was whole; only the connection is lost


async def _read(response: HttpResponse, limit_bytes: int, *, cut: bool = False) -> bytes:
    """The body. Longer than `limit_bytes` it is an error, or, with `cut`, only its beginning.

    Raises: UpstreamError.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in response:
            pieces.append(piece)
            size += len(piece)
            if size > limit_bytes:
                if cut:
                    break
                raise UpstreamProtocolError(f"the provider's answer exceeds {limit_bytes} bytes")
    except (StreamInterrupted, UpstreamTimeout):
        if not cut:
            raise
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _text_of(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart))
