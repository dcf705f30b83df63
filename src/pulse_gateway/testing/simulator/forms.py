"""multipart/form-data, taken apart strictly.

Source: RFC 7578
"""

from __future__ import annotations

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["FormError", "Part", "read_form"]

_MAX_PARTS = 256


class FormError(ValueError):
    """It is no form; the message says why."""


class Part(msgspec.Struct, frozen=True):
    """One field of a form. `filename` is None for a plain value, `content_type` empty if the part has none."""

    name: str
    filename: str | None
    content_type: str
    data: bytes

    @property
    def text(self) -> str:
        """Raises: FormError if it is not UTF-8."""
        try:
            return self.data.decode()
        except UnicodeDecodeError as error:
            raise FormError(f"{self.name}: not UTF-8") from error


def read_form(request: Request) -> list[Part]:
    """The parts in the order they were sent.

    Raises: FormError.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != "multipart/form-data":
        raise FormError("content-type must be multipart/form-data")
    boundary = options.get("boundary")
    if not boundary:
        raise FormError("content-type has no boundary")
    parts: list[Part] = []
    segment: MultipartSegment | None = None
    data: list[bytes] = []
    try:
        with PushMultipartParser(boundary, strict=True, max_segment_count=_MAX_PARTS) as parser:
            for piece in (*parser.parse(request.body), *parser.parse(b"")):
                if isinstance(piece, MultipartSegment):
                    segment, data = piece, []
                elif piece:
                    data.append(bytes(piece))
                elif segment is not None:
                    kind = segment.header("Content-Type") or ""
                    parts.append(Part(segment.name, segment.filename, kind, b"".join(data)))
    except MultipartError as error:
        raise FormError(f"not a valid form: {error}") from error
    return parts
