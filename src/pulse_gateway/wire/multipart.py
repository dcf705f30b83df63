"""Forms: `multipart/form-data` → parts, one field of a form rewritten, a form built. The one file that imports `multipart`, once there is a form.

Strict: what two readers could understand in two ways is refused. Nothing is copied but what is changed: a part is a view of the body.

Source: RFC 7578 and RFC 2046, 5.1.1; how browsers quote names: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
(read 2026-11-24).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.http import Payload

if TYPE_CHECKING:
    from multipart import MultipartSegment

__all__ = ["MAX_PARTS", "FormPart", "Part", "build_form", "is_form", "parse_form", "set_field"]

MAX_PARTS = 128
_MAX_HEADER_BYTES = 4096
_MAX_BOUNDARY_CHARS = 200  # RFC 2046 says 70
# Another reader might take another one of two names, and so find a `model` that was never looked at here.
_WORD = r"[\w!#$%&'*+.^`|~-]+"
_VALUE = rf'(?:"(?:[^"\\]|\\.)*"|{_WORD})'
_DISPOSITION = re.compile(rf"form-data(?: *; *[\w*-]+ *= *{_VALUE})+ *;?", re.IGNORECASE | re.ASCII)
_OPTION = re.compile(rf"; *([\w*-]+) *= *{_VALUE}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # a carriage return alone ends a line to some readers
_AS_IT_IS = frozenset({"binary", "8bit", "7bit"})  # Content-Transfer-Encoding


class Part(msgspec.Struct, frozen=True):
    """One part of a form that came. `data` is the body from `start` to `end`; its headers begin at `head`."""

    name: str
    filename: str | None
    content_type: str | None
    data: memoryview
    head: int
    start: int
    end: int
    has_length: bool = False  # it says how long it is

    @property
    def is_file(self) -> bool:
        return self.filename is not None

    def text(self) -> str:
        """Raises: InvalidRequest."""
        try:
            return str(self.data, "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"{self.name}: is not UTF-8 text", param=self.name) from error


class FormPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a form to be built."""

    name: str
    data: bytes
    filename: str | None = None
    content_type: str | None = None


def is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


def parse_form(payload: Payload) -> list[Part]:
    """The parts in their order. Raises: InvalidRequest."""
    boundary, body = _boundary(payload.content_type), payload.data
    delimiter = b"--" + boundary
    first = 2 if body.startswith(b"\r\n") else 0
    if not body.startswith(delimiter, first):
        raise InvalidRequest("the form does not begin with its boundary")
    segments = _segments(boundary, body)
    parts: list[Part] = []
    view, head = memoryview(body), first + len(delimiter) + 2
    for segment in segments:
        start = body.index(b"\r\n\r\n", head) + 4
        end = start + segment.size
        parts.append(_part(segment, view, head, start, end))
        head = end + 2 + len(delimiter) + 2
    if body[head:].strip(b"\r\n"):
        raise InvalidRequest("something follows the end of the form")
    return parts


def set_field(payload: Payload, name: str, value: str) -> Payload:
    """The same form with another `value` in its field `name`; every other byte is kept.

    Raises: InvalidRequest when the field is not there, or there twice: two readers could then see two different requests.
    """
    parts = [part for part in parse_form(payload) if part.name == name]
    if len(parts) != 1:
        raise InvalidRequest(f"{name}: {'occurs twice' if parts else 'is required'}", param=name)
    part, body, new = parts[0], payload.data, value.encode()
    if part.data == new:
        return payload
    if part.has_length:
        new = _headers(FormPart(name=name, data=b"")) + new
    at = part.head if part.has_length else part.start
    return Payload(b"".join((memoryview(body)[:at], new, memoryview(body)[part.end :])), payload.content_type)


def build_form(parts: Sequence[FormPart]) -> Payload:
    """The same parts make the same form, byte for byte: its boundary is made of them.

    Raises: InvalidRequest for a media type that would be more than one header.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(msgspec.json.encode((part.name, part.filename, part.content_type, len(part.data))))
        digest.update(part.data)
    boundary = f"pulse-{digest.hexdigest()[:40]}"
    while any(boundary.encode() in part.data for part in parts):
        digest.update(b"again")
        boundary = f"pulse-{digest.hexdigest()[:40]}"
    line = f"--{boundary}\r\n".encode()
    pieces: list[bytes] = []
    for part in parts:
        pieces += (line, _headers(part), part.data, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return Payload(b"".join(pieces), f"multipart/form-data; boundary={boundary}")


def _headers(part: FormPart) -> bytes:
    from multipart import content_disposition_quote

    said = f"Content-Disposition: form-data; name={content_disposition_quote(part.name)}"
    if part.filename is not None:
        said += f"; filename={content_disposition_quote(part.filename)}"
    if part.content_type is not None:
        if not (part.content_type.isascii() and part.content_type.isprintable()):  # clients name it, in JSON too
            raise InvalidRequest("the media type of a file may hold printable ASCII only")
        said += f"\r\nContent-Type: {part.content_type}"
    return f"{said}\r\n\r\n".encode()


def _boundary(content_type: str) -> bytes:
    from multipart import parse_options_header

    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data":
        raise InvalidRequest("expected a form: content-type multipart/form-data", param="content-type")
    if not boundary or len(boundary) > _MAX_BOUNDARY_CHARS or not (boundary.isascii() and boundary.isprintable()):
        raise InvalidRequest("the content type of a form names its boundary", param="content-type")
    return bytes(boundary, "ascii")


def _segments(boundary: bytes, body: bytes) -> list[MultipartSegment]:
    """Heads and sizes of the parts. Raises: InvalidRequest."""
    from multipart import MultipartError, MultipartSegment, PushMultipartParser

    parser = PushMultipartParser(boundary, max_header_size=_MAX_HEADER_BYTES, max_segment_count=MAX_PARTS, strict=True)
    try:
        segments = [event for event in parser.parse(body) if isinstance(event, MultipartSegment)]
        parser.close()
    except MultipartError as error:
        raise InvalidRequest(f"the form cannot be read: {error}") from error
    return segments


def _part(segment: MultipartSegment, view: memoryview, head: int, start: int, end: int) -> Part:
    names = [name for name, _ in segment.headerlist]
    if len(set(names)) != len(names):
        raise InvalidRequest(f"{segment.name}: a header of this part occurs twice", param=segment.name)
    if any(_CONTROL.search(value) for _, value in segment.headerlist):
        raise InvalidRequest("a header of a part may hold no control characters")
    disposition = next(value for name, value in segment.headerlist if name == "Content-Disposition")
    options = [option.lower() for option in _OPTION.findall(disposition)]
    if not _DISPOSITION.fullmatch(disposition) or len(set(options)) != len(options) or "name*" in options:
        raise InvalidRequest("the name of a part is not written as in a form")
    coding = next((value for name, value in segment.headerlist if name == "Content-Transfer-Encoding"), "binary")
    if coding.lower() not in _AS_IT_IS:
        raise InvalidRequest(f"{segment.name}: send the bytes as they are, without a coding", param=segment.name)
    return Part(
        segment.name,
        segment.filename,
        segment.content_type,
        view[start:end],
        head,
        start,
        end,
        "Content-Length" in names,
    )
