"""Which transport carries which URL: `echo:` stays in the process, everything else goes out."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from pulse_gateway.transport.echo import EchoTransport
from pulse_gateway.transport.transport import HttpResponse, OnSend, Transport
from pulse_gateway.types.http import HttpRequest, Timeouts

__all__ = ["SchemeTransport"]


class SchemeTransport:
    def __init__(self, network: Transport) -> None:
        self._network = network
        self._echo = EchoTransport()

    def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Coroutine[Any, Any, HttpResponse]:
        """No coroutine of its own around the chosen one's: it would only hand on."""
        if request.url.startswith("echo:"):
            return self._echo.send(request, timeouts, proxy=proxy, on_send=on_send)
        return self._network.send(request, timeouts, proxy=proxy, on_send=on_send)

    async def aclose(self) -> None:
        await self._network.aclose()
