"""Where bytes leave the process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

__all__ = ["DIRECT", "HTTP2", "HttpResponse", "OnSend", "Transport"]

OnSend = Callable[[], None]

DIRECT = "direct:"
"""For `proxy`: through none, but by the client that knows of proxies."""

HTTP2 = "http2:"
"""Before a `proxy`, or DIRECT: by HTTP/2 where the provider speaks it."""


class HttpResponse(Protocol):
    """An answer whose head has arrived. Leave it with `aclose`, read to the end or not.

    `status` is final: 1xx answers are not shown.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body, in the slices in which it arrives; what has arrived together may be one slice.

        Raises: StreamInterrupted when it ends too early, UpstreamTimeout after `idle_s` without a byte, or `total_s` from the beginning.
        """
        ...

    def read_now(self) -> bytes | None:
        """The rest of the body, if all of it is here; None otherwise, and then nothing is taken. Never waits."""
        ...

    async def aclose(self) -> None: ...


class Transport(Protocol):
    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> HttpResponse:
        """`on_send` is called once, right before the last bytes of the request leave: from then on the provider may act on it.

        Raises: UpstreamUnreachable, UpstreamDisconnected, UpstreamTimeout (no head in `first_byte_s`), UpstreamProtocolError.
        """
        ...

    async def aclose(self) -> None: ...
