"""A form read as the JSON object it stands for: `n`, `image[]` twice, `svg[model]` are a number, a list, an object inside."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.multipart import parse_form

__all__ = ["FormFile", "FormMembers", "read_form"]

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP = re.compile(r"\[([^\[\]]*)\]")
_DEEPEST = 3
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_FLAGS = {"true": True, "false": False, "1": True, "0": False}


class FormFile(msgspec.Struct, frozen=True):
    """A file in a form; `media_type` is None where the part has none, or says only that it is bytes."""

    data: bytes
    name: str | None
    media_type: str | None


class FormMembers(Members):
    """Its fields, whose numbers and flags are written as text."""

    __slots__ = ()

    def integer(self, name: str, *, least: int | None = None, most: int | None = None) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if not _INTEGER.fullmatch(value):
            raise self.wrong(name, "expected an integer")
        return self._within(name, int(value), least, most)

    def number(self, name: str) -> float | None:
        value = self.text(name)
        if value is None:
            return None
        if not _NUMBER.fullmatch(value):
            raise self.wrong(name, "expected a number")
        return float(value)

    def flag(self, name: str) -> bool | None:
        value = self.text(name)
        if value is None:
            return None
        if value.lower() not in _FLAGS:
            raise self.wrong(name, "expected true or false")
        return _FLAGS[value.lower()]

    def strings(self, name: str) -> tuple[str, ...]:
        value = self.peek(name)
        return (self.text(name) or "",) if isinstance(value, str) else super().strings(name)

    def files(self, name: str) -> tuple[FormFile, ...]:
        """One or several of that name; absent is empty."""
        value = self.take(name)
        found = [] if value is None else value if isinstance(value, list) else [value]
        for file in found:
            if not isinstance(file, FormFile):
                raise self.wrong(name, "expected a file")
        return tuple(found)


def read_form(payload: Payload) -> FormMembers:
    """Raises: InvalidRequest."""
    fields: dict[str, Any] = {}
    for part in parse_form(payload):
        value: Any = part.text() if not part.is_file else None
        if part.is_file:
            kind = None if part.content_type == "application/octet-stream" else part.content_type
            value = FormFile(bytes(part.data), part.filename, kind)
        found = _NAME.fullmatch(part.name)
        if found is None:
            raise InvalidRequest("the name of a field is not one", param=None)
        _put(fields, [found[1], *_STEP.findall(found[2])], value, part.name)
    return FormMembers(fields)


def _put(fields: dict[str, Any], steps: list[str], value: Any, name: str) -> None:
    """`a` twice and `a[]` are lists, `a[b]` is an object. Raises: InvalidRequest for a name that is two of these."""
    if len(steps) > _DEEPEST:
        raise InvalidRequest(f"{name}: is nested too deeply", param=name)
    step, *rest = steps
    held = fields.get(step)
    if not rest:
        fields[step] = value if held is None else [*held, value] if isinstance(held, list) else [held, value]
        if isinstance(held, dict):
            raise InvalidRequest(f"{name}: is both a value and an object", param=name)
    elif rest == [""]:
        if isinstance(held, dict):
            raise InvalidRequest(f"{name}: is both a list and an object", param=name)
        fields[step] = [value] if held is None else [*held, value] if isinstance(held, list) else [held, value]
    elif "" in rest or not isinstance(held, dict | None):
        raise InvalidRequest(f"{name}: is no name of a field", param=name)
    else:
        inside = fields.setdefault(step, {})
        _put(inside, rest, value, name)
