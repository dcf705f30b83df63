"""Gemini's OpenAPI 3 subset → JSON Schema.

Types are written in lower case, `nullable` becomes the type `null`, `propertyOrdering` becomes the order of the properties,
`example` becomes `examples`, and the counts that protobuf writes as strings become numbers. Everything else stays.

Source: `types.Schema` of google-genai 3.4; https://ai.google.dev/api/caching#Schema (read 2026-11-24).
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.gemini.fields import camel, integer_of

__all__ = ["json_schema"]

_ONE = frozenset({"items", "not"})
_LIST = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAP = frozenset({"properties", "$defs"})
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_KEYWORDS = {"defs": "$defs", "ref": "$ref"}
_OWN_VALUE = frozenset({"default", "example"})  # null is a value here, not an absence


def json_schema(schema: Any, path: str) -> dict[str, Any]:
    """Raises: InvalidRequest naming the path of what is no schema."""
    if not isinstance(schema, dict):
        raise InvalidRequest(f"{path}: expected an object", param=path)
    result: dict[str, Any] = {}
    nullable = False
    order: list[Any] = []
    for name, value in schema.items():
        keyword = _KEYWORDS.get(name) or camel(name)
        at = f"{path}.{keyword}"
        if value is None and keyword not in _OWN_VALUE:
            continue
        if keyword == "type":
            if kinds := _types(value, at):
                result["type"] = kinds
        elif keyword == "nullable":
            nullable = value is True
        elif keyword == "propertyOrdering" and isinstance(value, list):
            order = value
        elif keyword == "example":
            result["examples"] = [value]
        elif keyword == "$ref" and isinstance(value, str):
            result["$ref"] = value.replace("#/defs/", "#/$defs/")
        elif keyword in _COUNTS:
            result[keyword] = _count(value, at)
        elif keyword in _ONE or (keyword == "additionalProperties" and not isinstance(value, bool)):
            result[keyword] = json_schema(value, at)
        elif keyword in _LIST and isinstance(value, list):
            result[keyword] = [json_schema(item, f"{at}[{index}]") for index, item in enumerate(value)]
        elif keyword in _MAP and isinstance(value, dict):
            result[keyword] = {key: json_schema(item, f"{at}.{key}") for key, item in value.items()}
        else:
            result[keyword] = value
    if order and "properties" in result:
        properties = result["properties"]
        first = [key for key in order if key in properties]
        result["properties"] = {key: properties[key] for key in dict.fromkeys((*first, *properties))}
    return _nullable(result) if nullable else result


def _count(value: Any, path: str) -> int:
    count = integer_of(value)
    if count is None or count < 0:
        raise InvalidRequest(f"{path}: expected a count", param=path)
    return count


def _types(value: Any, path: str) -> str | list[str] | None:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return [item.lower() for item in value]
    if not isinstance(value, str):
        raise InvalidRequest(f"{path}: expected a string", param=path)
    return None if value == "TYPE_UNSPECIFIED" else value.lower()


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, or null."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    kinds = schema.get("type")
    if kinds is not None:
        listed = kinds if isinstance(kinds, list) else [kinds]
        schema["type"] = listed if "null" in listed else [*listed, "null"]
    if isinstance(schema.get("anyOf"), list) and {"type": "null"} not in schema["anyOf"]:
        schema["anyOf"].append({"type": "null"})
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema
