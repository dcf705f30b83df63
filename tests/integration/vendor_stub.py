"""A vendor that answers as a test says, and remembers what it was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

__all__ = ["Vendor", "VendorAnswer"]


class VendorAnswer:
    def __init__(self, body: bytes, status: int, headers: Headers) -> None:
        self.body, self.status, self.headers = body, status, headers

    def read_now(self) -> bytes | None:
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body

    async def aclose(self) -> None: ...


class Vendor:
    """A `Transport`. `answer`: bytes, or something to be said as JSON, or what makes either of a request."""

    def __init__(self, answer: Any, status: int = 200, headers: Headers = ()) -> None:
        self.answer, self.status, self.headers = answer, status, headers
        self.requests: list[HttpRequest] = []

    @property
    def body(self) -> Any:
        """What it was sent last, decoded."""
        return msgspec.json.decode(self.requests[-1].body)

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> VendorAnswer:
        self.requests.append(request)
        if on_send is not None:
            on_send()
        made: Callable[[HttpRequest], Any] = self.answer if callable(self.answer) else lambda _: self.answer
        body = made(request)
        said = body if isinstance(body, bytes) else msgspec.json.encode(body)
        return VendorAnswer(said, self.status, (("content-type", "application/json"), *self.headers))

    async def aclose(self) -> None: ...
