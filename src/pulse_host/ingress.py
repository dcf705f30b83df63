"""The data plane: one raw ASGI endpoint, bytes in, `Reply` out."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs

from litestar.types import HTTPResponseStartEvent, HTTPScope, Receive, Send

from pulse_gateway.errors import (
    InternalError,
    MethodNotAllowed,
    PulseError,
    RequestTimeout,
    RequestTooLarge,
    StoreUnavailable,
    Unauthenticated,
)
from pulse_gateway.gateway import Gateway
from pulse_gateway.limits.headers import refusal_headers
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.pipeline.exchange import Inbound
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.telemetry.trace import TraceContext
from pulse_gateway.types.identity import Principal
from pulse_gateway.wire import registry as wire
from pulse_host.anonymous import AnonymousLimit
from pulse_host.cycle import Cycle, answer, break_off, cycle_of, is_stalled
from pulse_host.endpoints import FIXED, Route, gemini_route
from pulse_host.heartbeat import Heartbeat
from pulse_host.json_array import as_array
from pulse_host.outlet import AsgiOutlet, Outlet
from pulse_host.request_head import RequestHead, headers_of

__all__ = ["Ingress", "authenticated"]

_log = logging.getLogger("pulse_host")
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

    def fixed(self, scope: HTTPScope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """A route whose path says everything."""
        route = FIXED[scope["path"].rstrip("/")]
        return self._serve(route, RequestHead(headers_of(scope)), cycle_of(scope), scope, receive, send)

    def begin_video(self, scope: HTTPScope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """`POST /v1/videos`, below which everything else is looked up."""
        head = RequestHead(headers_of(scope))
        return self._serve(FIXED["/v1/videos"], head, cycle_of(scope), scope, receive, send)

    async def gemini(self, rest: str, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """`rest` is what follows `/models/`, decoded once by the server."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        head = RequestHead(headers_of(scope))
        try:
            route = gemini_route(rest, query.get("alt", [None])[0])
        except PulseError as error:
            inbound = Inbound(dialect="gemini", request_id=head.request_id())
            await self._refuse(scope, send, inbound, error)
            return
        await self._serve(route, head, cycle_of(scope), scope, receive, send)

    async def _serve(
        self, route: Route, head: RequestHead, cycle: Cycle | None, scope: Any, receive: Receive, send: Send
    ) -> None:
        request_id, trace = head.request_id(), head.trace()
        principal: Principal | None = None
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"{scope['method']} is not served here; use POST", allowed="POST")
            if self._draining():
                raise _shutting_down()
            principal = await authenticated(scope, head.secret, self._keys, self._anonymous)
            if not head.is_read:
                head.read()
            body = None if cycle is None else cycle.whole_body()
            if body is None:
                body = await self._body(head.headers, receive)
            elif len(body) > self._max_body_bytes:
                raise self._too_large()
            if cycle is not None and (remembered := cycle.remembered) is not None and remembered.again is None:
                remembered.again = partial(self._again, route, head)
            left = None if cycle is None else cycle.is_gone
            reply = await self._gateway.handle(_inbound(route, head, request_id, trace, principal, body, left))
        except PulseError as error:
            refused = _inbound(route, head, request_id, trace, principal)
            await self._refuse(scope, send, refused, error, array=route.array)
            return
        except _Disconnected:
            return
        except asyncio.CancelledError:
            if cycle is not None and cycle.is_gone():
                return
            task = asyncio.current_task()
            if task is None or not self._draining():
                raise
            task.uncancel()  # done by a server that has waited long enough: the client is told, and all is said
            await _send_whole(scope, send, _ending(route.dialect, request_id))
            return
        except Exception:  # noqa: BLE001 -- a defect is answered in the client's dialect as well
            _log.exception("a request failed for a reason of ours", extra={"path": scope["path"]})
            failed = InternalError("the server failed; the request id helps to find out why")
            refused = _inbound(route, head, request_id, trace, principal)
            await self._refuse(scope, send, refused, failed, array=route.array)
            return
        if route.array:
            reply = as_array(reply)
        if reply.stream is None:
            await _send_whole(scope, send, reply)
        else:
            await self._send_stream(reply, AsgiOutlet(receive, send) if cycle is None else cycle, scope)

    def _again(self, route: Route, head: RequestHead, cycle: Cycle) -> Coroutine[Any, Any, None]:
        """Another request with the same head on the same connection."""
        receive: Any = cycle.receive
        return self._serve(route, head, cycle, cycle.scope, receive, cycle.send)

    async def _refuse(
        self, scope: HTTPScope, send: Send, inbound: Inbound, error: PulseError, *, array: bool = False
    ) -> None:
        reply = await self._gateway.refuse(inbound, error)
        await _send_whole(scope, send, as_array(reply) if array else reply)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        length = headers.get("content-length")
        if length is not None and re.fullmatch(r"[0-9]{1,18}", length) and int(length) > self._max_body_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(_BODY_S):
                return await self._received(receive)
        except TimeoutError as error:
            raise RequestTimeout(f"the body did not arrive within {_BODY_S:g} s") from error

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"the body exceeds {self._max_body_bytes} bytes")

    async def _received(self, receive: Receive) -> bytes:
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
                raise self._too_large()
            if size == len(piece) and not message["more_body"]:
                return piece
            received.write(piece)
            if not message["more_body"]:
                return received.getvalue()

    async def _send_stream(self, reply: Reply, outlet: Outlet, scope: HTTPScope) -> None:
        """Move the stream until it ends or the client leaves, which is noticed at once."""
        relaying = asyncio.current_task()
        assert relaying is not None

        def left() -> None:
            if reply.abandon(slow=is_stalled(scope)):
                relaying.cancel()

        outlet.watch(left)
        write = outlet.write
        try:
            async with reply:
                if (waiting := outlet.begin(reply.status, reply.headers)) is not None:
                    await waiting
                with Heartbeat(outlet, reply.keep_alive, self._keep_alive_s):
                    async for item in reply:
                        # Nothing is not written, and does not count as a sign of life.
                        if item and (waiting := write(item)) is not None:
                            await waiting
        except asyncio.CancelledError:
            if not reply.gone:
                last = reply.farewell()
                if reply.cut:
                    break_off(scope)
                elif (waiting := outlet.end(last)) is not None:
                    await waiting
                if not self._draining():
                    raise
            relaying.uncancel()  # done by `left`, or by a server that has waited long enough: all is said
            return
        finally:
            outlet.unwatch()
        if reply.cut:
            break_off(scope)
        elif (waiting := outlet.end()) is not None:
            await waiting


class _Disconnected(Exception):
    """The client left before its request was whole."""


def _inbound(
    route: Route,
    head: RequestHead,
    request_id: str,
    trace: TraceContext | None,
    principal: Principal | None,
    body: bytes = b"",
    left: Callable[[], bool] | None = None,
) -> Inbound:
    """What is known of a request; of one that is refused before its body is read, without that."""
    return Inbound(
        dialect=route.dialect,
        operation=route.operation,
        body=body,
        content_type=head.content_type,
        model=route.model,
        stream=route.stream,
        principal=principal,
        headers=head.handed_on,
        request_id=request_id,
        trace=trace,
        timeout_s=head.timeout_s,
        tags=head.tags,
        idempotency_key=head.idempotency_key,
        left=left,
    )


async def authenticated(
    scope: Mapping[str, Any], secret: str | None, keys: Authenticator, anonymous: AnonymousLimit
) -> Principal:
    """The caller, whose key is `secret`.

    Raises: Unauthenticated, RateLimited for addresses that have been told so too often; StoreUnavailable, PermissionDenied.
    """
    try:
        if secret is None:
            raise Unauthenticated("no API key was sent; send it as Authorization: Bearer, x-api-key or x-goog-api-key")
        return await keys.authenticate(secret)
    except Unauthenticated:
        anonymous.count(scope)
        raise


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


def _ending(dialect: str, request_id: str) -> Reply:
    """The answer to a request whose exchange this server has broken off, and thereby reported."""
    error = _shutting_down()
    headers = [("content-type", "application/json"), ("x-request-id", request_id), *refusal_headers(error)]
    return Reply(error.status, headers, wire.face(dialect).encode_error(error, request_id))
