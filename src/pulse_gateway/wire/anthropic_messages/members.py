"""A client's JSON, taken apart member by member: every complaint names a path, and what nobody took is left over by its path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from pulse_gateway.errors import InvalidRequest

__all__ = ["Leftovers", "Members", "decode"]

T = TypeVar("T")

_WHERE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`")
_NOUNS: dict[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
}


def decode(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, prefix: str = "") -> T:
    """`body`, found at the path `prefix` of the request.

    Raises: InvalidRequest, with the path of the member at fault where the JSON is well-formed.
    """
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors and invalid UTF-8 are ValueErrors
        raise _complaint(error, prefix) from error


def _complaint(error: Exception, prefix: str) -> InvalidRequest:
    if not isinstance(error, msgspec.ValidationError):
        return InvalidRequest(f"the body is not valid JSON: {error}")
    text = str(error)
    path = prefix
    if where := _WHERE.search(text):
        text = text[: where.start()]
        path = _join(prefix, where["path"])
    if missing := _MISSING.match(text):
        path = _join(path, missing["name"])
    return InvalidRequest(text, param=path or None)


def _join(prefix: str, path: str) -> str:
    return f"{prefix}.{path}" if prefix and path and path[0] != "[" else prefix + path


class Members:
    """One JSON object. Members that are null count as absent.

    Raises: InvalidRequest, naming the member's path, from every method that reads one.
    """

    __slots__ = ("_members", "path")

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise InvalidRequest("expected an object", param=path or None)
        self._members: dict[str, Any] = {name: member for name, member in value.items() if member is not None}
        self.path = path

    def at(self, name: str) -> str:
        """The path of the member `name`."""
        return _join(self.path, name)

    def take(self, name: str, kind: type[T]) -> T | None:
        """The member, or None where it is absent. A number may be written as an integer."""
        value = self._members.pop(name, None)
        if kind is float and type(value) is int and abs(value) < 2**63:
            value = float(value)
        if value is not None and type(value) is not kind:
            raise InvalidRequest(f"expected {_NOUNS[kind]}", param=self.at(name))
        return value

    def need(self, name: str, kind: type[T]) -> T:
        """The member, which must be there."""
        value = self.take(name, kind)
        if value is None:
            raise InvalidRequest(f"the field {name!r} is required", param=self.at(name))
        return value

    def take_any(self, name: str) -> Any:
        return self._members.pop(name, None)

    def rest(self) -> Iterable[tuple[str, Any]]:
        """What was not taken."""
        return self._members.items()

    def skip(self, name: str, default: object) -> None:
        """Pass over a member that says what its absence would."""
        if self._members.get(name) == default:
            del self._members[name]


class Leftovers:
    """What the neutral form cannot hold, by path: `extra` another dialect refuses, `hints` it may drop."""

    __slots__ = ("extra", "hints")

    def __init__(self) -> None:
        self.extra: dict[str, Any] = {}
        self.hints: dict[str, Any] = {}

    def close(self, members: Members) -> None:
        """Keep what nobody took of `members`. A cache breakpoint is a hint: it changes the cost and never the answer."""
        for name, value in members.rest():
            (self.hints if name == "cache_control" else self.extra)[members.at(name)] = value
