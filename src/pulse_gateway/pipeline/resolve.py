from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from functools import lru_cache
from typing import Protocol

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import CHAT, Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import AudioPart, ChatRequest, DocumentPart, ImagePart, TextPart, ToolResultPart
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.registry import version_check

__all__ = ["Resolve", "Router", "read_envelope"]

_LONGEST_MODEL_NAME = 256
_STEP_ASIDE = re.compile(
    r"(?:^|[/:\\])\.{1,2}(?:$|[/:\\])"
)  # which leads elsewhere where a name becomes part of an address


class Router(Protocol):
    def candidates(self, model: str, /) -> Sequence[Deployment]:
        """Raises: ModelNotFound."""
        ...


class Resolve:
    """Read what the gateway acts on, and find the deployments that can answer. Waits for nothing."""

    def __init__(self, inner: Handler, *, router: Router) -> None:
        self._inner, self._router = inner, router

    def __call__(self, exchange: Exchange) -> Awaitable[Reply]:
        envelope = exchange.envelope = read_envelope(exchange)
        exchange.candidates = self._router.candidates(_clean(envelope.model))
        return self._inner(exchange)


def read_envelope(exchange: Exchange) -> Envelope:
    """What the gateway acts on. Raises: InvalidRequest."""
    inbound = exchange.inbound
    if inbound.envelope is not None:
        return inbound.envelope
    if (check := version_check(inbound.dialect)) is not None:
        check(inbound.headers, inbound.body)
    if inbound.operation != CHAT:
        assert exchange.face is not None  # a native operation comes with its envelope
        return exchange.face.read_envelope(exchange.payload, model=inbound.model, stream=inbound.stream)
    if exchange.chat is None:
        return _envelope_of(exchange.request)
    return exchange.chat.read_envelope(inbound.body, model=inbound.model, stream=inbound.stream)


@lru_cache(maxsize=1_024)
def _clean(model: str) -> str:
    """The name, if it can stand in headers, logs and rows.

    Raises: InvalidRequest.
    """
    if not model or len(model) > _LONGEST_MODEL_NAME or not model.isprintable():
        raise InvalidRequest(
            f"the model's name must be 1 to {_LONGEST_MODEL_NAME} printable characters without line breaks",
            param="model",
        )
    if _STEP_ASIDE.search(model):
        raise InvalidRequest("the model's name must not hold the steps . and ..", param="model")
    return model


def _envelope_of(request: ChatRequest) -> Envelope:
    if not request.messages:
        raise InvalidRequest("there are no messages", param="messages")
    texts: list[str] = []
    attachments = 0
    for message in request.messages:
        for part in message.parts:
            for piece in part.parts if isinstance(part, ToolResultPart) else (part,):
                if isinstance(piece, TextPart):
                    texts.append(piece.text)
                elif isinstance(piece, ImagePart | AudioPart | DocumentPart):
                    attachments += 1
    return Envelope(
        model=request.model,
        stream=request.stream,
        texts=texts,
        attachments=attachments,
        max_output_tokens=request.max_output_tokens,
        n=request.n or 1,
    )
