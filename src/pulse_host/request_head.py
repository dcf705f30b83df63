"""What the head of a request says, in the gateway's words."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from litestar.types import HTTPScope

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.ids import new_request_id
from pulse_gateway.telemetry.trace import TraceContext, read_trace
from pulse_gateway.wire.multipart import is_form

__all__ = ["RequestHead", "clean_request_id", "credential_of", "headers_of", "request_id_of"]

_NOT_HANDED_ON = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "cookie", "proxy-authorization", "content-length"}
)
_MAX_REQUEST_ID = 128
Headers = dict[str, str]


class RequestHead:
    """Nothing in it belongs to one request alone, so that it holds for every head of the same bytes.

    `handed_on` are its headers without credentials. What may be refused is there after `read`, which comes after the caller is known.
    """

    __slots__ = (
        "_request_id",
        "_traced",
        "content_type",
        "handed_on",
        "headers",
        "idempotency_key",
        "is_read",
        "secret",
        "tags",
        "timeout_s",
    )  # fmt: skip

    def __init__(self, headers: Headers) -> None:
        self.headers = headers
        self.handed_on = tuple([pair for pair in headers.items() if pair[0] not in _NOT_HANDED_ON])
        self.secret = credential_of(headers)
        self.idempotency_key = headers.get("idempotency-key")
        self._request_id = clean_request_id(headers.get("x-request-id"))
        self._traced = "traceparent" in headers or "x-amzn-trace-id" in headers
        self.is_read = False
        self.content_type = "application/json"
        self.timeout_s: float | None = None
        self.tags: tuple[tuple[str, str], ...] = ()

    def request_id(self) -> str:
        """The caller's, or a new one."""
        return self._request_id or new_request_id()

    def trace(self) -> TraceContext | None:
        """The caller's, with a span of our own; None: the caller has none."""
        if not self._traced:
            return None
        of = self.headers.get
        return read_trace(of("traceparent"), of("tracestate"), of("x-amzn-trace-id"))

    def read(self) -> None:
        """Raises: InvalidRequest."""
        headers = self.headers
        self.content_type, self.timeout_s, self.tags = _content_type(headers), _timeout_s(headers), _tags(headers)
        if headers.get("content-encoding", "identity") != "identity":
            raise InvalidRequest(
                "compressed request bodies are not taken; send the JSON as it is", param="content-encoding"
            )
        self.is_read = True


def headers_of(scope: HTTPScope) -> Headers:
    """By lower-case name. The key that Gemini's clients may put into the query stands where they put it otherwise."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if b"key=" in scope["query_string"] and b"/models" in scope["raw_path"] and "x-goog-api-key" not in headers:
        key = parse_qs(scope["query_string"].decode("latin-1")).get("key")
        if key:
            headers["x-goog-api-key"] = key[0]
    return headers


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
