"""How one kind of vendor wants to be called, and what its errors mean. Pure."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pulse_gateway.errors import UpstreamError
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Headers, HttpRequest

__all__ = ["Provider", "UpstreamCall"]


class UpstreamCall(msgspec.Struct, frozen=True, kw_only=True):
    """One chat for one deployment. `client_headers` are those of the client's own that may matter to this vendor."""

    deployment: Deployment
    body: bytes
    stream: bool
    client_headers: Headers = ()
    trace_headers: Headers = ()


class Provider(Protocol):
    """Structs and plain classes both fit: attributes are only read."""

    @property
    def kind(self) -> str: ...

    @property
    def dialect(self) -> str:
        """Of `wire.registry`: what this vendor speaks."""
        ...

    @property
    def base_url(self) -> str:
        """Where the vendor is, in the form its own SDK takes; empty if that must be configured."""
        ...

    @property
    def passed_headers(self) -> frozenset[str]:
        """Client headers handed on when the client speaks this vendor's dialect; lower case."""
        ...

    def build(self, call: UpstreamCall, /) -> HttpRequest: ...

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        """Refuse what this vendor lacks although its dialect has it.

        Raises: UnsupportedParameter with the neutral field name.
        """
        ...

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        """A call that costs nothing and tells whether the address and the key are right."""
        ...

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        """What a non-2xx answer means."""
        ...
