"""`/v1/videos`: jobs are begun by the data plane, looked at, fetched and deleted here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar.types import HTTPScope, Receive, Send

from pulse_gateway.errors import InvalidRequest, MethodNotAllowed, PulseError, RouteNotFound, UnsupportedParameter
from pulse_gateway.gateway import Gateway
from pulse_gateway.limits.headers import refusal_headers
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.types.http import header
from pulse_gateway.types.identity import Principal
from pulse_gateway.types.videos import VideoFile
from pulse_gateway.wire.openai_chat.errors import encode_error
from pulse_gateway.wire.videos.openai import video_object
from pulse_host.anonymous import AnonymousLimit
from pulse_host.cycle import break_off
from pulse_host.ingress import authenticated
from pulse_host.request_head import credential_of, headers_of, request_id_of

__all__ = ["Videos"]

_JSON = "application/json"
_MOST_LISTED = 100
_PIECE_BYTES = 256 * 1024
_VIDEO = re.compile(r"video/[\w.+-]+", re.ASCII)  # what a stranger's model calls its output may be a page with a script


class Videos:
    """Everything below `/v1/videos` but the POST that begins a job."""

    def __init__(self, gateway: Gateway, keys: Authenticator, anonymous: AnonymousLimit) -> None:
        self._gateway, self._keys, self._anonymous = gateway, keys, anonymous

    async def serve(self, rest: str, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """`rest` is what follows `/v1/videos/`."""
        headers = headers_of(scope)
        request_id = request_id_of(headers)
        try:
            handle, allowed = self._route(rest)
            if scope["method"] not in allowed:
                raise MethodNotAllowed(f"{scope['method']} is not served here", allowed=", ".join(sorted(allowed)))
            principal = await authenticated(scope, credential_of(headers), self._keys, self._anonymous)
            await handle(principal, scope, receive, send, request_id)
        except PulseError as error:
            more = list(refusal_headers(error))
            if isinstance(error, MethodNotAllowed):
                more.append(("allow", error.allowed))
            await _send(send, error.status, encode_error(error, request_id), request_id, more)

    def _route(self, rest: str) -> tuple[Callable[..., Awaitable[None]], frozenset[str]]:
        """Raises: RouteNotFound."""
        job_id, _, more = rest.partition("/")
        if not job_id:
            return self._list, frozenset({"GET", "HEAD", "POST"})
        if not more:
            return self._one(job_id), frozenset({"GET", "HEAD", "DELETE"})
        if more == "content":
            return self._content(job_id), frozenset({"GET"})
        raise RouteNotFound("there is nothing here; a video has /content, and can be looked at and deleted")

    async def _list(
        self, principal: Principal, scope: HTTPScope, receive: Receive, send: Send, request_id: str
    ) -> None:
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        limit, order = query.get("limit", "20"), query.get("order", "desc")
        if not re.fullmatch(r"[0-9]{1,4}", limit) or not 1 <= int(limit) <= _MOST_LISTED:
            raise InvalidRequest(f"limit: expected a number from 1 to {_MOST_LISTED}", param="limit")
        if order not in {"asc", "desc"}:
            raise InvalidRequest("order: is none of asc, desc", param="order")
        count = int(limit)
        jobs = await self._gateway.videos.list(
            principal.tenant_id,
            principal.user_id,
            after=query.get("after"),
            limit=count + 1,
            ascending=order == "asc",
        )
        shown = [video_object(job) for job in jobs[:count]]
        ids = [each["id"] for each in shown] or [None]
        body = {
            "object": "list",
            "data": shown,
            "first_id": ids[0],
            "last_id": ids[-1],
            "has_more": len(jobs) > count,
        }
        await _send(send, 200, msgspec.json.encode(body), request_id)

    def _one(self, job_id: str) -> Callable[..., Awaitable[None]]:
        async def handle(principal: Principal, scope: HTTPScope, receive: Receive, send: Send, request_id: str) -> None:
            who = (principal.tenant_id, principal.user_id, job_id)
            if scope["method"] == "DELETE":
                job = await self._gateway.videos.delete(*who)
                answer: dict[str, Any] = {"id": job.id, "object": "video.deleted", "deleted": True}
            else:
                answer = video_object(await self._gateway.videos.get(*who))
            await _send(send, 200, msgspec.json.encode(answer), request_id)

        return handle

    def _content(self, job_id: str) -> Callable[..., Awaitable[None]]:
        async def handle(principal: Principal, scope: HTTPScope, receive: Receive, send: Send, request_id: str) -> None:
            query = parse_qs(scope["query_string"].decode("latin-1"))
            if query.get("variant", ["video"])[-1] != "video":
                raise UnsupportedParameter("variant: only the video itself can be had", param="variant")
            who = (principal.tenant_id, principal.user_id, job_id)
            async with _while_there(receive) as listening, self._gateway.videos.content(*who) as found:
                length: str | None
                if isinstance(found, VideoFile):
                    kind, length = found.content_type, str(len(found.data))
                    pieces = _cut(found.data)
                else:
                    kind = header(found.headers, "content-type") or "video/mp4"
                    length, pieces = header(found.headers, "content-length"), aiter(found)
                headers = [
                    ("content-type", kind if _VIDEO.fullmatch(kind) else "application/octet-stream"),
                    ("x-content-type-options", "nosniff"),
                    ("x-request-id", request_id),
                ]
                if length is not None:
                    headers.append(("content-length", length))
                await _send_file(scope, send, headers, pieces)
                listening.cancel()  # who has got all may leave

        return handle


@asynccontextmanager
async def _while_there(receive: Receive) -> AsyncIterator[asyncio.Task[None]]:
    """Ends what is inside, without an error, as soon as the client has left, until the task that listens for it is cancelled."""
    working = asyncio.current_task()
    assert working is not None
    gone = False

    async def listen() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        working.cancel()

    listening = asyncio.create_task(listen())
    try:
        yield listening
    except asyncio.CancelledError:
        if not gone:
            raise
        working.uncancel()
    finally:
        listening.cancel()


async def _send_file(
    scope: HTTPScope, send: Send, headers: list[tuple[str, str]], pieces: AsyncIterator[bytes]
) -> None:
    """Piece by piece, as fast as the client reads. What breaks off is broken off for the client as well: a file must never look
    whole that is not."""
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": raw})
    try:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    except PulseError:
        break_off(scope)


async def _cut(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), _PIECE_BYTES):
        yield data[at : at + _PIECE_BYTES]


async def _send(send: Send, status: int, body: bytes, request_id: str, more: Any = ()) -> None:
    headers = [("content-type", _JSON), ("x-request-id", request_id), ("content-length", str(len(body))), *more]
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})
