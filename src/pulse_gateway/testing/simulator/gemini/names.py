"""Protobuf JSON: every field may be spelled in camelCase or in snake_case, and null means it is not there.

Source: https://protobuf.dev/programming-guides/json/ (read 2026-11-24); the official SDK, google-genai 3.4.0, mixes both.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.testing.simulator.gemini.errors import refuse

__all__ = ["camel_case"]

# Members whose insides belong to the caller: names in there are data, not fields.
_FREE = frozenset(
    {
        "args",
        "response",
        "parametersJsonSchema",
        "responseJsonSchema",
        "labels",
        "partMetadata",
        "default",
        "example",
        "enum",
        "required",
        "propertyOrdering",
    }
)
_BY_NAME = frozenset({"properties", "defs"})  # maps from the caller's names to schemas
_known: dict[str, str] = {}


def camel_case(value: Any, path: str = "") -> Any:
    """`value` with every field name in camelCase and null members left out.

    Raises: Refusal for a field that is given in both spellings.
    """
    if isinstance(value, list):
        return [camel_case(item, f"{path}[{at}]") for at, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    renamed: dict[str, Any] = {}
    for name, item in value.items():
        if item is None:
            continue
        field = _known.get(name) or _camel(name)
        inside = f"{path}.{field}" if path else field
        if field in renamed:
            raise refuse(f"Invalid JSON payload received. Field '{inside}' is given twice.")
        if field in _FREE:
            renamed[field] = item
        elif field in _BY_NAME and isinstance(item, dict):
            renamed[field] = {key: camel_case(each, f"{inside}.{key}") for key, each in item.items()}
        else:
            renamed[field] = camel_case(item, inside)
    return renamed


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    field = first + "".join([word[:1].upper() + word[1:] for word in rest])
    if len(_known) < 1000 and len(name) < 64:  # the fields there are, not whatever clients make up
        _known[name] = field
    return field
