"""Values that are valid against a JSON Schema, or against Gemini's OpenAPI subset of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pulse_gateway.testing.simulator.dice import Dice
from pulse_gateway.testing.simulator.pattern_values import UnsupportedPattern, matching
from pulse_gateway.testing.simulator.schema_shape import schema_problem
from pulse_gateway.testing.simulator.scripts import ARABIC, Script

__all__ = ["value_for"]

_DEEP = 5  # from here on, optional members and items are left out, so that recursive schemas end
_TOO_DEEP = 40
_MOST_VALUES = 5_000  # a schema that requires itself twice would never end
_MOST_CHARACTERS = 100_000
_MOST_INTEGER = 2**53 - 1  # what every JSON reader holds exactly
_FORMATS = {
    "date": "2026-11-24",
    "date-time": "2026-11-24T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "P1DT2H",
    "email": "sara@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/a?b=1",
    "url": "https://example.com/a?b=1",
    "uuid": "7f9c24e5-3b1a-4d2e-9c55-0a1b2c3d4e5f",
}
_ANNOTATIONS = {"title", "description", "default", "examples", "$schema", "$id", "$defs", "definitions", "$comment"}


def value_for(schema: Mapping[str, Any] | bool, dice: Dice, script: Script) -> Any:
    """One value; every property is present, strings mix the prompt's writing with Arabic.

    Of the vocabulary, `not`, `if`, `dependent…`, `contains` and `unevaluated…` are not looked at.
    Source: https://json-schema.org/draft/2020-12 (read 2026-11-24)
    """
    return _Values(schema, dice, script).value(schema, 0)


class _Values:
    def __init__(self, root: Mapping[str, Any] | bool, dice: Dice, script: Script) -> None:
        self._root = root
        self._dice = dice
        self._script = script
        self._left = _MOST_VALUES

    def value(self, schema: Mapping[str, Any] | bool, depth: int) -> Any:
        self._left -= 1
        if isinstance(schema, bool) or not schema or depth > _TOO_DEEP or self._left < 0:
            return self._text({})
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._dice.pick(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                branch = self._shallow(schema[key]) if depth >= _DEEP else self._dice.pick(schema[key])
                rest = {name: item for name, item in schema.items() if name != key}
                return self.value(_merged(rest, self._resolved(branch)), depth + 1)
        return self._typed(_type(schema), schema, depth)

    def _typed(self, kind: str, schema: Mapping[str, Any], depth: int) -> Any:
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._text(schema)
            case "integer":
                return max(-_MOST_INTEGER, min(_MOST_INTEGER, int(self._number(schema, 1))))
            case "number":
                return self._number(schema, 0.25)
            case "boolean":
                return bool(self._dice.below(2))
            case _:
                return None

    def _resolved(self, schema: Mapping[str, Any] | bool) -> Mapping[str, Any]:
        """The schema with `$ref` and `allOf` folded in."""
        if isinstance(schema, bool):
            return {}
        for _ in range(_TOO_DEEP):
            if isinstance(reference := schema.get("$ref", schema.get("ref")), str):
                rest = {name: item for name, item in schema.items() if name not in {"$ref", "ref"}}
                schema = _merged(rest, self._definition(reference))
            elif schema.get("allOf"):
                parts = schema["allOf"]
                schema = {name: item for name, item in schema.items() if name != "allOf"}
                for part in parts:
                    schema = _merged(schema, self._resolved(part))
            else:
                break
        return schema

    def _definition(self, reference: str) -> Mapping[str, Any]:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) and schema_problem(found) is None else {}

    def _shallow(self, branches: list[Any]) -> Any:
        """The branch that ends a recursion soonest: null, then scalars, then objects without much in them."""

        def depth_of(branch: Any) -> int:
            schema = self._resolved(branch)
            kind = _type(schema)
            return {"null": 0, "object": 2 + len(schema.get("required", ())), "array": 2}.get(kind, 1)

        return min(branches, key=depth_of)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties") or {}
        required = schema.get("required") or ()
        names = [name for name in properties if depth < _DEEP or name in required]
        names += [name for name in required if name not in properties]
        made = {name: self.value(properties.get(name, {}), depth + 1) for name in names}
        extra = schema.get("additionalProperties")
        least = schema.get("minProperties", 1 if isinstance(extra, Mapping) and not properties and depth < _DEEP else 0)
        while len(made) < min(least, _MOST_VALUES):
            made[f"key_{len(made)}"] = self.value(extra if isinstance(extra, Mapping) else {}, depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        prefix: list[Any] = schema.get("prefixItems") or []
        items = schema.get("items", {})
        least = schema.get("minItems", 0)
        length = max(least, len(prefix), 0 if depth >= _DEEP or items is False else 2)
        length = min(length, schema.get("maxItems", length), _MOST_VALUES)
        made = [self.value(prefix[at] if at < len(prefix) else items, depth + 1) for at in range(length)]
        if not schema.get("uniqueItems"):
            return made
        unique: list[Any] = []
        for item in made:
            for _ in range(50):  # an enum of few values may need several draws
                if item not in unique:
                    unique.append(item)
                    break
                item = self.value(items, depth + 1)  # noqa: PLW2901 - drawn again
        return unique

    def _text(self, schema: Mapping[str, Any]) -> str:
        if pattern := schema.get("pattern"):
            try:
                return matching(pattern, self._dice)
            except UnsupportedPattern:
                return _FORMATS.get(schema.get("format", ""), "")
        if text := _FORMATS.get(schema.get("format", "")):
            return text
        text = f"{self._dice.pick(self._script.words)} {self._dice.pick(ARABIC.words)}"
        if not self._dice.below(3):
            text += ' "\\" \n'  # what JSON has to escape
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        while len(text) < min(least, _MOST_CHARACTERS):
            text += f" {self._dice.pick(self._script.words)}"
        return text if most is None else text[:most]

    def _number(self, schema: Mapping[str, Any], step: float) -> float:
        """A multiple of `multipleOf` (else `step`) within the bounds, small when they are open."""
        step = schema.get("multipleOf") or step
        low: float = schema.get("minimum", -math.inf)
        high: float = schema.get("maximum", math.inf)
        above, below = schema.get("exclusiveMinimum", False), schema.get("exclusiveMaximum", False)
        if not isinstance(above, bool):  # true and false are draft 4 and OpenAPI 3.0: flags on `minimum` and `maximum`
            low, above = max(low, above), True
        if not isinstance(below, bool):
            high, below = min(high, below), True
        if low == -math.inf:
            low, above = (0, False) if high > 0 else (high - 100 * step, False)
        first = math.floor(low / step) + 1 if above else math.ceil(low / step)
        last = first + 100
        if high != math.inf:
            last = math.ceil(high / step) - 1 if below else math.floor(high / step)
        if last < first:  # bounds narrower than the step
            return (low + high) / 2
        return float(round((first + self._dice.below(min(last - first, 1000) + 1)) * step, 10))


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind.lower()  # Gemini's own schemas shout
    if "properties" in schema or "required" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    if any(key in schema for key in ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum")):
        return "number"
    return "string"


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both schemas at once, as `allOf` means it."""
    merged = {**first, **{key: item for key, item in second.items() if key not in _ANNOTATIONS or key not in first}}
    for key in ("properties", "$defs"):
        if key in first and key in second:
            merged[key] = {**first[key], **second[key]}
    if "required" in first and "required" in second:
        merged["required"] = [
            *first["required"],
            *(each for each in second["required"] if each not in first["required"]),
        ]
    return merged
