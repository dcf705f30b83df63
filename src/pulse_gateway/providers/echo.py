"""The built-in provider that answers with what it was told, offline. It speaks OpenAI's dialect to `transport/echo.py`."""

from __future__ import annotations

from pulse_gateway.errors import UnsupportedParameter, UpstreamError
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import AudioPart, ChatRequest, DocumentPart, ImagePart
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.openai_chat.errors import upstream_error

__all__ = ["ECHO", "EchoProvider"]


class EchoProvider(Provider):
    kind = "echo"
    dialect = "openai.chat"
    base_url = "echo:"

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        return HttpRequest("POST", "echo:/chat/completions", call.trace_headers, call.body)

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        """Raises: UnsupportedParameter for what repeating a text cannot honour."""
        form = request.response_format
        asked = {
            "tools": bool(request.tools),
            "response_format": form is not None and form.kind != "text",
            "n": (request.n or 1) > 1,
        }
        field = next((name for name, is_asked in asked.items() if is_asked), None)
        if field is None:
            media = ImagePart | AudioPart | DocumentPart
            holders = (each.path for each in request.messages if any(isinstance(part, media) for part in each.parts))
            field = next(holders, None)
        if field is not None:
            raise UnsupportedParameter(f"the model {deployment.name} only repeats what it is told", param=field)

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        return HttpRequest("GET", "echo:/models", headers)

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        return upstream_error(status, headers, body)


ECHO = EchoProvider()
