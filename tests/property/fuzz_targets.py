"""Every decoder as a function of bytes that raises nothing: what it may raise, by its own word, is caught here, and nothing else is.

A client's bytes are read or refused as `InvalidRequest`, a vendor's are read or are an `UpstreamError`. What has been read is written
on in every other dialect, for a value that nobody can write is no less a surprise than one that nobody can read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from pulse_gateway.errors import InvalidRequest, UpstreamError
from pulse_gateway.providers.offer import Download, OfferCall
from pulse_gateway.providers.registry import KINDS, provider
from pulse_gateway.providers.shape_offer import ShapeOffer
from pulse_gateway.types.audio import AudioFile, SpeechRequest, TranscriptionRequest
from pulse_gateway.types.catalog import Capabilities, Deployment, Model
from pulse_gateway.types.chat import TextPart
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingRequest
from pulse_gateway.types.http import Headers, HttpAnswer, HttpRequest, Payload
from pulse_gateway.types.images import ImageFile, ImageRequest
from pulse_gateway.types.moderations import ModerationRequest
from pulse_gateway.types.rerank import RerankRequest
from pulse_gateway.types.videos import VideoRequest
from pulse_gateway.wire.bedrock_converse.errors import stream_error
from pulse_gateway.wire.eventstream import EventStreamDecoder
from pulse_gateway.wire.json_splice import remove_member, set_members
from pulse_gateway.wire.multipart import parse_form, set_field
from pulse_gateway.wire.operation_relay import WatchedRelay
from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.registry import (
    DIALECTS,
    OPERATIONS,
    UPSTREAM_DIALECTS,
    codec,
    operation_codec,
    upstream_codec,
)
from pulse_gateway.wire.relay import Relay
from pulse_gateway.wire.sse import SSEDecoder
from pulse_gateway.wire.translate import Translate

__all__ = ["ASKED", "BOUNDARY", "FORM", "TARGETS", "Target"]

Target = Callable[[bytes], None]

BOUNDARY = "b0undary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
# Of which nothing is known, so that only the dialect itself limits what can be said.
_MODELS = {
    "openai.chat": Model(provider="openai", name="gpt-x"),
    "openai.responses": Model(provider="openai", name="gpt-r"),
    "anthropic.messages": Model(
        provider="anthropic", name="claude-x", capabilities=Capabilities(system_mid_conversation=True)
    ),
    "gemini": Model(provider="google", name="gemini-x"),
    "bedrock.converse": Model(provider="bedrock", name="us.anthropic.claude-x-v1:0"),
    "replicate.predictions": Model(provider="replicate", name="openai/gpt-4.1"),
}
_PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
ASKED: dict[str, Any] = {
    "embeddings": EmbeddingRequest(model="m", input=(EmbeddingInput("a"),)),
    "moderation": ModerationRequest(model="m", input=((TextPart("a"),),)),
    "rerank": RerankRequest(model="m", query="q", documents=("a",)),
    "count_tokens": operation_codec("anthropic.count_tokens").decode_request(
        Payload(b'{"model":"m","messages":[{"role":"user","content":"a"}]}')
    ),
    "images": ImageRequest(model="m", prompt="p"),
    "image_edits": ImageRequest(model="m", prompt="p", images=(ImageFile(data=_PNG, media_type="image/png"),)),
    "speech": SpeechRequest(model="m", input="i", voice="v"),
    "transcription": TranscriptionRequest(model="m", file=AudioFile(data=b"a", media_type="audio/mp3", name="a.mp3")),
    "translation": TranscriptionRequest(model="m", file=AudioFile(data=b"a", media_type="audio/mp3", name="a.mp3")),
    "videos": VideoRequest(model="m", prompt="p", seconds=4, size="1280x720"),
}
"""What was asked, where an answer is read in the light of it."""


# ── clients ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _chat_request(dialect: str, body: bytes) -> None:
    spoken = codec(dialect)
    named: dict[str, Any] = {"model": "alias", "stream": len(body) % 2 == 0} if dialect == "gemini" else {}
    with suppress(InvalidRequest):
        spoken.read_envelope(body, **named)
        spoken.rewrite_request(body, model="other", show_usage=True)
    with suppress(InvalidRequest):
        request = spoken.decode_request(body, **named)
        for other, model in _MODELS.items():
            with suppress(InvalidRequest):
                upstream_codec(other).encode_request(request, model)


def _operation_request(dialect: str, body: bytes) -> None:
    spoken = operation_codec(dialect)
    payload = Payload(body, FORM) if body.startswith(b"--") else Payload(body)
    model = "alias" if dialect.startswith("gemini.") else None
    with suppress(InvalidRequest):
        spoken.read_envelope(payload, model=model)
        if hasattr(spoken, "rewrite_request"):
            spoken.rewrite_request(payload, model="other")
    with suppress(InvalidRequest):
        request = spoken.decode_request(payload, model=model)
        if hasattr(spoken, "encode_request"):
            spoken.encode_request(request, Model(provider="p", name="m"))


def _form(body: bytes) -> None:
    with suppress(InvalidRequest):
        parse_form(Payload(body, FORM))
    with suppress(InvalidRequest):
        set_field(Payload(body, FORM), "model", "other")
    with suppress(InvalidRequest):  # and what comes before the form is as strange as the form
        parse_form(Payload(b"--" + body, "multipart/form-data; boundary=" + body[:40].decode("latin-1")))


def _splice(body: bytes) -> None:
    with suppress(InvalidRequest):
        set_members(body, model="other", added=1)
    with suppress(InvalidRequest):
        remove_member(body, "model")


# ── vendors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _chat_reply(dialect: str, body: bytes) -> None:
    if dialect in DIALECTS:
        with suppress(UpstreamError):
            codec(dialect).read_reply(body, Reading())
    with suppress(UpstreamError):
        reply = upstream_codec(dialect).decode_reply(body)
        Reading().observe_reply(reply)
        for client in DIALECTS:
            with suppress(UpstreamError):
                codec(client).encode_reply(reply)


def _operation_reply(dialect: str, body: bytes) -> None:
    spoken = operation_codec(dialect)
    payload, request = Payload(body), ASKED[spoken.operation]
    with suppress(UpstreamError):
        spoken.read_reply(payload, Reading())
    with suppress(UpstreamError):
        reply = spoken.decode_reply(payload, request)
        spoken.encode_reply(reply, request)


def _chat_stream(dialect: str, body: bytes) -> None:
    _relayed(Passthrough(codec(dialect), "alias"), body)
    _relayed(Passthrough(codec(dialect), "alias", hide_usage=True), body)


def _translated_stream(dialect: str, client: str, body: bytes) -> None:
    _relayed(Translate(upstream_codec(dialect), codec(client), "alias", "req", include_usage=True), body)


def _relayed(relay: Relay[bytes], body: bytes) -> None:
    """A relay raises nothing at all."""
    for piece in _halves(body):
        relay.feed_pieces(piece)
    relay.finish()
    if relay.broken is not None:
        relay.render_error(relay.broken, "req")


def _operation_stream(dialect: str, body: bytes) -> None:
    _relayed(WatchedRelay(operation_codec(dialect)), body)


def _frames(decoder: Any, body: bytes) -> None:
    whole, split = decoder(), decoder()
    with suppress(UpstreamError):
        expected = [*whole.feed(body), *whole.finish()]
        with suppress(UpstreamError):
            found = [frame for piece in _halves(body) for frame in split.feed(piece)]
            found += split.finish()
            # A blank line more may be part of one frame or of none.
            told = [[(each.event, each.data) for each in frames if each.data] for frames in (found, expected)]
            assert told[0] == told[1]


def _halves(body: bytes) -> Iterable[bytes]:
    middle = len(body) // 2
    return body[:middle], body[middle:]


_STATUSES = (200, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529, 302)


def _error(kind: str, body: bytes) -> None:
    """The status and the wait are taken from the bytes as well."""
    wait = body[:20].decode("latin-1")
    headers: Headers = (("retry-after-ms", wait), ("retry-after", wait), ("date", wait), ("x-amzn-errortype", wait))
    for status in _STATUSES:
        found = provider(kind).error(status, headers, body)
        assert isinstance(found, UpstreamError)
        assert len(found.message) < 2000
        for client in DIALECTS:
            codec(client).encode_error(found, "req")


def _converse_error(body: bytes) -> None:
    assert isinstance(stream_error(body[:30].decode("latin-1"), body), UpstreamError)


def _deployment(kind: str, name: str) -> Deployment:
    return Deployment(
        provider=kind, kind=kind, key="k", base_url="https://vendor.test", model=Model(provider=kind, name=name)
    )


# Some vendors tell by a model's name what it can do.
_NAMES = {"stability": ("sd3.5-large", "stable-image-core"), "google": ("gemini-x", "imagen-4", "veo-3.1"), "vertex": ("gemini-x", "imagen-4", "veo-3.1"),
          "bedrock": ("cohere.embed-v4", "amazon.titan-embed-text-v2:0", "cohere.rerank-v3-5:0"), "replicate": ("owner/name",)}  # fmt: skip
_MOST_STEPS = 12


def _offer(kind: str, operation: str, body: bytes) -> None:
    """Every answer on the way is the same."""
    for name in _NAMES.get(kind, ("m",)):
        deployment = _deployment(kind, name)
        offer: Any = provider(kind).offer(operation, deployment)
        if offer is None:
            continue
        call, request = OfferCall(deployment=deployment), ASKED[operation]
        with suppress(UpstreamError, InvalidRequest):
            _walk(offer.steps(request, call), body)
        if operation == "videos":
            with suppress(UpstreamError):
                state = _walk(offer.look("job", call), body)
                if state is not None and state.status == "completed":
                    _walk(offer.fetch(state, call), body)


def _walk(steps: Any, body: bytes) -> Any:
    answer: HttpAnswer | None = None
    for _ in range(_MOST_STEPS):
        try:
            step = steps.send(answer)
        except StopIteration as done:
            return done.value
        kind = "application/json" if body.startswith((b"{", b"[")) else "image/png"
        asked = isinstance(step, HttpRequest | Download)
        answer = HttpAnswer(200, (("content-type", kind),), body) if asked else None
    steps.close()
    return None


# ── all of them ───────────────────────────────────────────────────────────────────────────────────────────────────────


_CHAT = [*DIALECTS, *UPSTREAM_DIALECTS]
_SPOKEN = [name for name in OPERATIONS if hasattr(operation_codec(name), "decode_reply")]
_ERRORS = ("openai", "anthropic", "google", "vertex", "bedrock", "azure", "replicate", "stability", "mistral")
_OFFERED = [
    (kind, operation)
    for kind in KINDS
    for operation in ASKED
    if any(
        not isinstance(provider(kind).offer(operation, _deployment(kind, name)), ShapeOffer | None)
        for name in _NAMES.get(kind, ("m",))
    )
]

TARGETS: dict[str, Target] = {
    **{f"request/{name}": partial(_chat_request, name) for name in DIALECTS},
    **{f"request/{name}": partial(_operation_request, name) for name in OPERATIONS},
    "request/form": _form,
    "request/splice": _splice,
    **{f"reply/{name}": partial(_chat_reply, name) for name in _CHAT},
    **{f"reply/{name}": partial(_operation_reply, name) for name in _SPOKEN},
    **{f"stream/{name}": partial(_chat_stream, name) for name in DIALECTS},
    **{
        f"translate/{name}/{client}": partial(_translated_stream, name, client)
        for name in _CHAT
        for client in DIALECTS
        if client != name
    },
    **{f"stream/{name}": partial(_operation_stream, name) for name in _SPOKEN},
    "frames/sse": partial(_frames, SSEDecoder),
    "frames/eventstream": partial(_frames, EventStreamDecoder),
    **{f"error/{kind}": partial(_error, kind) for kind in _ERRORS},
    "error/converse": _converse_error,
    **{f"offer/{kind}/{operation}": partial(_offer, kind, operation) for kind, operation in _OFFERED},
}
"""By name, `group/dialect`."""
