"""The other transport, on httpx: through proxies, by HTTP/2, and for providers that are set to it. The one file that imports httpx.

It drives `AsyncHTTPTransport` and leaves httpx's client out: redirects, cookies and content decoding are not a gateway's
business, and the client costs several times what the transport does.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import httpx

from pulse_gateway.errors import (
    StreamInterrupted,
    UpstreamDisconnected,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from pulse_gateway.transport.lanes import Lanes
from pulse_gateway.transport.transport import DIRECT, HTTP2, OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

__all__ = ["HttpxTransport"]

# What the kernel takes of an answer that is not read, since all of it is taken over as soon as anything is read: megabytes, where
# it may grow as it likes. Enough for 2.5 MB/s over 50 ms.
_UNREAD_BYTES = 128 * 1024
_HIGHEST_PORT = 65535
_HTTP2_BREAKS = ("<StreamReset", "<ConnectionTerminated")  # httpcore's errors are h2's events, as text
_UNWRITABLE = "a request to the provider has an address or a header that HTTP cannot carry"


class HttpxTransport:
    """Keep-alive connections per origin and proxy, at most `max_connections` in use at once to each.

    Each connection is an httpx transport of its own: httpcore's pool looks at every connection for every request, which at 32
    connections costs several times what the request does. By HTTP/2, too, a connection carries one request at a time: in httpcore a
    time-out of one stream breaks all others of its connection. The handshake of TLS has `connect_s`, too: httpcore knows no other.

    `client` carries what is to go through no proxy, with whatever it is set to; it stays its owner's to close.
    """

    def __init__(
        self,
        *,
        max_connections: int = 10_000,
        keepalive_expiry_s: float = 30.0,
        verify: ssl.SSLContext | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._keepalive_expiry_s = keepalive_expiry_s
        self._verify = verify or httpx.create_ssl_context(trust_env=False)
        self._client = client
        self._origins: dict[tuple[str, str | None], Lanes[_Lane]] = {}

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> _HttpxResponse:
        # httpcore reads this dict anew for each phase, which is how the time between chunks differs from the first byte's.
        phases: dict[str, float | None] = {
            "connect": timeouts.connect_s,
            "pool": timeouts.connect_s,
            "write": timeouts.write_s,
            "read": timeouts.first_byte_s,
        }
        total_s = timeouts.total_s
        total_at = math.inf if total_s is None else asyncio.get_running_loop().time() + total_s
        try:
            outgoing = httpx.Request(
                request.method,
                request.url,
                headers=[("accept-encoding", "identity"), *request.headers],
                content=request.body if request.stream is None else request.stream,
                extensions={"timeout": phases},
            )
            if (outgoing.url.port or 0) > _HIGHEST_PORT:
                raise ValueError("no port")
        except (httpx.InvalidURL, ValueError) as error:  # such addresses are named by vendors, for what they have made
            raise UpstreamProtocolError(_UNWRITABLE) from error
        if on_send is not None:
            outgoing.stream = _WatchedBody(request, on_send)
            if not request.body and request.stream is None:
                outgoing.extensions["trace"] = _BodilessHead(on_send)
        lanes = self._lanes(outgoing.url, proxy)
        lane = await lanes.take(timeouts.connect_s)
        try:
            response = await _head(lane, outgoing, timeouts, total_at)
        except BaseException:  # cancellation too: a connection in an unknown state is never used again
            lanes.drop(lane)
            raise
        phases["read"] = timeouts.idle_s
        return _HttpxResponse(response, timeouts, phases, total_at, lanes, lane)

    async def aclose(self) -> None:
        origins, self._origins = self._origins, {}
        for lanes in origins.values():
            await lanes.aclose()

    def _lanes(self, url: httpx.URL, proxy: str | None) -> Lanes[_Lane]:
        key = (f"{url.scheme}://{url.netloc.decode()}", proxy)
        lanes = self._origins.get(key)
        if lanes is None:
            lanes = self._origins[key] = Lanes(
                lambda: self._open_lane(proxy), limit=self._max_connections, idle_s=self._keepalive_expiry_s
            )
        return lanes

    def _open_lane(self, proxy: str | None) -> _Lane:
        by_http2 = proxy is not None and proxy.startswith(HTTP2)
        through = None if proxy is None else proxy.removeprefix(HTTP2)
        if through == DIRECT:
            through = None
        if self._client is not None and through is None and not by_http2:
            return _ClientLane(self._client)
        limits = httpx.Limits(max_connections=1, keepalive_expiry=self._keepalive_expiry_s)
        return httpx.AsyncHTTPTransport(
            limits=limits,
            http2=by_http2,
            verify=self._verify,
            trust_env=False,
            retries=0,
            proxy=None if through is None else httpx.Proxy(through),
            socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BYTES)],
        )


class _Lane(Protocol):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response: ...

    async def aclose(self) -> None: ...


class _ClientLane:
    """One request of somebody's own client, which keeps the connections itself."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._response: httpx.Response | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._response = None
        self._response = await self._client.send(request, stream=True)
        return self._response

    async def aclose(self) -> None:
        """Give the connection of an answer that is not read to its end back to the client."""
        if self._response is not None:
            await self._response.aclose()


class _BodilessHead:
    """`on_send` for a request that ends with its head, which asks for no body where it goes by HTTP/2."""

    def __init__(self, on_send: OnSend) -> None:
        self._on_send = on_send

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "http2.send_request_headers.started":
            self._on_send()


class _WatchedBody(httpx.AsyncByteStream):
    """The body, asked for by httpcore once the head has been written."""

    def __init__(self, request: HttpRequest, on_send: OnSend) -> None:
        self._request, self._on_send = request, on_send

    async def __aiter__(self) -> AsyncIterator[bytes]:
        last = self._request.body
        if self._request.stream is not None:
            async for piece in self._request.stream:
                if last:
                    yield last
                last = piece
        self._on_send()
        if last:
            yield last


async def _head(lane: _Lane, request: httpx.Request, timeouts: Timeouts, total_at: float) -> httpx.Response:
    """The answer once its head is there."""
    now = asyncio.get_running_loop().time()
    whole_at = math.inf if timeouts.first_byte_s is None else now + timeouts.connect_s + timeouts.first_byte_s
    until = min(whole_at, total_at)
    try:
        # A head that drips in byte by byte never trips the read time-out.
        async with asyncio.timeout_at(None if until == math.inf else until):
            return await lane.handle_async_request(request)
    except TimeoutError as error:
        if total_at <= whole_at:
            raise _not_whole(timeouts) from error
        raise UpstreamTimeout(f"no answer within {timeouts.first_byte_s:g} s") from error
    except httpx.PoolTimeout as error:  # of somebody's own client: ours waits for none
        raise UpstreamUnreachable(f"every connection was busy for {timeouts.connect_s:g} s") from error
    except httpx.ConnectTimeout as error:
        raise UpstreamUnreachable(f"no connection within {timeouts.connect_s:g} s") from error
    except httpx.WriteTimeout as error:
        raise UpstreamTimeout(f"the provider took nothing for {timeouts.write_s:g} s") from error
    except httpx.TimeoutException as error:
        raise UpstreamTimeout(f"no answer within {timeouts.first_byte_s:g} s") from error
    except (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise UpstreamUnreachable("no connection to the provider") from error
    except (httpx.ReadError, httpx.WriteError, httpx.CloseError) as error:
        raise UpstreamDisconnected("the connection broke before an answer") from error
    except httpx.LocalProtocolError as error:
        raise UpstreamProtocolError(_UNWRITABLE) from error
    except httpx.RemoteProtocolError as error:
        said = str(error)
        if said.startswith(_HTTP2_BREAKS):
            raise UpstreamDisconnected("the connection broke before an answer") from error
        if "without sending a response" in said or said == "Server disconnected":
            raise UpstreamDisconnected("the provider closed the connection without an answer") from error
        raise UpstreamProtocolError("the provider's answer is not HTTP") from error
    except (httpx.DecodingError, httpx.TooManyRedirects) as error:  # of a client that follows redirects
        raise UpstreamProtocolError("the provider's answer leads nowhere") from error


def _not_whole(timeouts: Timeouts) -> UpstreamTimeout:
    return UpstreamTimeout(f"the answer was not whole within {timeouts.total_s:g} s")


class _HttpxResponse:
    def __init__(
        self,
        response: httpx.Response,
        timeouts: Timeouts,
        phases: dict[str, float | None],
        total_at: float,
        lanes: Lanes[_Lane],
        lane: _Lane,
    ) -> None:
        self._response = response
        self._timeouts, self._phases, self._total_at = timeouts, phases, total_at
        self._lanes = lanes
        self._lane: _Lane | None = lane
        self._read = False  # to its end
        self.status: int = response.status_code
        self.headers: Headers = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw
        )

    async def __aiter__(self) -> AsyncIterator[bytes]:
        stream: Any = self._response.stream
        try:
            async with aclosing(aiter(stream)) as chunks:
                self._bound_read()
                async for chunk in chunks:
                    if chunk:  # none is what HTTP/2 may end with
                        yield chunk
                    self._bound_read()
            self._read = True
        except httpx.TimeoutException as error:
            if asyncio.get_running_loop().time() >= self._total_at:
                raise _not_whole(self._timeouts) from error
            raise UpstreamTimeout(f"the provider sent nothing for {self._timeouts.idle_s:g} s") from error
        except httpx.TransportError as error:
            raise StreamInterrupted("the connection broke inside the answer") from error

    def _bound_read(self) -> None:
        """Raises: UpstreamTimeout when all of the time is over."""
        if self._total_at == math.inf:
            return
        left_s = self._total_at - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise _not_whole(self._timeouts)
        idle_s = self._timeouts.idle_s
        self._phases["read"] = left_s if idle_s is None else min(idle_s, left_s)

    def read_now(self) -> bytes | None:
        """httpx tells nobody what has arrived: of an answer with a body nothing is here before it was waited for."""
        return b"" if self._read else None

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
            if _is_clean(lane):
                await self._lanes.give_back(lane)
            else:
                self._lanes.drop(lane)
        else:
            # Half an answer is still in the pipe. httpcore's own clean-up does not survive a second cancellation.
            self._lanes.drop(lane)


def _is_clean(lane: _Lane) -> bool:
    """Whether nothing followed the answer. httpcore would take what did for the beginning of the next one, which is another caller's;
    nothing public tells, and where nothing at all tells the connection is not used again. By HTTP/2 every frame says whose it is.
    """
    if isinstance(lane, _ClientLane):
        return True  # the client's business
    try:
        connection = lane._pool.connections[0]._connection  # type: ignore[attr-defined]
        if hasattr(connection, "_h2_state"):
            return True
        rest, _ = connection._h11_state.trailing_data
    except IndexError:
        return True  # it is closed already
    except AttributeError:
        return False
    return not rest
