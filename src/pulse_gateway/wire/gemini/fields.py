"""One protobuf message in JSON: either spelling of every member, each taken once, what is left over known by name.

Protobuf's JSON form reads `camelCase` and `snake_case` alike, and the official SDK mixes both in one request. Folding happens
message by message, so names inside the caller's own data (arguments, results, labels, schemas' properties) are never touched.
Every path is spelled in camelCase, as the vendor's reference spells it.

Source: https://protobuf.dev/programming-guides/json/ (read 2026-11-24) and the requests of google-genai 3.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest

__all__ = ["Fields", "camel", "decode_object", "malformed", "whole_number"]

_UNDERSCORED = re.compile(r"_+([a-zA-Z0-9])")
_PATH = re.compile(r" - at `\$\.?(.*)`\Z", re.DOTALL)
_decode = msgspec.json.Decoder().decode


def camel(name: str) -> str:
    """`max_output_tokens` → `maxOutputTokens`; a name without underscores is itself."""
    return _UNDERSCORED.sub(lambda match: match[1].upper(), name) if "_" in name else name


def decode_object(body: bytes) -> Fields:
    """The top level of a request body.

    Raises: InvalidRequest when `body` is not a JSON object.
    """
    try:
        return Fields(_decode(body), "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error) from error


def malformed(error: msgspec.DecodeError | UnicodeDecodeError | RecursionError) -> InvalidRequest:
    """What a caller is told of a body that cannot be decoded; `param` is the camelCase path where there is one."""
    if isinstance(error, RecursionError):
        return InvalidRequest("the body is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return InvalidRequest("the body is not valid UTF-8")
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return InvalidRequest(f"the body is not valid JSON: {text}")
    if found := _PATH.search(text):
        path = camel(found[1])
        return InvalidRequest(f"{path}: {text[: found.start()]}", param=path)
    return InvalidRequest(f"the body: {text}")


def whole_number(value: Any, path: str, *, minimum: int | None = None) -> int | None:
    """An integer as protobuf's JSON may write it: `256`, `256.0` or `"256"`.

    Raises: InvalidRequest for anything else, or less than `minimum`.
    """
    if value is None:
        return None
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif (isinstance(value, float) and value.is_integer()) or (
        isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value)
    ):
        number = int(value)
    if number is None:
        raise InvalidRequest(f"{path} must be an integer", param=path)
    if minimum is not None and number < minimum:
        raise InvalidRequest(f"{path} must be at least {minimum}", param=path)
    return number


class Fields:
    """A message whose members are taken one by one. A null member is an absent one.

    Raises: InvalidRequest, `param` naming the path, for a value of the wrong JSON type and for a member given in both
    spellings.
    """

    __slots__ = ("_members", "path")

    def __init__(self, value: Any, path: str) -> None:
        self.path = path
        if not isinstance(value, dict):
            raise InvalidRequest(f"{path or 'the body'} must be an object", param=path or None)
        members: dict[str, Any] = {}
        for name, member in value.items():
            if member is None:
                continue
            folded = camel(name)
            if folded in members:
                raise InvalidRequest(f"{self.at(folded)} is given in both spellings", param=self.at(folded))
            members[folded] = member
        self._members = members

    @property
    def is_empty(self) -> bool:
        return not self._members

    def at(self, name: str) -> str:
        """The path of the member `name`."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, name: str) -> Any:
        """The raw value, or None."""
        return self._members.pop(name, None)

    def text(self, name: str) -> str | None:
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def flag(self, name: str) -> bool | None:
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def integer(self, name: str, *, minimum: int | None = None) -> int | None:
        return whole_number(self.take(name), self.at(name), minimum=minimum)

    def number(self, name: str) -> float | None:
        value = self.take(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self._wrong(name, "a number")
        return value

    def object(self, name: str) -> dict[str, Any] | None:
        """The caller's own data: a JSON object whose keys keep their spelling."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        value = self.take(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of strings")
        return tuple(value)

    def message(self, name: str) -> Fields | None:
        value = self.take(name)
        return None if value is None else Fields(value, self.at(name))

    def messages(self, name: str) -> list[Fields]:
        """A repeated message. The vendor's servers take one message without its list, and so do we."""
        value = self.take(name)
        if value is None:
            return []
        path = self.at(name)
        if isinstance(value, dict):
            return [Fields(value, f"{path}[0]")]
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return [Fields(item, f"{path}[{index}]") for index, item in enumerate(value)]

    def leftovers(self) -> Iterator[tuple[str, Any]]:
        """Path and value of every member not taken, without those whose value is protobuf's way to say "not set"."""
        for name, value in self._members.items():
            if value is not False and value not in ("", []):
                yield self.at(name), value

    def _wrong(self, name: str, kind: str) -> InvalidRequest:
        return InvalidRequest(f"{self.at(name)} must be {kind}", param=self.at(name))
