"""One protobuf message in JSON: either spelling of every member, each taken once, what is left over known by name.

Protobuf's JSON form reads `camelCase` and `snake_case` alike, and the official SDK mixes both in one request. Folding happens
message by message, so names inside the caller's own data (arguments, results, labels, schemas' properties) are never touched.
Every path is spelled in camelCase, as the vendor's reference spells it; where it leaves, it is spelled as the client's body has it.

Source: https://protobuf.dev/programming-guides/json/ (read 2026-11-24) and the requests of google-genai 3.4.
"""

from __future__ import annotations

import re
from typing import Any, Self

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.foreign_json import from_client
from pulse_gateway.wire.members import Members

__all__ = ["Fields", "camel", "decode_object", "given_twice", "integer_of"]

_UNDERSCORED = re.compile(r"_+([a-zA-Z0-9])")
_decode = msgspec.json.Decoder().decode


def camel(name: str) -> str:
    """`max_output_tokens` → `maxOutputTokens`; a name without underscores is itself."""
    return _UNDERSCORED.sub(lambda match: match[1].upper(), name) if "_" in name else name


def decode_object(body: bytes) -> Fields:
    """The top level of a request body.

    Raises: InvalidRequest when `body` is not a JSON object.
    """
    return Fields(from_client(_decode, body))


def given_twice(path: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: is given in both spellings", param=path)


def integer_of(value: Any) -> int | None:
    """An integer as protobuf's JSON may write it, `256`, `256.0` or `"256"`; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        return int(value)
    return None


class Fields(Members):
    """A message. A member may be given in one spelling only."""

    __slots__ = ()

    def _present(self, value: dict[str, Any]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for name, member in value.items():
            if member is None:
                continue
            folded = camel(name)
            if folded in members:
                raise given_twice(self.at(folded))
            members[folded] = member
        return members

    def _is_unset(self, value: Any) -> bool:
        return value is False or value in ("", [])

    def integer(self, name: str, *, least: int | None = None, most: int | None = None) -> int | None:
        value = self.take(name)
        if value is None:
            return None
        number = integer_of(value)
        if number is None:
            raise self.wrong(name, "expected an integer")
        return self._within(name, number, least, most)

    def children(self, name: str) -> list[Self]:
        """A repeated message. The vendor's servers take one message without its list, and so do we."""
        if isinstance(self.peek(name), dict):
            return [self._inside(self.take(name), f"{self.at(name)}[0]")]
        return super().children(name)
