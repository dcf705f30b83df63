"""multipart/form-data, taken apart strictly.

Source: RFC 7578, RFC 2046 section 5.1, and the names' escapes as browsers write them
(https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data, read 2026-11-24)
"""

from __future__ import annotations

import re

import msgspec

from pulse_gateway.testing.simulator.vendor import Request

__all__ = ["FormError", "Part", "read_form"]

_MAX_PARTS = 256
_KIND = re.compile(
    r'multipart/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE | re.DOTALL
)
_DISPOSITION = re.compile(r'form-data((?:\s*;\s*[\w*-]+=(?:"(?:[^"\\]|\\.)*"|[^\s;"]+))*)\s*', re.IGNORECASE)
_OPTION = re.compile(r'([\w*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
_ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}


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
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise FormError("content-type must be multipart/form-data")
    found = _KIND.match(kind)
    if found is None:
        raise FormError("content-type has no boundary")
    boundary = b"--" + (found.group(1) or found.group(2)).encode("latin-1")
    body = request.body
    if not body.startswith(boundary):
        raise FormError("the form does not begin with its boundary")
    sections = body[len(boundary) :].split(b"\r\n" + boundary)
    if sections.pop().rstrip(b" \t\r\n") != b"--":
        raise FormError("the form does not end with its boundary")
    if len(sections) > _MAX_PARTS:
        raise FormError(f"more than {_MAX_PARTS} parts")
    return [_part(section) for section in sections]


def _part(section: bytes) -> Part:
    if not section.startswith(b"\r\n"):
        raise FormError("a boundary is not at the end of its line")
    head, blank, data = section[2:].partition(b"\r\n\r\n")
    if not blank:
        raise FormError("a part has no blank line after its headers")
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError as error:
        raise FormError("the headers of a part are not UTF-8") from error
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name.lower() in headers:
            raise FormError(f"a part has a header that cannot be read: {line!r}")
        headers[name.lower()] = value.strip()
    options = _options(headers.get("content-disposition", ""))
    if "name" not in options:
        raise FormError("a part has no name")
    return Part(options["name"], options.get("filename"), headers.get("content-type", ""), data)


def _options(disposition: str) -> dict[str, str]:
    """`form-data; name="a"; filename="b"`."""
    found = _DISPOSITION.fullmatch(disposition)
    if found is None:
        raise FormError(f"a part's content-disposition cannot be read: {disposition!r}")
    return {name.lower(): _unescape(quoted or plain) for name, quoted, plain in _OPTION.findall(found.group(1))}


def _unescape(text: str) -> str:
    text = re.sub(r"\\(.)", r"\1", text)
    return re.sub("%22|%0D|%0A", lambda escape: _ESCAPES[escape.group().upper()], text, flags=re.IGNORECASE)
