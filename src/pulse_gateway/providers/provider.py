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
    kind: str
    dialect: str  # of `wire.registry`: what this vendor speaks
    passed_headers: frozenset[str]  # client headers handed on when the client speaks this vendor's dialect

    def build(self, call: UpstreamCall, /) -> HttpRequest: ...

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        """Refuse what this vendor lacks although its dialect has it.

        Raises: UnsupportedParameter with the neutral field name.
        """
        ...

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        """What a non-2xx answer means."""
        ...
