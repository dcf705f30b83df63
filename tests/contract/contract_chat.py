"""Checks of a chat: its request and its answer through a whole gateway, what the answer means, and that its slices do not matter."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from contract_cases import Case, payload_of
from contract_meaning import error_meaning, reply_meaning, stream_meaning
from contract_requests import check_request

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import ProviderConfig, RetriesConfig
from pulse_gateway.errors import StreamInterrupted, UpstreamError
from pulse_gateway.providers import registry
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.events import Event
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Timeouts, header
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.codec import Codec, UpstreamCodec
from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.relay import Relay
from pulse_gateway.wire.replicate_predictions.stream import closing_frame
from pulse_gateway.wire.sse import SSEDecoder
from pulse_gateway.wire.translate import Translate

__all__ = ["check_chat", "check_meaning"]

_MOST_SPLITS = 20
_STREAM = "text/event-stream"
_SEALED = ("proofs",)
_EVENTS = re.compile(rb".+?(?:\n\n|\r\n\r\n|\Z)", re.DOTALL)


class _Scripted:
    """A `Transport` of answers, one after the other."""

    def __init__(self, answers: list[HttpAnswer]) -> None:
        self.answers = iter(answers)
        self.made: list[HttpRequest] = []

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> _Response:
        self.made.append(request)
        if on_send is not None:
            on_send()
        answer = next(self.answers, None)
        assert answer is not None, "nothing more was to be sent"
        return _Response(answer)

    async def aclose(self) -> None: ...


class _Response:
    """An `HttpResponse`, whose events arrive one by one."""

    def __init__(self, answer: HttpAnswer) -> None:
        self.status, self.headers, self._answer = answer.status, answer.headers, answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for frame in _frames(self._answer):
            yield frame

    def read_now(self) -> bytes | None:
        return None

    async def aclose(self) -> None: ...


def _frames(answer: HttpAnswer) -> Iterator[bytes]:
    body = answer.body
    if header(answer.headers, "content-type") != "application/vnd.amazon.eventstream":
        yield from _EVENTS.findall(body)
        return
    while body:
        size = int.from_bytes(body[:4], "big")
        yield body[:size]
        body = body[size:]


async def check_chat(case: Case) -> None:
    """What reaches the vendor, and what reaches the client."""
    vendor, said, expected = case.vendor, case.client, case.expected
    scripted = _Scripted(case.answers)
    config = Config(
        providers={vendor.name: ProviderConfig(kind=vendor.kind, key=vendor.key or None, base_url=vendor.base_url)},
        retries=RetriesConfig(attempts=1),
    )
    async with Gateway(config, transport=scripted, observers=()) as gateway:
        body = payload_of(said)
        inbound = Inbound(
            dialect=said["dialect"],
            body=body.data,
            model=said.get("model"),
            stream=said.get("stream"),
            headers=tuple(said.get("headers", {}).items()),
            principal=gateway.principal("somebody"),
        )
        async with await gateway.handle(inbound) as reply:
            told = b"".join([data async for data in reply])
    for made, wanted in zip(scripted.made, case.requests, strict=True):
        check_request(made, wanted)
    client = wire.codec(said["dialect"])
    headers = dict(reply.headers)
    assert headers.get("x-pulse-dropped") == said.get("dropped")
    error = expected.get("error") or expected.get("refused")
    if error is not None:
        committed = expected.get("committed", False)
        assert reply.status == (200 if committed else error["status"]), told
        passed_on = case.is_stream and told == case.answers[0].body  # the vendor's own words for it
        assert passed_on or error["code"] in told.decode().lower()
        if "param" in expected:
            assert f'"param":"{expected["param"]}"' in told.decode()
        assert headers.get("retry-after") == expected.get("retry_after")
        return
    assert reply.status == 200, told
    if case.is_stream and client.dialect == _spoken(case).dialect and not said.get("hidden_usage"):
        assert told == case.answers[0].body
    seen = stream_meaning(_client_events(client, told)) if case.is_stream else reply_meaning(client.decode_reply(told))
    wanted = {**expected, **expected.get("client", {})}
    for unsaid in ("client", *_SEALED):  # how a proof travels through another vendor's client is ours alone
        wanted.pop(unsaid, None)
    seen = {name: value for name, value in seen.items() if name not in _SEALED}
    assert seen == {name: value for name, value in wanted.items() if value is not None}


def check_meaning(case: Case) -> None:
    """What the answer means, whole and in any slices; and that a client is told the same either way."""
    expected = {
        name: value for name, value in case.expected.items() if name not in {"client", "committed", "retry_after"}
    }
    if "refused" in expected:
        return
    answer, upstream = _as_one(case.answers), _spoken(case)
    if not 200 <= answer.status < 300:
        provider = registry.provider(case.vendor.kind)
        assert {"error": error_meaning(provider.error(answer.status, answer.headers, answer.body))} == expected
        return
    if not case.is_stream:
        try:
            meaning = reply_meaning(upstream.decode_reply(answer.body))
        except UpstreamError as error:
            meaning = {"error": error_meaning(error)}
        assert meaning == expected
        return
    for slices in _slices(answer.body):
        assert _meaning(upstream, slices) == expected
    client = wire.codec(case.client["dialect"])
    whole, single = (
        stream_meaning(_client_events(client, b"".join(_rendered(_relay(upstream, client), slices))))
        for slices in ([answer.body], [answer.body[at : at + 1] for at in range(len(answer.body))])
    )
    assert single == whole


def _as_one(answers: list[HttpAnswer]) -> HttpAnswer:
    """The last of several is what they come to; behind a stream it is handed on as one more frame of that."""
    *before, last = answers
    stream = next((each for each in before if (header(each.headers, "content-type") or "").startswith(_STREAM)), None)
    return last if stream is None else msgspec.structs.replace(stream, body=stream.body + closing_frame(last.body))


def _spoken(case: Case) -> UpstreamCodec:
    """What the vendor speaks in this case: as its address tells, where it speaks several."""
    dialect = "openai.responses" if case.requests[0]["url"].endswith("/responses") else None
    return wire.upstream_codec(dialect or registry.provider(case.vendor.kind).dialect)


def _slices(body: bytes) -> Iterator[list[bytes]]:
    """One byte at a time, and cut in two: anywhere in a short stream, in as many places as are affordable in a long one."""
    yield [body]
    yield [body[at : at + 1] for at in range(len(body))]
    for at in range(1, len(body), max(1, len(body) // _MOST_SPLITS)):
        yield [body[:at], body[at:]]


def _meaning(upstream: UpstreamCodec, slices: list[bytes]) -> dict[str, Any]:
    frames, decoder, events = upstream.framing.decoder(), upstream.decoder(), list[Event]()
    try:
        for data in slices:
            for frame in frames.feed(data):
                events += decoder.decode(frame)
        for frame in frames.finish():
            events += decoder.decode(frame)
        events += decoder.finish()
    except UpstreamError as error:
        meaning = stream_meaning(events)
        meaning.pop("interrupted", None)
        return {**meaning, "error": error_meaning(error)}
    meaning = stream_meaning(events)
    if meaning.pop("interrupted", False):
        meaning["error"] = error_meaning(StreamInterrupted(""))
    return meaning


def _relay(upstream: UpstreamCodec, client: Codec) -> Relay[bytes]:
    if client.dialect == upstream.dialect:
        return Passthrough(client, "model")
    return Translate(upstream, client, "model", "id", include_usage=True)


def _rendered(relay: Relay[bytes], slices: list[bytes]) -> Iterator[bytes]:
    for data in slices:
        yield from relay.feed(data)
    for piece in relay.finish():
        yield piece.item


def _client_events(client: Codec, told: bytes) -> list[Event]:
    frames, decoder, events = SSEDecoder(), client.decoder(), list[Event]()
    for frame in [*frames.feed(told), *frames.finish()]:
        events += decoder.decode(frame)
    return events + decoder.finish()
