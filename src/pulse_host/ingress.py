"""The data plane: one raw ASGI endpoint, bytes in, `Reply` out."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from litestar.types import HTTPResponseStartEvent, HTTPScope, Receive, Send
from msgspec.structs import replace

from pulse_gateway.errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    PulseError,
    RequestTimeout,
    RequestTooLarge,
    StoreUnavailable,
    Unauthenticated,
)
from pulse_gateway.gateway import Gateway
from pulse_gateway.ids import new_request_id
from pulse_gateway.limits.headers import refusal_headers
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.pipeline.exchange import Inbound
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.telemetry.trace import read_trace
from pulse_gateway.types.identity import Principal
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.multipart import is_form
from pulse_host.anonymous import AnonymousLimit
from pulse_host.endpoints import FIXED, Route, gemini_route
from pulse_host.heartbeat import Heartbeat
from pulse_host.json_array import as_array
from pulse_host.protocol import answer, break_off, is_gone, is_stalled

__all__ = ["Ingress", "authenticated", "clean_request_id", "headers_of", "request_id_of"]

_log = logging.getLogger("pulse_host")
_CREDENTIALS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization"})
_MAX_REQUEST_ID = 128
_BODY_S = 28.0  # and two seconds more until the connection is closed
Headers = dict[str, str]


class Ingress:
    """Serves every route of `endpoints.py`: who calls is known before a byte of the body is read.

    Reads at most `max_body_bytes`, within `_BODY_S`; refuses new work while `draining()`.
    """

    def __init__(
        self,
        gateway: Gateway,
        keys: Authenticator,
        anonymous: AnonymousLimit,
        *,
        max_body_bytes: int,
        keep_alive_s: float,
        draining: Callable[[], bool],
    ) -> None:
        self._gateway, self._keys, self._anonymous = gateway, keys, anonymous
        self._max_body_bytes = max_body_bytes
        self._keep_alive_s = keep_alive_s
        self._draining = draining

    async def fixed(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """A route whose path says everything."""
        await self._serve(FIXED[scope["path"].rstrip("/")], headers_of(scope), scope, receive, send)

    async def begin_video(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """`POST /v1/videos`, below which everything else is looked up."""
        await self._serve(FIXED["/v1/videos"], headers_of(scope), scope, receive, send)

    async def gemini(self, rest: str, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """`rest` is what follows `/models/`, decoded once by the server."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        headers = headers_of(scope)
        try:
            route = gemini_route(rest, query.get("alt", [None])[0])
        except PulseError as error:
            await self._refuse(scope, send, Inbound(dialect="gemini", request_id=request_id_of(headers)), error)
            return
        await self._serve(route, headers, scope, receive, send)

    async def _serve(self, route: Route, headers: Headers, scope: HTTPScope, receive: Receive, send: Send) -> None:
        inbound = Inbound(
            dialect=route.dialect,
            operation=route.operation,
            model=route.model,
            stream=route.stream,
            headers=tuple(pair for pair in headers.items() if pair[0] not in _CREDENTIALS),
            request_id=request_id_of(headers),
            idempotency_key=headers.get("idempotency-key"),
            left=partial(is_gone, scope),
            trace=read_trace(headers.get("traceparent"), headers.get("tracestate"), headers.get("x-amzn-trace-id")),
        )
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"{scope['method']} is not served here; use POST", allowed="POST")
            if self._draining():
                raise _shutting_down()
            principal = await authenticated(scope, headers, self._keys, self._anonymous)
            inbound = replace(
                inbound,
                principal=principal,
                content_type=_content_type(headers),
                timeout_s=_timeout_s(headers),
                tags=_tags(headers),
            )
            inbound = replace(inbound, body=await self._body(headers, receive))
            reply = await self._gateway.handle(inbound)
        except PulseError as error:
            await self._refuse(scope, send, inbound, error, array=route.array)
            return
        except _Disconnected:
            return
        except asyncio.CancelledError:
            if is_gone(scope):
                return
            task = asyncio.current_task()
            if task is None or not self._draining():
                raise
            task.uncancel()  # done by a server that has waited long enough: the client is told, and all is said
            await _send_whole(scope, send, _ending(inbound))
            return
        except Exception:  # noqa: BLE001 -- a defect is answered in the client's dialect as well
            _log.exception("a request failed for a reason of ours", extra={"path": scope["path"]})
            failed = InternalError("the server failed; the request id helps to find out why")
            await self._refuse(scope, send, inbound, failed, array=route.array)
            return
        if route.array:
            reply = as_array(reply)
        if reply.stream is None:
            await _send_whole(scope, send, reply)
        else:
            await self._send_stream(reply, scope, receive, send)

    async def _refuse(
        self, scope: HTTPScope, send: Send, inbound: Inbound, error: PulseError, *, array: bool = False
    ) -> None:
        reply = await self._gateway.refuse(inbound, error)
        await _send_whole(scope, send, as_array(reply) if array else reply)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        if headers.get("content-encoding", "identity") != "identity":
            raise InvalidRequest(
                "compressed request bodies are not taken; send the JSON as it is", param="content-encoding"
            )
        too_large = RequestTooLarge(f"the body exceeds {self._max_body_bytes} bytes")
        length = headers.get("content-length")
        if length is not None and re.fullmatch(r"[0-9]{1,18}", length) and int(length) > self._max_body_bytes:
            raise too_large
        try:
            async with asyncio.timeout(_BODY_S):
                return await self._received(receive, too_large)
        except TimeoutError as error:
            raise RequestTimeout(f"the body did not arrive within {_BODY_S:g} s") from error

    async def _received(self, receive: Receive, too_large: RequestTooLarge) -> bytes:
        received = BytesIO()  # which grows in place: a list of pieces and what they are joined to are the body twice
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            if message["type"] != "http.request":
                continue
            piece = message["body"]
            size += len(piece)
            if size > self._max_body_bytes:
                raise too_large
            if size == len(piece) and not message["more_body"]:
                return piece
            received.write(piece)
            if not message["more_body"]:
                return received.getvalue()

    async def _send_stream(self, reply: Reply, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Move the stream until it ends or the client leaves. Leaving is noticed at once, by a task that listens for it."""
        relaying = asyncio.current_task()
        assert relaying is not None
        listening = asyncio.create_task(_listen(scope, receive, reply, relaying))
        heartbeat = Heartbeat(send, reply.keep_alive, self._keep_alive_s)
        try:
            async with reply:
                await send(_start(reply))
                async with heartbeat:
                    async for item in reply:
                        await heartbeat.send(item)
        except asyncio.CancelledError:
            if not reply.gone:
                last = reply.farewell()
                if reply.cut:
                    break_off(scope)
                else:
                    await send({"type": "http.response.body", "body": last, "more_body": False})
                if not self._draining():
                    raise
            relaying.uncancel()  # done by `_listen`, or by a server that has waited long enough: all is said
            return
        finally:
            listening.cancel()
        if reply.cut:
            break_off(scope)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Disconnected(Exception):
    """The client left before its request was whole."""


async def _listen(scope: HTTPScope, receive: Receive, reply: Reply, relaying: asyncio.Task[object]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    if reply.abandon(slow=is_stalled(scope)):
        relaying.cancel()


def headers_of(scope: HTTPScope) -> Headers:
    """By lower-case name. The key that Gemini's clients may put into the query stands where they put it otherwise."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if b"key=" in scope["query_string"] and b"/models" in scope["raw_path"] and "x-goog-api-key" not in headers:
        key = parse_qs(scope["query_string"].decode("latin-1")).get("key")
        if key:
            headers["x-goog-api-key"] = key[0]
    return headers


async def authenticated(
    scope: Mapping[str, Any], headers: Headers, keys: Authenticator, anonymous: AnonymousLimit
) -> Principal:
    """The caller.

    Raises: Unauthenticated, RateLimited for addresses that have been told so too often; StoreUnavailable, PermissionDenied.
    """
    try:
        secret = credential_of(headers)
        if secret is None:
            raise Unauthenticated("no API key was sent; send it as Authorization: Bearer, x-api-key or x-goog-api-key")
        return await keys.authenticate(secret)
    except Unauthenticated:
        anonymous.count(scope)
        raise


def credential_of(headers: Headers) -> str | None:
    """The caller's key, from whichever header its SDK uses."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or None


def clean_request_id(value: str | None) -> str | None:
    """The caller's request id, if it is one that can safely stand in headers, logs and rows."""
    if value and len(value) <= _MAX_REQUEST_ID and value.isascii() and value.isprintable() and " " not in value:
        return value
    return None


def request_id_of(headers: Headers) -> str:
    """The caller's, or a new one."""
    return clean_request_id(headers.get("x-request-id")) or new_request_id()


def _content_type(headers: Headers) -> str:
    """A form's own, with its boundary. Anything else is read as JSON, and a vendor is told so too: another word for it might make the
    vendor read another request than the one that was looked at here.

    Raises: InvalidRequest for one that no header can carry on.
    """
    written = headers.get("content-type", "")
    if not is_form(written):
        return "application/json"
    if not written.isascii() or not written.isprintable():
        raise InvalidRequest("the content type may hold printable ASCII only", param="content-type")
    return written


def _timeout_s(headers: Headers) -> float | None:
    value = headers.get("x-pulse-timeout-ms")
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) == 0:
        raise InvalidRequest("x-pulse-timeout-ms is not a positive number of milliseconds", param="x-pulse-timeout-ms")
    return int(value) / 1000


def _tags(headers: Headers) -> tuple[tuple[str, str], ...]:
    """`x-pulse-tags: team=search,env=prod` → pairs, for the ledger and the log."""
    value = headers.get("x-pulse-tags")
    if not value:
        return ()
    pairs = [tuple(part.strip() for part in item.split("=", 1)) for item in value.split(",") if item.strip()]
    if len(pairs) > 16 or any(
        len(pair) != 2 or not pair[0] or len(pair[0]) > 64 or len(pair[1]) > 256 for pair in pairs
    ):
        raise InvalidRequest("x-pulse-tags takes up to 16 pairs such as team=search,env=prod", param="x-pulse-tags")
    return tuple((pair[0], pair[1]) for pair in pairs)


def _start(reply: Reply) -> HTTPResponseStartEvent:
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in reply.headers]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}


async def _send_whole(scope: HTTPScope, send: Send, reply: Reply) -> None:
    reply.headers.append(("content-length", str(len(reply.body))))
    if answer(scope, reply.status, reply.headers, reply.body):
        return
    await send(_start(reply))
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})


def _shutting_down() -> StoreUnavailable:
    return StoreUnavailable("this server is shutting down", retry_after_s=1.0)


def _ending(inbound: Inbound) -> Reply:
    """The answer to a request whose exchange this server has broken off, and thereby reported."""
    error = _shutting_down()
    request_id = inbound.request_id or new_request_id()
    headers = [("content-type", "application/json"), ("x-request-id", request_id), *refusal_headers(error)]
    return Reply(error.status, headers, wire.face(inbound.dialect or "").encode_error(error, request_id))
