"""An operation that a vendor has copied from OpenAI, or from whoever shaped it first: the same body at the same path."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest, Payload, header
from pulse_gateway.types.images import ImageRequest
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.operation import OperationCodec

__all__ = ["PATHS", "ShapeOffer", "Shaped"]

PATHS = {
    "openai.chat": "/chat/completions",
    "openai.chat.aloud": "/chat/completions",
    "openai.responses": "/responses",
    "openai.embeddings": "/embeddings",
    "openai.images.generations": "/images/generations",
    "openai.images.edits": "/images/edits",
    "openai.speech": "/audio/speech",
    "openai.transcriptions": "/audio/transcriptions",
    "openai.translations": "/audio/translations",
    "openai.moderations": "/moderations",
    "openai.responses.input_tokens": "/responses/input_tokens",
    "cohere.rerank": "/rerank",
}
"""Dialect → where it is spoken, below the base address, by whoever copied that too."""


class Shaped(Protocol):
    """What such an offer needs of its vendor."""

    def path(self, dialect: str, /) -> str:
        """Where it speaks `dialect`, below the base address."""
        ...

    def url(self, deployment: Deployment, path: str, /) -> str: ...

    def headers(self, call: OfferCall, /) -> Headers:
        """All but the content type and what is accepted."""
        ...

    def check_operation(self, operation: str, request: Any, deployment: Deployment, /) -> None:
        """Raises: UnsupportedParameter with the neutral field name, for what the vendor left out of the copy."""
        ...

    def spelled(self, dialect: str, body: Payload, deployment: Deployment, /) -> Payload:
        """A body of `dialect` as this vendor writes it. Raises: UnsupportedParameter for what it would misunderstand."""
        ...

    def unsaid(self, dialect: str, body: Payload, /) -> tuple[str, ...]:
        """Members of a body of `dialect` that `spelled` leaves out."""
        ...


class ShapeOffer(msgspec.Struct, frozen=True):
    """`dialect`, as `vendor` speaks it. `answers_whole`: it has no streams, although the dialect does."""

    vendor: Any  # a `Shaped`
    dialect: str
    answers_whole: bool = False

    def forward(self, body: Payload, call: OfferCall, /) -> HttpRequest:
        body = self.vendor.spelled(self.dialect, body, call.deployment)
        accepted = "text/event-stream" if call.stream else "*/*"
        headers = dict(self.vendor.headers(call))
        headers.setdefault("accept", accepted)
        headers["content-type"] = body.content_type
        return HttpRequest(
            "POST", self.vendor.url(call.deployment, self.vendor.path(self.dialect)), tuple(headers.items()), body.data
        )

    def left_out(self, body: Payload, /) -> tuple[str, ...]:
        """What a client says in `body` that `forward` does not say to the vendor."""
        return self.vendor.unsaid(self.dialect, body)  # type: ignore[no-any-return]

    def check(self, request: Any, deployment: Deployment, /) -> tuple[str, ...]:
        codec, request = self._codec(), self._asked(request)
        self.vendor.check_operation(codec.operation, request, deployment)
        return codec.encode_request(request, deployment.model).dropped

    def steps(self, request: Any, call: OfferCall, /) -> Steps[Any]:
        codec, request = self._codec(), self._asked(request)
        encoded = codec.encode_request(request, call.deployment.model)
        answer = yield from ask(self.forward(encoded.payload, msgspec.structs.replace(call, stream=False)))
        kind = header(answer.headers, "content-type") or "application/json"
        return codec.decode_reply(Payload(answer.body, kind), request)

    def _asked(self, request: Any) -> Any:
        """Events hold the bytes of pictures, so they are asked for where otherwise only an address might come."""
        if self.answers_whole and isinstance(request, ImageRequest) and request.stream:
            return msgspec.structs.replace(request, response_format="b64_json")
        return request

    def _codec(self) -> OperationCodec:
        return wire.operation_codec(self.dialect)
