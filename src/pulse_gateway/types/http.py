"""HTTP as values: what goes to a provider, and the head of what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["Headers", "HttpAnswer", "HttpRequest", "Payload", "Timeouts", "header"]

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, in wire order; a name may repeat."""


def header(headers: Headers, name: str) -> str | None:
    """The first value of `name` (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


class HttpRequest(msgspec.Struct, frozen=True):
    """`stream` is a body that is made while it is sent, instead of `body`: in chunks, unless a header says its length. It is sent once;
    such a request is never repeated by a transport.
    """

    method: str
    url: str
    headers: Headers
    body: bytes = b""
    stream: AsyncIterable[bytes] | None = None

    def __repr__(self) -> str:
        """Without headers, query and body: they hold credentials and prompts."""
        return f"HttpRequest({self.method} {self.url.partition('?')[0]})"


class HttpAnswer(msgspec.Struct, frozen=True):
    """A whole answer, as it came."""

    status: int
    headers: Headers
    body: bytes


class Payload(msgspec.Struct, frozen=True):
    """A body and what it is: JSON, a multipart form, audio … `content_type` holds a form's boundary."""

    data: bytes
    content_type: str = "application/json"


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long each phase of an upstream call may take, in seconds. None: without bound.

    `connect_s` bounds the wait for a connection that is free, and that for a new one, names and all; `tls_s` its handshake; `write_s` is
    for a provider that takes nothing of the request; `total_s` for everything up to the last byte of the answer.
    """

    connect_s: Annotated[float, Meta(gt=0)] = 5.0
    tls_s: Annotated[float, Meta(gt=0)] = 5.0
    write_s: Annotated[float, Meta(gt=0)] | None = 30.0
    first_byte_s: Annotated[float, Meta(gt=0)] | None = 60.0
    idle_s: Annotated[float, Meta(gt=0)] | None = 30.0
    total_s: Annotated[float, Meta(gt=0)] | None = None
