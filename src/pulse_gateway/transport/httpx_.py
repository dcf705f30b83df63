"""The reference transport, on httpx's connection pool. The one file that imports httpx.

It drives `AsyncHTTPTransport` and leaves httpx's client out: redirects, cookies and content decoding are not a gateway's
business, and the client costs several times what the transport does.
"""

from __future__ import annotations

import asyncio
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
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts

__all__ = ["HttpxTransport"]


class HttpxTransport:
    """A pool per proxy, kept alive between calls.

    `max_connections` bounds each pool; a call that finds none free waits, within its connect time-out.
    """

    def __init__(
        self, *, max_connections: int = 1000, keepalive_expiry_s: float = 30.0, verify: ssl.SSLContext | bool = True
    ) -> None:
        self._limits = httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=keepalive_expiry_s,
        )
        self._verify = verify
        self._pools: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def send(self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None) -> _HttpxResponse:
        # httpcore reads this dict anew for each phase, which is how the time between chunks differs from the first byte's.
        phases: dict[str, float | None] = {
            "connect": timeouts.connect_s,
            "pool": timeouts.connect_s,
            "write": timeouts.idle_s,
            "read": timeouts.first_byte_s,
        }
        outgoing = httpx.Request(
            request.method,
            request.url,
            headers=[("accept-encoding", "identity"), *request.headers],
            content=request.body,
            extensions={"timeout": phases},
        )
        whole = None if timeouts.first_byte_s is None else timeouts.connect_s + timeouts.first_byte_s
        try:
            async with asyncio.timeout(whole):  # a head that drips in byte by byte never trips the read time-out
                response = await self._pool(proxy).handle_async_request(outgoing)
        except TimeoutError as error:
            raise UpstreamTimeout(f"no answer within {timeouts.first_byte_s:g} s") from error
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise UpstreamUnreachable(f"no connection within {timeouts.connect_s:g} s") from error
        except httpx.TimeoutException as error:
            raise UpstreamTimeout(f"no answer within {timeouts.first_byte_s:g} s") from error
        except (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
            raise UpstreamUnreachable(f"no connection to the provider: {type(error).__name__}") from error
        except (httpx.ReadError, httpx.WriteError, httpx.CloseError) as error:
            raise UpstreamDisconnected(f"the connection broke before an answer: {type(error).__name__}") from error
        except httpx.RemoteProtocolError as error:
            if "without sending a response" in str(error):
                raise UpstreamDisconnected("the provider closed the connection without an answer") from error
            raise UpstreamProtocolError("the provider's answer is not HTTP") from error
        phases["read"] = timeouts.idle_s
        return _HttpxResponse(response, timeouts)

    async def aclose(self) -> None:
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    def _pool(self, proxy: str | None) -> httpx.AsyncHTTPTransport:
        pool = self._pools.get(proxy)
        if pool is None:
            pool = self._pools[proxy] = httpx.AsyncHTTPTransport(
                limits=self._limits,
                verify=self._verify,
                trust_env=False,
                retries=0,
                proxy=httpx.Proxy(proxy) if proxy else None,
            )
        return pool


class _HttpxResponse:
    def __init__(self, response: httpx.Response, timeouts: Timeouts) -> None:
        self._response = response
        self._timeouts = timeouts
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
        except httpx.TimeoutException as error:
            raise UpstreamTimeout(f"the provider sent nothing for {self._timeouts.idle_s:g} s") from error
        except httpx.TransportError as error:
            raise StreamInterrupted(f"the connection broke inside the answer: {type(error).__name__}") from error

    async def aclose(self) -> None:
        await self._response.aclose()
