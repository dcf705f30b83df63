from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
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
)
from pulse_gateway.ledger.ledger import Ledger
from pulse_gateway.moderation.chain import Chain
from pulse_gateway.pipeline.answer import (
    MAX_ERROR_BYTES,
    MAX_REPLY_BYTES,
    closing,
    read_out,
    read_whole,
    send_whole,
    until_committed,
)
from pulse_gateway.pipeline.attempt import Attempt
from pulse_gateway.pipeline.chat_steps import SteppedChat
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.inline import Inline
from pulse_gateway.pipeline.moderate import answer_window, review
from pulse_gateway.pipeline.prepare import Prepared, prepare
from pulse_gateway.pipeline.refusal import respelled
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.steps import ClientLeft
from pulse_gateway.pipeline.stream import Drains, StreamBody
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.providers.provider import Provider
from pulse_gateway.transport.transport import HttpResponse, Transport
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import Part, TextPart
from pulse_gateway.types.http import HttpAnswer, HttpRequest, header
from pulse_gateway.types.usage import Outcome
from pulse_gateway.wire.codec import UpstreamCodec
from pulse_gateway.wire.passthrough import Mended, Passthrough
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.relay import Native, Relay
from pulse_gateway.wire.translate import Translate

__all__ = ["Call"]

_COMPLETED = Outcome.COMPLETED


class Call:
    """Ask one deployment once. Returns at the commit point: with the whole answer, or with the first good event of a stream."""

    def __init__(
        self,
        *,
        transport: Transport,
        provider_of: Callable[[str], Provider],
        codec_of: Callable[[str], UpstreamCodec],
        inline: Inline,
        steps: SteppedChat,
        ledger: Ledger,
        clock: Clock,
        supervisor: Supervisor,
        drains: Drains,
        chain: Chain,
        hold_chars: int,
    ) -> None:
        self._transport, self._provider_of, self._codec_of = transport, provider_of, codec_of
        self._inline, self._steps = inline, steps
        self._ledger, self._clock, self._supervisor = ledger, clock, supervisor
        self._drains, self._chain, self._hold_chars = drains, chain, hold_chars

    async def __call__(self, exchange: Exchange) -> Reply:
        deployment = exchange.deployment
        assert deployment is not None and exchange.envelope is not None  # chosen before
        provider = self._provider_of(deployment.kind)
        spoken = None if exchange.chat is None else exchange.chat.dialect
        upstream = self._codec_of(provider.dialect_of(spoken, lambda: exchange.request, deployment))
        files = None if spoken == upstream.dialect else await self._inline(exchange, upstream, deployment.model)
        prepared = prepare(exchange, deployment, provider, upstream, files)
        exchange.dropped = prepared.dropped
        attempt = Attempt(exchange, deployment, ledger=self._ledger, clock=self._clock)
        response: HttpResponse | None = None
        sent = self._clock.monotonic()
        try:
            request = prepared.request
            if prepared.steps is not None:
                steps = prepared.steps(exchange.deadline - sent)
                response = await self._steps.answer(steps, provider, deployment, exchange, attempt)
            else:
                if provider.authorize is not None:
                    request = await provider.authorize(request, deployment, partial(self._send_whole, deployment))
                response = await self._transport.send(
                    request, deployment.timeouts, proxy=deployment.proxy, on_send=attempt.sent
                )
                if not 200 <= response.status < 300:
                    body = await read_whole(response, MAX_ERROR_BYTES, cut=True)
                    error = provider.error(response.status, response.headers, body)
                    raise _named_by_the_client(error, exchange, prepared, upstream)
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
            ending = Outcome.CANCELLED if cancelled else Outcome.FAILED
            attempt.end(
                Outcome.CLIENT_GONE if isinstance(error, ClientLeft) else ending,
                error if isinstance(error, PulseError) else None,
            )
            await self._leave(response)
            raise
        finally:
            exchange.upstream_ms += (self._clock.monotonic() - sent) * 1000
        if (leaving := closing(response)) is not None:
            await leaving
        return reply

    async def _whole(
        self, exchange: Exchange, attempt: Attempt, prepared: Prepared, upstream: UpstreamCodec, response: HttpResponse
    ) -> Reply:
        body = await read_whole(response, MAX_REPLY_BYTES)
        attempt.first_byte()
        reading = Reading()
        value = None
        if prepared.verbatim:
            assert exchange.chat is not None
            text = exchange.chat.read_reply(body, reading)
            body = body if prepared.mender is None else prepared.mender.mend(body)
        else:
            value = upstream.decode_reply(body)
            if not value.model and exchange.envelope is not None:  # as the encoders of streams do
                value = msgspec.structs.replace(value, model=exchange.envelope.model)
            reading.observe_reply(value)
            text = "\n".join(_text_of(choice.parts) for choice in value.choices)
        attempt.reading = reading
        if self._chain.reviews_answers and text:
            try:
                await self._review(exchange, text)
            except ContentBlocked as error:
                attempt.end(Outcome.BLOCKED, error)
                raise
        if value is not None and exchange.chat is not None:
            try:
                body = exchange.chat.encode_reply(value)
            except UpstreamError as error:
                raise AnswerNotExpressible(error.message) from error
        attempt.end(_COMPLETED)
        if value is not None and exchange.client is None:
            return Reply(200, [], value=msgspec.structs.replace(value, cost_nano_usd=exchange.cost_nano_usd))
        return Reply(200, [("content-type", "application/json")], body)

    async def _stream(
        self,
        exchange: Exchange,
        deployment: Deployment,
        attempt: Attempt,
        prepared: Prepared,
        upstream: UpstreamCodec,
        response: HttpResponse,
    ) -> Reply:
        content_type = header(response.headers, "content-type") or ""
        if not content_type.startswith(upstream.framing.content_type):
            raise UpstreamProtocolError(
                f"asked for a stream, the provider answered with {content_type or 'no content type'!r}"
            )
        relay = _relay(exchange, prepared, upstream)
        chunks = aiter(response)
        window = answer_window(self._chain, exchange, self._hold_chars)
        try:
            held = await until_committed(relay, chunks, reviewed=window is not None)
        finally:
            if relay.reading.started:  # what the vendor has said of its usage counts, though it went no further
                attempt.reading = relay.reading
        attempt.first_byte()

        def finish(exchange: Exchange) -> Awaitable[None] | None:
            attempt.end(exchange.outcome, exchange.error)  # first: closing may hang or fail
            if relay.reading.ended and response.read_now() is None:
                return _read_out(chunks, response)
            return closing(response)

        exchange.defer(finish)
        body = StreamBody(
            exchange,
            chunks,
            relay,
            held,
            window=window,
            clock=self._clock,
            drains=self._drains,
            may_drain=deployment.abandoned == "drain",
            idle_s=deployment.timeouts.idle_s,
            mark=attempt.mark,
            settle=attempt.end,
        )
        headers = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
        ]
        keep_alive = exchange.client.keep_alive if exchange.client is not None else None
        return Reply(200, headers, stream=body, keep_alive=keep_alive)

    async def _review(self, exchange: Exchange, answer: str) -> None:
        """Raises: ContentBlocked."""
        asked = self._clock.monotonic()
        try:
            await review(self._chain, exchange, answer, "answer")
        finally:
            waited_ms = (self._clock.monotonic() - asked) * 1000
            exchange.moderation_ms = waited_ms + (exchange.moderation_ms or 0.0)
            exchange.upstream_ms -= waited_ms  # within whose time it lies

    async def _send_whole(self, deployment: Deployment, request: HttpRequest) -> HttpAnswer:
        return await send_whole(self._transport, request, deployment)

    async def _leave(self, response: HttpResponse | None) -> None:
        """Close on a task of our own: the current one may be in the middle of being cancelled."""
        if response is not None:
            await asyncio.shield(self._supervisor.spawn(response.aclose()))


async def _read_out(chunks: AsyncIterator[bytes], response: HttpResponse) -> None:
    await read_out(chunks)
    await response.aclose()


def _named_by_the_client(
    error: UpstreamError, exchange: Exchange, prepared: Prepared, upstream: UpstreamCodec
) -> UpstreamError:
    client = exchange.chat
    if client is not None and error.param is not None:
        vendors = getattr(upstream, "field_paths", {})
        body, verbatim = exchange.inbound.body, prepared.verbatim
        error.param = respelled(error.param, vendors, client.field_paths, body, verbatim=verbatim)
    return error


def _relay(exchange: Exchange, prepared: Prepared, upstream: UpstreamCodec) -> Relay[Any]:
    client, envelope = exchange.chat, exchange.envelope
    assert envelope is not None
    if client is None:
        return Native(upstream.decoder(), upstream.framing)
    if not prepared.verbatim:
        return Translate(upstream, client, envelope.model, exchange.request_id, include_usage=envelope.include_usage)
    if prepared.mender is not None:
        return Mended(client, envelope.model, prepared.mender, hide_usage=prepared.hide_usage)
    return Passthrough(client, envelope.model, hide_usage=prepared.hide_usage)


def _text_of(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart))
