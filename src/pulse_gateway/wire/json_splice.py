"""Replace members of a JSON object and keep every other byte: white space, order, number spelling, unknown fields."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.foreign_json import from_client

__all__ = ["remove_member", "set_members"]

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode
_OPEN = re.compile(rb"[ \t\n\r]*\{[ \t\n\r]*")
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")[ \t\n\r]*:[ \t\n\r]*')
_COLON = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*")
_NEXT = re.compile(rb"[ \t\n\r]*,[ \t\n\r]*")
_CLOSE = re.compile(rb"[ \t\n\r]*\}[ \t\n\r]*\Z")


class _Span(msgspec.Struct, frozen=True):
    key_start: int
    start: int
    end: int


def _spans(body: bytes) -> dict[str, _Span]:
    """Where each top-level member stands. One C-speed decode finds the values; their lengths give the offsets.

    Raises: InvalidRequest when `body` is no JSON object, or a key occurs twice: two readers could then see two different requests.
    """
    members = from_client(_decode, body)
    spans: dict[str, _Span] = {}
    # `{"key":value,"key":value}` is exactly as long as its members and their punctuation. With a key twice, with white space or escapes it
    # would be longer, and is looked at piece by piece.
    if len(body) == sum(map(len, members)) + sum(map(len, members.values())) + 4 * len(members) + 1 and members:
        position = 1
        for name, raw in members.items():
            start = position + len(name) + 3
            end = start + len(raw)
            spans[name] = _Span(position, start, end)
            position = end + 1
        return spans
    opening = _OPEN.match(body)
    position = opening.end() if opening else 0
    for name, raw in members.items():
        start = _after_key(body, position, name)
        end = start + len(raw)
        if start < 0 or not body.startswith(memoryview(raw), start):
            raise InvalidRequest(f"the key {name!r} occurs twice", param=name)
        spans[name] = _Span(position, start, end)
        following = _NEXT.match(body, end)
        position = following.end() if following else end
    if members and not _CLOSE.match(body, position):
        raise InvalidRequest("a key of the body occurs twice")
    return spans


def _after_key(body: bytes, position: int, name: str) -> int:
    """Where the value of the key `name` begins, if that key stands at `position`, else -1."""
    plain = b'"%b"' % name.encode("utf-8", "surrogatepass")
    if body.startswith(plain, position):
        colon = _COLON.match(body, position + len(plain))
        return colon.end() if colon else -1
    key = _KEY.match(body, position)  # spelled with escapes
    if key is None or msgspec.json.decode(key[1]) != name:
        return -1
    return key.end()


def set_members(body: bytes, /, **values: Any) -> bytes:
    """`body` with each top-level member set: in place where it stands, else added last.

    Raises: InvalidRequest when `body` is no JSON object or a key occurs twice.
    """
    spans = _spans(body)
    if not values:
        return body
    whole = memoryview(body)  # views, because it may be large and each slice of it would be a copy
    pieces: list[bytes | memoryview] = []
    position = 0
    for start, name in sorted((spans[name].start, name) for name in values if name in spans):
        pieces += (whole[position:start], _encode(values[name]))
        position = spans[name].end
    added = [_encode(name) + b":" + _encode(value) for name, value in values.items() if name not in spans]
    if added:
        closing = body.rindex(b"}")
        pieces += (whole[position:closing], b"," if spans else b"", b",".join(added))
        position = closing
    pieces.append(whole[position:])
    return b"".join(pieces)


def remove_member(body: bytes, name: str, /) -> bytes:
    """`body` without the top-level member `name` and its comma; `body` itself when it has none."""
    spans = _spans(body)
    span = spans.get(name)
    if span is None:
        return body
    if following := _NEXT.match(body, span.end):
        return body[: span.key_start] + body[following.end() :]
    head = body[: span.key_start].rstrip(b" \t\r\n")
    return (head[:-1] if head.endswith(b",") else head) + body[span.end :]
