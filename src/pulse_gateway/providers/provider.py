"""How one kind of vendor wants to be called, and what its errors mean. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from pulse_gateway.errors import UpstreamError
from pulse_gateway.providers.offer import Offer, Steps, Streamed
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Headers, HttpAnswer, HttpRequest
from pulse_gateway.wire.passthrough import Mender

__all__ = ["Authorize", "ChatSteps", "Provider", "SendWhole", "UpstreamCall"]

SendWhole = Callable[[HttpRequest], Awaitable[HttpAnswer]]
"""Sends a request and reads the whole answer, whatever its status. Raises: UpstreamError."""

Authorize = Callable[[HttpRequest, Deployment, SendWhole], Awaitable[HttpRequest]]
"""Signs a request whose vendor wants more than a header with the key: a signature over the body, a token that must be fetched first.

Raises: UpstreamUnauthorized, and what `SendWhole` raises."""


class UpstreamCall(msgspec.Struct, frozen=True, kw_only=True):
    """One chat for one deployment, in `dialect`. `client_headers` are those of the client's own that may matter to this vendor."""

    deployment: Deployment
    body: bytes
    stream: bool
    dialect: str = ""
    client_headers: Headers = ()
    trace_headers: Headers = ()


ChatSteps = Callable[[UpstreamCall, float], Steps[HttpAnswer | Streamed]]
"""A chat that takes several requests, and how many seconds are left for it. What its steps return is read in the chat's dialect."""


class Provider(Protocol):
    """Subclass it and say what differs, or be shaped like it: structs and plain classes both fit, attributes are only read.

    What a subclass has to say: kind, dialect, base_url, build, probe, error. A vendor whose API looks like OpenAI's needs no class:
    it is a row of `OpenAICompatible`.
    """

    @property
    def kind(self) -> str: ...

    @property
    def dialect(self) -> str:
        """Of `wire.registry`: what this vendor speaks; the usual one where it speaks several."""
        ...

    def dialect_of(self, client: str | None, request: Callable[[], ChatRequest], deployment: Deployment, /) -> str:
        """Which of the vendor's chat dialects a call of `deployment` is made in: the client's own where it can be.

        `request` decodes the request, which a call within one dialect otherwise never needs.
        """
        return self.dialect

    def trimmed(self, body: bytes, dialect: str, deployment: Deployment, /) -> tuple[bytes, tuple[str, ...]]:
        """A chat that a client wrote in the vendor's own `dialect`, without what this vendor refuses although it is no wish of the
        client's: another vendor's thinking in the history. And the paths of what is gone.

        `body` itself when there is nothing of that. Raises: InvalidRequest; UnsupportedParameter, in the client's spelling, for what this
        vendor would pass over in silence.
        """
        return body, ()

    def mender(self, dialect: str, /) -> Mender | None:
        """What puts right one answer in `dialect`, which goes through to a client of that dialect whose SDK would misread it.

        None: answers go through as they come.
        """
        return None

    @property
    def authorize(self) -> Authorize | None:
        """None: the headers that `build` makes are all that is needed."""
        return None

    @property
    def chat_steps(self) -> ChatSteps | None:
        """None: a chat is the one request that `build` makes, and its answer."""
        return None

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        """An operation beside chat; None: this vendor does not have it for this model.

        Asked first with the client's dialect instead of the operation, where a vendor speaks several of the same operation.
        """
        return None

    @property
    def base_url(self) -> str:
        """Where the vendor is, in the form its own SDK takes; empty if that must be configured."""
        ...

    @property
    def passed_headers(self) -> frozenset[str]:
        """Client headers handed on when the client speaks this vendor's dialect; lower case."""
        return frozenset()

    def build(self, call: UpstreamCall, /) -> HttpRequest: ...

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        """Refuse what this vendor lacks although its dialect has it.

        Raises: UnsupportedParameter with the neutral field name.
        """
        return

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        """A call that costs nothing and tells whether the address and the key are right."""
        ...

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        """What a non-2xx answer means."""
        ...
