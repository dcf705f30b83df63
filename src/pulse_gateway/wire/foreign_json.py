"""JSON that somebody else wrote, decoded or refused: a client's by the path of what is wrong, a provider's as a broken protocol.

And what a client wrote, written on to a provider.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from pulse_gateway.errors import InvalidRequest, UpstreamProtocolError

__all__ = ["from_client", "from_provider", "joined", "not_of_protocol", "to_provider"]

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode

_WHERE = re.compile(r" - at `\$\.?(?P<path>.*)`\Z", re.DOTALL)
# Of a text's escapes each; the group is half a pair that stands alone.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_MISSING = re.compile(r"\AObject missing required field `(?P<name>[^`]+)`")


def from_client(
    decode: Callable[[bytes | msgspec.Raw], T],
    body: bytes | msgspec.Raw,
    *,
    at: str = "",
    words: Mapping[str, str] | None = None,
    spell: Callable[[str], str] = str,
) -> T:
    """`body`, which stands at the path `at` of the request.

    `words`: what may be chosen from, by how the path of an enumeration ends. `spell` writes a path in the dialect's spelling.
    Raises: InvalidRequest; `param` is the path of the member at fault where the JSON is well-formed.
    """
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), at, words or {}, spell) from error
    except msgspec.DecodeError as error:
        half = next((found[1] for found in _ESCAPE.finditer(bytes(body)) if found[1]), None)
        if half is not None:
            told = f"the body holds \\{half.decode()}, half of a surrogate pair, which is no character"
            raise InvalidRequest(told) from error
        raise InvalidRequest(f"the body is not valid JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not valid UTF-8") from error
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply") from error


def _invalid(complaint: str, at: str, words: Mapping[str, str], spell: Callable[[str], str]) -> InvalidRequest:
    """msgspec ends a complaint with "- at `$.messages[0].role`"; a client wants `messages[0].role`."""
    path = at
    if where := _WHERE.search(complaint):
        complaint = complaint[: where.start()]
        path = joined(path, spell(where["path"]))
    if missing := _MISSING.match(complaint):
        path = joined(path, spell(missing["name"]))
        complaint = "is required"
    elif complaint.startswith("Invalid enum value"):  # the value is the caller's own text: not repeated
        allowed = next((known for ending, known in words.items() if path.endswith(ending)), None)
        complaint = f"is none of {allowed}" if allowed else "has an unknown value"
    else:
        complaint = complaint[:1].lower() + complaint[1:]
    return InvalidRequest(f"{path or 'the body'}: {complaint}", param=path or None)


def joined(path: str, rest: str) -> str:
    return f"{path}.{rest}" if path and rest and rest[0] != "[" else path + rest


def from_provider(decode: Callable[[bytes | msgspec.Raw], T], body: bytes | msgspec.Raw) -> T:
    """Raises: UpstreamProtocolError when `body` does not have the shape that `decode` expects."""
    try:
        return decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors and invalid UTF-8 are ValueErrors
        raise not_of_protocol(error) from error


def not_of_protocol(reason: object) -> UpstreamProtocolError:
    return UpstreamProtocolError(f"the provider's answer is not of its protocol: {reason}")


def to_provider(body: dict[str, Any]) -> bytes:
    """Raises: InvalidRequest when the client's own data in it, a schema or arguments, is nested too deeply to be written."""
    try:
        return _encode(body)
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply") from error
