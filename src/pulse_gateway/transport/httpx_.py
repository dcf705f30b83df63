"""The reference transport, on httpx's connection pool. The one file that imports httpx.

It drives `AsyncHTTPTransport` and leaves httpx's client out: redirects, cookies and content decoding are not a gateway's
business, and the client costs several times what the transport does.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx

from pulse_gateway.errors import (
    StreamInterrupted,
    UpstreamDisconnected,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from pulse_gateway.transport.lanes import Lanes
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

__all__ = ["HttpxTransport"]

# What the kernel takes of an answer that is not read, since all of it is taken over as soon as anything is read: megabytes, where
# it may grow as it likes. Enough for 2.5 MB/s over 50 ms.
_UNREAD_BYTES = 128 * 1024
_UNWRITABLE = "a request to the provider has an address or a header that HTTP cannot carry"


class HttpxTransport:
    """Keep-alive connections per origin and proxy, at most `max_connections` in use at once to each.

    Each connection is an httpx transport of its own: httpcore's pool looks at every connection for every request, which at 32
    connections costs several times what the request does.
    """

    def __init__(
        self, *, max_connections: int = 1000, keepalive_expiry_s: float = 30.0, verify: ssl.SSLContext | None = None
    ) -> None:
        self._max_connections = max_connections
        self._keepalive_expiry_s = keepalive_expiry_s
        self._verify = verify or httpx.create_ssl_context(trust_env=False)
        self._origins: dict[tuple[str, str | None], Lanes[httpx.AsyncHTTPTransport]] = {}

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> _HttpxResponse:
        # httpcore reads this dict anew for each phase, which is how the time between chunks differs from the first byte's.
        phases: dict[str, float | None] = {
            "connect": timeouts.connect_s,
            "pool": timeouts.connect_s,
            "write": timeouts.idle_s,
            "read": timeouts.first_byte_s,
        }
        try:
            outgoing = httpx.Request(
                request.method,
                request.url,
                headers=[("accept-encoding", "identity"), *request.headers],
                content=request.body,
                extensions={"timeout": phases},
            )
        except (httpx.InvalidURL, ValueError) as error:  # such addresses are named by vendors, for what they have made
            raise UpstreamProtocolError(_UNWRITABLE) from error
        if on_send is not None:
            outgoing.stream = _WatchedBody(request.body, on_send)
        lanes = self._lanes(outgoing.url, proxy)
        lane = await lanes.take(timeouts.connect_s)
        try:
            response = await _head(lane, outgoing, timeouts)
        except BaseException:  # cancellation too: a connection in an unknown state is never used again
            lanes.drop(lane)
            raise
        phases["read"] = timeouts.idle_s
        return _HttpxResponse(response, timeouts, lanes, lane)

    async def aclose(self) -> None:
        origins, self._origins = self._origins, {}
        for lanes in origins.values():
            await lanes.aclose()

    def _lanes(self, url: httpx.URL, proxy: str | None) -> Lanes[httpx.AsyncHTTPTransport]:
        key = (f"{url.scheme}://{url.netloc.decode()}", proxy)
        lanes = self._origins.get(key)
        if lanes is None:
            lanes = self._origins[key] = Lanes(
                lambda: self._open_lane(proxy), limit=self._max_connections, idle_s=self._keepalive_expiry_s
            )
        return lanes

    def _open_lane(self, proxy: str | None) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=self._keepalive_expiry_s)
        return httpx.AsyncHTTPTransport(
            limits=limits,
            verify=self._verify,
            trust_env=False,
            retries=0,
            proxy=httpx.Proxy(proxy) if proxy else None,
            socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)],
        )


class _WatchedBody(httpx.AsyncByteStream):
    """The body, asked for by httpcore once the head has been written."""

    def __init__(self, body: bytes, on_send: OnSend) -> None:
        self._body, self._on_send = body, on_send

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._on_send()
        yield self._body


async def _head(lane: httpx.AsyncHTTPTransport, request: httpx.Request, timeouts: Timeouts) -> httpx.Response:
    """The answer once its head is there."""
    whole = None if timeouts.first_byte_s is None else timeouts.connect_s + timeouts.first_byte_s
    try:
        async with asyncio.timeout(whole):  # a head that drips in byte by byte never trips the read time-out
            return await lane.handle_async_request(request)
    except TimeoutError as error:
        raise UpstreamTimeout(f"no answer within {timeouts.first_byte_s:g} s") from error
    except httpx.ConnectTimeout as error:
        raise UpstreamUnreachable(f"no connection within {timeouts.connect_s:g} s") from error
    except httpx.TimeoutException as error:
        raise UpstreamTimeout(f"no answer within {timeouts.first_byte_s:g} s") from error
    except (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise UpstreamUnreachable("no connection to the provider") from error
    except (httpx.ReadError, httpx.WriteError, httpx.CloseError) as error:
        raise UpstreamDisconnected("the connection broke before an answer") from error
    except httpx.LocalProtocolError as error:
        raise UpstreamProtocolError(_UNWRITABLE) from error
    except httpx.RemoteProtocolError as error:
        if "without sending a response" in str(error):
            raise UpstreamDisconnected("the provider closed the connection without an answer") from error
        raise UpstreamProtocolError("the provider's answer is not HTTP") from error


class _HttpxResponse:
    def __init__(
        self,
        response: httpx.Response,
        timeouts: Timeouts,
        lanes: Lanes[httpx.AsyncHTTPTransport],
        lane: httpx.AsyncHTTPTransport,
    ) -> None:
        self._response = response
        self._timeouts = timeouts
        self._lanes = lanes
        self._lane: httpx.AsyncHTTPTransport | None = lane
        self._read = False  # to its end
        self.status: int = response.status_code
        self.headers: Headers = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        stream: Any = self._response.stream
        try:
            async with aclosing(aiter(stream)) as chunks:
                async for chunk in chunks:
                    yield chunk
            self._read = True
        except httpx.TimeoutException as error:
            raise UpstreamTimeout(f"the provider sent nothing for {self._timeouts.idle_s:g} s") from error
        except httpx.TransportError as error:
            raise StreamInterrupted("the connection broke inside the answer") from error

    async def aclose(self) -> None:
        lane, self._lane = self._lane, None
        if lane is None:
            return
        if self._read:
            try:
                await self._response.aclose()
            except BaseException:  # cancelled half-way: nobody knows what state the connection is in
                self._lanes.drop(lane)
                raise
            await self._lanes.give_back(lane)
        else:
            # Half an answer is still in the pipe. httpcore's own clean-up does not survive a second cancellation.
            self._lanes.drop(lane)
