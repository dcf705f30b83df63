"""Which of the two clients carries a request out: our own, or httpx where a proxy is set or the provider's configuration asks for it, or for HTTP/2."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from pulse_gateway.transport.http1.client import Http1Transport
from pulse_gateway.transport.http1.warmth import Warm, Warmth
from pulse_gateway.transport.transport import HttpResponse, OnSend
from pulse_gateway.types.http import HttpRequest, Timeouts

if TYPE_CHECKING:
    from pulse_gateway.transport.httpx_ import HttpxTransport

__all__ = ["NetworkTransport", "Reached"]


class Reached(Protocol):
    """What is to be known ahead of a provider."""

    @property
    def name(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def timeouts(self) -> Timeouts: ...
    @property
    def proxy(self) -> str | None: ...
    @property
    def warm_connections(self) -> int: ...


class NetworkTransport:
    """`Http1Transport`, and beside it `HttpxTransport` for every request that names a `proxy`, `DIRECT` among them.

    Each has at most `max_connections` in use at once to one origin. `httpx`: one that is set up otherwise than the one it would make.
    """

    def __init__(self, *, max_connections: int = 10_000, httpx: HttpxTransport | None = None) -> None:
        self._max_connections = max_connections
        self._http1 = Http1Transport(max_connections=max_connections)
        self._warmth: Warmth | None = None
        self._httpx = httpx

    def prepare(self, providers: Iterable[Reached]) -> None:
        """Have what requests to these will need now, rather than when the first of them waits for it: connections, and httpx, which is
        dear to import. To be called in a running loop, again when they change.
        """
        providers = tuple(providers)
        if any(each.proxy is not None for each in providers):
            self._through_httpx()
        warm = [
            Warm(each.name, each.base_url, each.warm_connections, each.timeouts)
            for each in providers
            if each.warm_connections
        ]
        if warm and self._warmth is None:
            self._warmth = Warmth(self._http1)
        if self._warmth is not None:
            self._warmth.keep(warm)

    def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Coroutine[Any, Any, HttpResponse]:
        """No coroutine of its own around the chosen one's: it would only hand on."""
        if proxy is None:
            return self._http1.send(request, timeouts, on_send=on_send)
        return self._through_httpx().send(request, timeouts, proxy=proxy, on_send=on_send)

    async def aclose(self) -> None:
        if self._warmth is not None:
            await self._warmth.aclose()
        await self._http1.aclose()
        if self._httpx is not None:
            await self._httpx.aclose()

    def _through_httpx(self) -> HttpxTransport:
        if self._httpx is None:
            from pulse_gateway.transport.httpx_ import HttpxTransport

            self._httpx = HttpxTransport(max_connections=self._max_connections)
        return self._httpx
