"""What msgspec found wrong with a request, in parts from which each vendor makes its own sentence."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

__all__ = ["Violation", "explain"]

_SENTENCE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?P<kind>contains unknown|missing required) field `(?P<field>[^`]*)`", re.DOTALL)
_TYPE = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`")
_VALUE = re.compile(r"Invalid (?:enum )?value (?P<value>.*)", re.DOTALL)


class Violation(msgspec.Struct, frozen=True):
    """`path` leads to the offending member, as in `messages[0].content[1].text`; empty for the whole body."""

    kind: Literal["unknown", "missing", "type", "value"]
    path: str
    wanted: str = ""  # msgspec's word for the type, or for the bound that was broken
    got: str = ""

    @property
    def parent(self) -> str:
        """The path without its last step."""
        return re.sub(r"(\.?[^.\[\]]+|\[[^\]]*\])$", "", self.path)

    @property
    def field(self) -> str:
        """The last step of the path."""
        return self.path[len(self.parent) :].strip(".[]")


def explain(error: msgspec.ValidationError) -> Violation:
    sentence = _SENTENCE.fullmatch(str(error))
    what, path = (sentence.group("what"), sentence.group("path") or "") if sentence else (str(error), "")
    path = path.removeprefix(".")
    if field := _FIELD.fullmatch(what):
        path = f"{path}.{field.group('field')}" if path else field.group("field")
        return Violation("unknown" if field.group("kind") == "contains unknown" else "missing", path)
    if mismatch := _TYPE.fullmatch(what):
        return Violation("type", path, mismatch.group("wanted"), mismatch.group("got"))
    if value := _VALUE.fullmatch(what):
        return Violation("value", path, got=value.group("value").strip("'"))
    return Violation("value", path, wanted=what.removeprefix("Expected ").replace("`", ""))
