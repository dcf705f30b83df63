"""Messages of `application/vnd.amazon.eventstream`.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html and
https://smithy.io/2.0/aws/amazon-eventstream.html (read 2026-11-24)
"""

from __future__ import annotations

import struct
import zlib

__all__ = ["break_message", "event", "exception"]

_STRING = 7
_PRELUDE_BYTES = 12
_CRC_BYTES = 4


def event(name: str, payload: bytes) -> bytes:
    return _message([(":event-type", name), (":content-type", "application/json"), (":message-type", "event")], payload)


def exception(name: str, payload: bytes) -> bytes:
    """An error that ends the stream; `name` is like `throttlingException`."""
    return _message(
        [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")], payload
    )


def break_message(message: bytes) -> bytes:
    """The same message with half of its payload, well framed."""
    (headers_bytes,) = struct.unpack(">I", message[4:8])
    start = _PRELUDE_BYTES + headers_bytes
    payload = message[start:-_CRC_BYTES]
    return _frame(message[_PRELUDE_BYTES:start], payload[: len(payload) // 2])


def _message(headers: list[tuple[str, str]], payload: bytes) -> bytes:
    head = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", _STRING, len(value)) + value.encode()
        for name, value in headers
    )
    return _frame(head, payload)


def _frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", _PRELUDE_BYTES + len(headers) + len(payload) + _CRC_BYTES, len(headers))
    prelude += struct.pack(">I", zlib.crc32(prelude))
    message = prelude + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))
