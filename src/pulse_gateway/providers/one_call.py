"""An offer that is one call of a dialect in `wire.registry`: encode, ask, decode."""

from __future__ import annotations

from typing import Any, Protocol

from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest, Payload
from pulse_gateway.wire import registry as wire

__all__ = ["OneCall"]


class OneCall(Protocol):
    """Subclass it and say where and how the call is made."""

    dialect: str

    def forward(self, body: Payload, call: OfferCall, /) -> HttpRequest: ...

    def check(self, request: Any, deployment: Deployment, /) -> tuple[str, ...]:
        return wire.operation_codec(self.dialect).encode_request(request, deployment.model).dropped

    def steps(self, request: Any, call: OfferCall, /) -> Steps[Any]:
        codec = wire.operation_codec(self.dialect)
        encoded = codec.encode_request(request, call.deployment.model)
        answer = yield from ask(self.forward(encoded.payload, call))
        return codec.decode_reply(Payload(answer.body), request)
