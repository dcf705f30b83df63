"""The transport that most requests go through: HTTP/1.1 over connections that are kept."""

from __future__ import annotations

import asyncio
import math
import ssl

from pulse_gateway.errors import UpstreamDisconnected, UpstreamTimeout, UpstreamUnreachable
from pulse_gateway.transport.http1.connection import Connection
from pulse_gateway.transport.http1.dial import default_tls, socket_to
from pulse_gateway.transport.http1.dns import Addresses, Resolve, system_resolve
from pulse_gateway.transport.http1.pool import Pool
from pulse_gateway.transport.http1.request_head import Head, Origin, Target, head_of, read_url
from pulse_gateway.transport.http1.response import Http1Response
from pulse_gateway.transport.http1.upload import Upload
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import HttpRequest, Timeouts

__all__ = ["Http1Transport"]

_AT_ONCE_BYTES = 64 * 1024  # bodies up to this leave with their heads
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})  # Source: RFC 9110 §9.2.2
_GOODBYE_S = 1.0  # of TLS
_MOST_URLS = 1024
_MOST_POOLS = 256


class Http1Transport:
    """Connections per origin, at most `max_connections` in use at once to each; one that idles for `keepalive_expiry_s` or is older than
    `max_age_s` is closed, so that changes of addresses are noticed.

    `verify` replaces the usual certificates, `resolve` the system's look-up of names, `dns_ttl_s` is how long what it found is
    remembered, `stagger_s` how long one address is tried before the next, `expect_s` how long a provider that was asked for its consent
    to a body is waited for. Of proxies and HTTP/2 it knows nothing: `httpx_` does.
    """

    def __init__(
        self,
        *,
        max_connections: int = 10_000,
        keepalive_expiry_s: float = 30.0,
        max_age_s: float = 600.0,
        verify: ssl.SSLContext | None = None,
        resolve: Resolve = system_resolve,
        dns_ttl_s: float = 30.0,
        stagger_s: float = 0.25,
        expect_s: float = 1.0,
    ) -> None:
        self._max_connections, self._keepalive_s, self._max_age_s = max_connections, keepalive_expiry_s, max_age_s
        self._tls, self._stagger_s, self._expect_s = verify or default_tls(), stagger_s, expect_s
        self._addresses = Addresses(resolve, ttl_s=dns_ttl_s)
        self._routes: dict[str, tuple[Target, Pool]] = {}
        self._pools: dict[Origin, Pool] = {}

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Http1Response:
        if proxy is not None:
            raise UpstreamUnreachable("this transport goes through no proxy")
        target, pool = self._routes.get(request.url) or self._route(request.url)
        length = len(request.body) if request.stream is None else None
        head = head_of(target, request.method, request.headers, length=length)
        total_s = timeouts.total_s
        total_at = math.inf if total_s is None else asyncio.get_running_loop().time() + total_s
        connection = pool.take()
        if connection is None:
            connection = await _within(pool, timeouts, total_at)
        may_repeat = connection.served > 0 and length is not None and request.method in _IDEMPOTENT
        answer = self._ask(connection, pool, request, head, timeouts, total_at, on_send)
        try:
            await answer.arrival()
        except BaseException:  # cancelled: a connection in the middle of something is never used again
            answer.abandon()
            raise
        if answer.began:
            return answer
        assert answer.error is not None
        if not may_repeat or not isinstance(answer.error, UpstreamDisconnected):
            raise answer.error
        connection = await _within(pool, timeouts, total_at, anew=True)  # idle ones may have died of the same
        return await _begun(self._ask(connection, pool, request, head, timeouts, total_at, None))

    async def warm(self, url: str, connections: int, timeouts: Timeouts) -> None:
        """Have so many connections to the origin of `url` open before they are needed, and close them for their age alone, not for being
        idle.

        Raises: UpstreamUnreachable, UpstreamProtocolError.
        """
        await self._pool(read_url(url).origin).warm(connections, timeouts)

    def open_connections(self, url: str) -> int:
        """How many there are to the origin of `url`, in use or not."""
        pool = self._pools.get(read_url(url).origin)
        return 0 if pool is None else pool.open_connections

    async def aclose(self) -> None:
        """Close every connection; answers under way break off."""
        pools, self._pools = self._pools, {}
        self._routes.clear()
        await asyncio.gather(*(pool.aclose() for pool in pools.values()))

    def _ask(
        self,
        connection: Connection,
        pool: Pool,
        request: HttpRequest,
        head: Head,
        timeouts: Timeouts,
        total_at: float,
        on_send: OnSend | None,
    ) -> Http1Response:
        """Have it written, or its head at least; nothing is waited for."""
        body, is_head = request.body, request.method == "HEAD"
        if request.stream is None and len(body) <= _AT_ONCE_BYTES and not head.expects_continue:
            if on_send is not None:
                try:
                    on_send()
                except BaseException:  # nothing was written
                    pool.put_back(connection)
                    raise
            return connection.ask(head.data + body, timeouts, total_at, is_head, False)
        answer = connection.ask(head.data, timeouts, total_at, is_head, True)
        Upload(connection, answer, head, request.stream or body, on_send=on_send, expect_s=self._expect_s)
        return answer

    def _route(self, url: str) -> tuple[Target, Pool]:
        if len(self._routes) >= _MOST_URLS:
            self._routes.clear()
        target = read_url(url)
        route = self._routes[url] = target, self._pool(target.origin)
        return route

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            if len(self._pools) >= _MOST_POOLS:
                for other in [each for each, found in self._pools.items() if found.is_unused]:
                    del self._pools[other]
                self._routes.clear()  # some lead to these
            pool = self._pools[origin] = Pool(
                lambda pool, timeouts: self._dial(origin, pool, timeouts), limit=self._max_connections
            )
        return pool

    async def _dial(self, origin: Origin, pool: Pool, timeouts: Timeouts) -> Connection:
        host, port = origin.host, origin.port
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeouts.connect_s):
                found = await socket_to(
                    await self._addresses.of(host, port),
                    port,
                    stagger_s=self._stagger_s,
                    unreachable=lambda address: self._addresses.unreachable(host, port, address),
                )
        except TimeoutError as error:
            raise UpstreamUnreachable(f"no connection within {timeouts.connect_s:g} s") from error
        except (OSError, UnicodeError) as error:
            raise UpstreamUnreachable("no connection to the provider") from error
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(pool, keepalive_s=self._keepalive_s, max_age_s=self._max_age_s),
                sock=found,
                ssl=self._tls if origin.is_tls else None,
                server_hostname=host if origin.is_tls else None,
                ssl_handshake_timeout=timeouts.tls_s if origin.is_tls else None,
                ssl_shutdown_timeout=_GOODBYE_S if origin.is_tls else None,
            )
        except OSError as error:  # of the handshake, its time-out too
            raise UpstreamUnreachable("no connection to the provider") from error
        pool.opened(connection)
        return connection


async def _begun(answer: Http1Response) -> Http1Response:
    """`answer`, once its head is here."""
    try:
        await answer.arrival()
    except BaseException:  # cancelled: a connection in the middle of something is never used again
        answer.abandon()
        raise
    if not answer.began:
        assert answer.error is not None
        raise answer.error
    return answer


async def _within(pool: Pool, timeouts: Timeouts, total_at: float, *, anew: bool = False) -> Connection:
    """A connection, if there is one before all of the time is over."""
    if total_at == math.inf:
        return await pool.get(timeouts, anew=anew)
    try:
        async with asyncio.timeout_at(total_at) as timer:
            return await pool.get(timeouts, anew=anew)
    except TimeoutError as error:
        if not timer.expired():
            raise
        raise UpstreamTimeout(f"the answer was not whole within {timeouts.total_s:g} s") from error
