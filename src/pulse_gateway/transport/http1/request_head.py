"""What a request begins with: where it goes, and its head as bytes. Refuses what HTTP cannot carry. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import quote, urlsplit

import msgspec

from pulse_gateway.errors import UpstreamProtocolError, UpstreamUnreachable
from pulse_gateway.types.http import Headers

__all__ = ["Head", "Origin", "Target", "head_of", "read_url", "unwritable"]

# Source: RFC 9110 §5.6.2 (token), §5.5 (field-value); RFC 3986 §3.3, §3.4 (what stands for itself in a path and in a query).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[0-9A-Za-z._-]+")
_IN_PATH = "!$&'()*+,;=:@/%~[]|\\^"
_IN_QUERY = _IN_PATH + "?{}`"

_PLAIN, _HOST_NAME, _LENGTH, _CODING, _EXPECT = range(5)
_kinds = {"host": _HOST_NAME, "content-length": _LENGTH, "transfer-encoding": _CODING, "expect": _EXPECT}
_MOST_NAMES = 1024

# Heads of requests with a body, by method and names of headers: every second part is to be filled in, with the path, the host, the
# values and the length.
_templates: dict[tuple[str, tuple[str, ...]], list[str]] = {}
_MOST_TEMPLATES = 1024
_json = msgspec.json.Encoder().encode


class Origin(msgspec.Struct, frozen=True):
    is_tls: bool
    host: str  # as it is looked up, and named in the handshake
    port: int


class Target(msgspec.Struct, frozen=True):
    """A URL, read."""

    origin: Origin
    path: str  # and query
    host: str  # as it stands in the request


class Head(msgspec.Struct, frozen=True):
    data: bytes
    expects_continue: bool = False
    is_chunked: bool = False
    length: int | None = None  # of a body that is made while it is sent, where the caller knows it


def unwritable() -> UpstreamProtocolError:
    return UpstreamProtocolError("a request to the provider has an address or a header that HTTP cannot carry")


def read_url(url: str) -> Target:
    """Raises: UpstreamProtocolError, UpstreamUnreachable for another scheme."""
    if _CONTROL.search(url):
        raise unwritable()
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise UpstreamUnreachable("no connection to the provider")
        host, port = _ascii_host(parts.hostname or ""), parts.port
    except ValueError as error:  # brackets, ports, labels
        raise unwritable() from error
    if port == 0:
        raise unwritable()
    is_tls = parts.scheme == "https"
    usual = 443 if is_tls else 80
    named = f"[{host}]" if ":" in host else host
    path = quote(parts.path, safe=_IN_PATH) or "/"
    if parts.query:
        path += "?" + quote(parts.query, safe=_IN_QUERY)
    return Target(
        Origin(is_tls, host.rstrip(".") or host, port or usual),
        path,
        named if port is None or port == usual else f"{named}:{port}",
    )


def head_of(target: Target, method: str, headers: Headers, *, length: int | None) -> Head:
    """`length` is the body's; None when it is made while it is sent.

    Raises: UpstreamProtocolError.
    """
    if length and headers:
        names, values = zip(*headers)  # noqa: B905 -- pairs: being strict about it costs as much as all the rest
        template = _templates.get((method, names))
        if template is not None and _is_plain("".join(values)):
            parts = template.copy()
            parts[1::2] = (target.path, target.host, *values, str(length))
            return Head("".join(parts).encode())
    return _judged_head(target, method, headers, length)


def _judged_head(target: Target, method: str, headers: Headers, length: int | None) -> Head:
    if not _TOKEN.fullmatch(method):
        raise unwritable()
    host, told, lines, values = target.host, None, [], []
    expects, is_plain = False, bool(length)
    for name, value in headers:
        kind = _kinds.get(name)
        if kind is None:
            kind = _judged(name)
        if kind:
            is_plain = False
            if kind == _HOST_NAME:
                host = value
                continue
            if kind == _LENGTH:
                told = value
                continue
            if kind == _CODING:
                raise unwritable()
            expects = value.lower() == "100-continue"
        lines.append(f"{name}: {value}\r\n")
        values.append(value)
    if told is not None and (not told.isdecimal() or (length is not None and int(told) != length)):
        raise unwritable()
    if length is None and told is None:
        lines.append("transfer-encoding: chunked\r\n")
    elif length or told is not None or method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {length if length is not None else told}\r\n")
    values.append(host)
    said = "".join(values)
    if not (said.isascii() and (said.isprintable() or all(map(_VALUE.fullmatch, values)))):
        raise unwritable()
    written = (
        f"{method} {target.path} HTTP/1.1\r\nhost: {host}\r\naccept-encoding: identity\r\n{''.join(lines)}\r\n".encode()
    )
    if is_plain and len(_templates) < _MOST_TEMPLATES:
        _remember(method, tuple(name for name, _ in headers))
    if length is not None:
        return Head(written, expects and length > 0)
    return Head(written, expects, told is None, None if told is None else int(told))


def _is_plain(said: str) -> bool:
    """Whether it is of printable ASCII alone, without quotes and backslashes: what JSON has an escape for is longer in it. A quarter of
    what `isprintable` costs."""
    return said.isascii() and len(_json(said)) == len(said) + 2 and "\x7f" not in said


def _remember(method: str, names: tuple[str, ...]) -> None:
    """How such a request begins, for the next one whose method and names need not be judged again."""
    parts = [f"{method} ", "", " HTTP/1.1\r\nhost: ", "", "\r\naccept-encoding: identity\r\n"]
    for name in names:
        parts[-1] += f"{name}: "
        parts += ("", "\r\n")
    parts[-1] += "content-length: "
    _templates[method, names] = [*parts, "", "\r\n\r\n"]


def _judged(name: str) -> int:
    """Of a name that was not met before; lower and upper case are one."""
    if not _TOKEN.fullmatch(name):
        raise unwritable()
    kind = _kinds.get(name.lower(), _PLAIN)
    if len(_kinds) < _MOST_NAMES:
        _kinds[name] = kind
    return kind


def _ascii_host(host: str) -> str:
    """Raises: ValueError."""
    if ":" in host:
        return str(IPv6Address(host))
    if not host.isascii() or "xn--" in host:
        host = host.encode("idna").decode("ascii")
        host.encode("ascii").decode("idna")  # a label that says it is encoded must be
    if not _HOST.fullmatch(host) or host.startswith("."):
        raise ValueError("no host")
    return host
