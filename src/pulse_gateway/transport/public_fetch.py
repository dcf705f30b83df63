"""Fetches what somebody outside has named, from public addresses only and within bounds.

A host is resolved once, all of its addresses are judged, and the connection goes to one of those very addresses, with the host's name
in the request and in the handshake: what a name resolves to a moment later does not matter. Each redirect is judged the same way.
Nothing of ours is sent along, neither credentials nor trace headers, and no proxy of the environment's is used.

This file imports httpx, as `httpx_.py` does; late, since most gateways fetch nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from pulse_gateway.errors import InvalidRequest, PulseError, UnsupportedParameter, UpstreamProtocolError
from pulse_gateway.providers.offer import Download
from pulse_gateway.transport.public_addresses import Allowed
from pulse_gateway.types.http import HttpAnswer

if TYPE_CHECKING:
    import httpx

__all__ = ["PublicFetch", "Resolve", "resolve"]

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host. Raises: OSError."""

_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ADDRESSES_TRIED = 3
_CONNECT_S = 5.0
_RESOLVED_AT_ONCE = 16
_VENDORS_FILE_S = 300.0  # for what a vendor has made: it may be a long video
_HEADERS = (("accept", "*/*"), ("accept-encoding", "identity"), ("user-agent", "pulse-gateway"))


@cache
def _resolvers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_RESOLVED_AT_ONCE, thread_name_prefix="resolve")


class _Unfetchable(Exception):
    """`str()` ends a sentence that begins with what was to be fetched; it names the host at most."""


async def resolve(host: str, port: int) -> list[str]:
    """By the system, on threads of its own: strangers choose the names, and one whose servers are slow to answer must not keep the
    threads that providers' own names are resolved on.

    Raises: OSError.
    """
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_resolvers(), look_up)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class PublicFetch:
    """A `pipeline.steps.Downloader`. Of a `Download` with a `param`, which a client has named, `enabled`, `max_bytes` and `timeout_s`
    are the bounds, and a failure is the client's; of any other, which a vendor has named, its own bound is, and a failure is the
    vendor's.

    `verify` replaces the usual certificates.
    """

    def __init__(
        self,
        *,
        enabled: bool = True,
        max_bytes: int = 20_000_000,
        timeout_s: float = 20.0,
        ports: Collection[int] = (80, 443),
        allowed: Allowed | None = None,
        resolve: Resolve = resolve,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._enabled, self._max_bytes, self._timeout_s = enabled, max_bytes, timeout_s
        self._ports, self._allowed, self._resolve = ports, allowed or Allowed(), resolve
        self._verify = verify

    async def __call__(self, step: Download) -> HttpAnswer:
        """Raises: InvalidRequest naming `step.param`, UnsupportedParameter where nothing is fetched; UpstreamProtocolError when a vendor named it."""
        asked = step.param is not None
        if asked and not self._enabled:
            raise UnsupportedParameter("this gateway fetches no addresses; send the data itself", param=step.param)
        limit = min(step.max_bytes, self._max_bytes) if asked else step.max_bytes
        within_s = self._timeout_s if asked else _VENDORS_FILE_S
        try:
            async with asyncio.timeout(within_s) as timer:
                return await self._fetch(step.url, limit)
        except _Unfetchable as error:
            raise _told(step, str(error)) from error
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise _told(step, f"did not arrive within {within_s:g} s") from error

    async def _fetch(self, address: str, limit: int) -> HttpAnswer:
        import httpx

        url = _parsed(address)
        for _ in range(_MAX_REDIRECTS + 1):
            response, transport = await self._head(url)
            try:
                if response.status_code not in _REDIRECTS:
                    return await _body(response, limit)
                location = response.headers.get("location")
            finally:
                await transport.aclose()
            if not location:
                raise _Unfetchable(f"is answered by {url.host} with a redirect that leads nowhere")
            try:
                url = _parsed(url.join(location))
            except (httpx.InvalidURL, ValueError) as error:
                raise _Unfetchable(f"is answered by {url.host} with a redirect that is no address") from error
        raise _Unfetchable(f"is redirected more than {_MAX_REDIRECTS} times")

    async def _head(self, url: httpx.URL) -> tuple[httpx.Response, httpx.AsyncHTTPTransport]:
        """The head of the answer, from the first address that can be connected to, and what to close behind it."""
        import httpx

        failure: httpx.TransportError | None = None
        for address in await self._addresses(url):
            transport = self._open()
            try:
                return await transport.handle_async_request(_request(url, address)), transport
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
                await transport.aclose()
            except (httpx.TransportError, httpx.InvalidURL, ValueError) as error:  # TLS takes not every name for one
                await transport.aclose()
                raise _Unfetchable(f"is answered by {url.host} in what is not HTTP") from error
            except BaseException:  # cancelled or out of time: nobody knows what state the connection is in
                await asyncio.shield(transport.aclose())
                raise
        raise _Unfetchable(f"cannot be had: there is no connection to {url.host}") from failure

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """The addresses to connect to, all of them allowed."""
        host = url.raw_host.decode("ascii")  # as the connection will have it
        port = url.port or (443 if url.scheme == "https" else 80)
        if port not in self._ports:
            raise _Unfetchable(f"may not be had from port {port}")
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise _Unfetchable(f"cannot be had: {host} is not known") from error
        if not addresses:
            raise _Unfetchable(f"cannot be had: {host} is not known")
        if not self._allowed.host(host) and not all(map(self._allowed.address, addresses)):
            raise _Unfetchable(f"may not be had from {host}: only public addresses may be named")
        return addresses[:_ADDRESSES_TRIED]

    def _open(self) -> httpx.AsyncHTTPTransport:
        import httpx

        if self._verify is None:
            self._verify = httpx.create_ssl_context(trust_env=False)
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        return httpx.AsyncHTTPTransport(verify=self._verify, trust_env=False, retries=0, limits=limits)


def _parsed(address: str | httpx.URL) -> httpx.URL:
    """One parser reads what is judged and what is connected to."""
    import httpx

    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise _Unfetchable("is no address that can be read") from error
    if url.scheme not in ("http", "https"):
        raise _Unfetchable("may be had by http and https only")
    if not url.host:
        raise _Unfetchable("is no address that can be read")
    if url.userinfo:
        raise _Unfetchable("may hold no user and no password")
    return url


def _request(url: httpx.URL, address: str) -> httpx.Request:
    """For `url`, at `address`. The name goes into the request and the handshake, where the certificate is checked against it."""
    import httpx

    netloc = url.netloc.decode("ascii")
    phases = {"connect": _CONNECT_S, "pool": _CONNECT_S, "read": None, "write": None}  # the whole is bounded outside
    return httpx.Request(
        "GET",
        url.copy_with(host=address),
        headers=[("host", netloc), *_HEADERS],
        extensions={"timeout": phases, "sni_hostname": url.raw_host.decode("ascii")},
    )


async def _body(response: httpx.Response, limit: int) -> HttpAnswer:
    import httpx

    if response.status_code != 200:
        raise _Unfetchable(f"is answered with status {response.status_code}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise _Unfetchable("comes compressed although that was not asked for")
    too_large = f"exceeds {limit} bytes"
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _Unfetchable(too_large)
    pieces: list[bytes] = []
    size = 0
    stream: Any = response.stream
    try:
        async with aclosing(aiter(stream)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise _Unfetchable(too_large)
                pieces.append(chunk)
    except httpx.TransportError as error:
        raise _Unfetchable("breaks off before its end") from error
    kind = response.headers.get("content-type", "")
    return HttpAnswer(200, (("content-type", kind),), b"".join(pieces))


def _told(step: Download, reason: str) -> PulseError:
    if step.param is None:
        return UpstreamProtocolError(f"what the provider made {reason}")
    return InvalidRequest(f"{step.param}: the file {reason}", param=step.param)
