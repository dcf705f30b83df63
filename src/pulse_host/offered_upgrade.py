"""What comes behind a head that offers to go over to another protocol, which is not done here."""

from __future__ import annotations

from typing import Any

import httptools

__all__ = ["behind_head", "has_body"]

_OF_THE_BODY = (b"content-length", b"transfer-encoding")
Headers = list[tuple[bytes, bytes]]


def has_body(headers: Headers) -> bool:
    """Whether the end of a request with these headers is not the end of its head. The parser has seen that a length is a number."""
    return any(name in _OF_THE_BODY and (name != b"content-length" or int(value)) for name, value in headers)


def behind_head(connection: Any, headers: Headers) -> Any:
    """A parser that stands behind a head with these headers. The one that read it takes all that follows for the other protocol.

    Raises: HttpParserError for headers that do not say where the body ends; so far nobody has looked.
    """
    told = _Told(connection)
    parser: Any = httptools.HttpRequestParser(told)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    lines = [b"%b: %b\r\n" % pair for pair in headers if pair[0] in _OF_THE_BODY]
    parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(lines))
    told.is_behind_head = True
    return parser


class _Told:
    """Tells `connection` everything but the head that was read before."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.is_behind_head = False
        self.on_body, self.on_message_complete = connection.on_body, connection.on_message_complete

    def on_message_begin(self) -> None:
        if self.is_behind_head:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self.is_behind_head:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.is_behind_head:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.is_behind_head:
            self._connection.on_headers_complete()
