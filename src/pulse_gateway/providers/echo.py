"""The built-in provider that answers with what it was told, offline. It speaks OpenAI's dialect to `transport/echo.py`."""

from __future__ import annotations

from pulse_gateway.errors import UpstreamError
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.openai_chat.errors import upstream_error

__all__ = ["ECHO", "EchoProvider"]


class EchoProvider(Provider):
    kind = "echo"
    dialect = "openai.chat"
    base_url = "echo:"
    passed_headers: frozenset[str] = frozenset()

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        return HttpRequest("POST", "echo:/chat/completions", call.trace_headers, call.body)

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        """It takes whatever its dialect has."""

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        return HttpRequest("GET", "echo:/models", headers)

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        return upstream_error(status, headers, body)


ECHO = EchoProvider()
