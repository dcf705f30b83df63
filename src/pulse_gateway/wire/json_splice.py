"""Replace members of a JSON object and keep every other byte: white space, order, number spelling, unknown fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.foreign_json import from_client

__all__ = ["read_members", "remove_member", "set_members", "splice"]

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_LARGE_BYTES = 32 * 1024  # of which a copy is not for nothing
_SPACE = 0x20
_MODEL = "model"
_OPEN = re.compile(rb"[ \t\n\r]*\{[ \t\n\r]*")
_KEY = re.compile(rb'("(?:[^"\\]|\\.)*")[ \t\n\r]*:[ \t\n\r]*')
_COLON = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*")
_NEXT = re.compile(rb"[ \t\n\r]*,[ \t\n\r]*")
_CLOSE = re.compile(rb"[ \t\n\r]*\}[ \t\n\r]*\Z")

Members = dict[str, msgspec.Raw]
"""The members of an object as they are written, in their order. Of a key that occurs twice the last value."""


def read_members(body: bytes) -> Members:
    """Raises: InvalidRequest when `body` is no JSON object. Whether a key occurs twice, `splice` says."""
    return from_client(_decode, body)


class _Shape(msgspec.Struct, frozen=True, gc=False):
    """How an object with certain keys is written: as most SDKs do, `{"key":value,"key":value}`, and as Python's `json` does, with a
    space after each colon and comma. `first_bytes` is what stands before the first value, in the former.
    """

    first_bytes: int
    compact: bytes
    spaced: bytes


_shapes: dict[tuple[str, ...], _Shape] = {}
_MOST_SHAPES, _LONGEST_SHAPE_BYTES = 256, 1024


def _shape_of(names: tuple[str, ...]) -> _Shape:
    _check_spelling(names)
    keys = [_encode(name).replace(b"%", b"%%") for name in names]
    compact = b"{%b}" % b",".join([key + b":%b" for key in keys])
    spaced = b"{%b}" % b", ".join([key + b": %b" for key in keys])
    shape = _Shape(len(_encode(names[0])) + 2, compact, spaced)
    if len(spaced) <= _LONGEST_SHAPE_BYTES:
        if len(_shapes) >= _MOST_SHAPES:
            _shapes.clear()
        _shapes[names] = shape
    return shape


def _check_spelling(names: Iterable[str]) -> None:
    """Raises: InvalidRequest for a second `model` in other letters: servers written in Go take the last one, whatever its case."""
    for name in names:
        if len(name) == len(_MODEL) and name != _MODEL and name.lower() == _MODEL:
            raise InvalidRequest(f"the key {name!r} is `model` in other letters", param=name)


def _starts(body: bytes, members: Members) -> list[int]:
    """Where each value of `members` begins in `body`, in their order.

    Raises: InvalidRequest when a key occurs twice: two readers could then see two different requests.
    """
    # `{"key":value,"key":value}` is exactly as long as its members and their punctuation. With a key twice, with white space or escapes it
    # would be longer.
    starts = []
    position = 1
    for name, raw in members.items():
        position += len(name) + 3
        starts.append(position)
        position += len(raw) + 1
    return starts if position == len(body) and members else _scanned(body, members)


def _scanned(body: bytes, members: Members) -> list[int]:
    """The same for an object in any spelling, looked at piece by piece."""
    opening = _OPEN.match(body)
    position = opening.end() if opening else 0
    starts = []
    for name, raw in members.items():
        start = _after_key(body, position, name)
        end = start + len(raw)
        if start < 0 or not body.startswith(raw, start):
            raise InvalidRequest(f"the key {name!r} occurs twice", param=name)
        starts.append(start)
        following = _NEXT.match(body, end)
        position = following.end() if following else end
    if members and not _CLOSE.match(body, position):
        raise InvalidRequest("a key of the body occurs twice")
    return starts


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
    return splice(body, read_members(body), values)


def splice(body: bytes, members: Members, values: Mapping[str, Any]) -> bytes:
    """The same of a body whose `members` were read already.

    Raises: InvalidRequest when a key occurs twice.
    """
    if len(body) <= _LARGE_BYTES and members and (spliced := _spliced(body, members, values)) is not None:
        return spliced
    _check_spelling(members)
    starts = _starts(body, members)
    if not values:
        return body
    whole = memoryview(body)  # views, because it may be large and each slice of it would be a copy
    pieces: list[bytes | memoryview] = []
    position = 0
    for start, name in zip(starts, members, strict=True):
        if name in values:
            pieces += (whole[position:start], _encode(values[name]))
            position = start + len(members[name])
    added = [_encode(name) + b":" + _encode(value) for name, value in values.items() if name not in members]
    if added:
        closing = body.rindex(b"}")
        pieces += (whole[position:closing], b"," if members else b"", b",".join(added))
        position = closing
    pieces.append(whole[position:])
    return b"".join(pieces)


def _spliced(body: bytes, members: Members, values: Mapping[str, Any]) -> bytes | None:
    """The same of a body in one of the two usual spellings, in a fraction of the time. None: it is in another, or a key occurs twice.

    What `members` give when they are written has each key once. If that is the body, so does the body, and with other values in their
    places it differs in nothing but these.
    """
    names = tuple(members)
    shape = _shapes.get(names) or _shape_of(names)
    start = shape.first_bytes
    if body[start] == _SPACE:
        start += 1
        template = shape.spaced
        usual = template % tuple(members.values())
    else:
        template = shape.compact
        usual = _encode(members)
    if usual != body or not values:
        return None if usual != body else body
    first = names[0]
    if len(values) == 1 and first in values:  # the model, nearly always
        return body[:start] + _encode(values[first]) + body[start + len(members[first]) :]
    written: dict[str, bytes | msgspec.Raw] = {**members}
    added = b""
    for name, value in values.items():
        if name in members:
            written[name] = _encode(value)
        else:
            added += b",%b:%b" % (_encode(name), _encode(value))
    changed = template % tuple(written.values())
    return b"%b%b}" % (changed[:-1], added) if added else changed


def remove_member(body: bytes, name: str, /) -> bytes:
    """`body` without the top-level member `name` and its comma; `body` itself when it has none.

    Raises: InvalidRequest when `body` is no JSON object or a key occurs twice.
    """
    members = read_members(body)
    starts = _starts(body, members)
    if name not in members:
        return body
    names = list(members)
    place = names.index(name)
    end = starts[place] + len(members[name])
    before = _NEXT.match(body, starts[place - 1] + len(members[names[place - 1]])) if place else _OPEN.match(body)
    key_start = before.end() if before else 0
    if following := _NEXT.match(body, end):
        return body[:key_start] + body[following.end() :]
    head = body[:key_start].rstrip(b" \t\r\n")
    return (head[:-1] if head.endswith(b",") else head) + body[end:]
