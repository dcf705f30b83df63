"""Neutral names and paths of a request, as the client that wrote it would name them.

Encoders speak of neutral fields, since they know no client. A client switches on the names it wrote itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pulse_gateway.wire.foreign_json import joined

__all__ = ["FieldPaths", "dropped_paths", "written_path"]

FieldPaths = Mapping[str, tuple[str, ...]]
"""Neutral field, or kind of hint → every path this dialect has for it, the usual one first; `[]` is any place of a list.

Hints that stand in messages and tools: `messages.name`, `messages.role`, `messages.reasoning`, `messages.thought_signature`,
`messages.image_detail`, `messages.document_title`, `messages.result_is_error`, `messages.blank_text`, `tools.strict`. Parts of
larger fields: `reasoning.effort`, `reasoning.budget_tokens`, `reasoning.summary`, `response_format.name`,
`response_format.description`, `response_format.strict`.
"""

_PLACE = re.compile(r"\[\d+\]")
_HUMP = re.compile(r"[A-Z]")
_STEP = re.compile(r"[^.\[\]]+|\[\]")
_decode = msgspec.json.Decoder().decode


def written_path(param: str, paths: FieldPaths, body: bytes) -> str:
    """How the client of `body` spelled the neutral field `param`; what is no neutral field is a path already.

    A name in camel case may have been written in snake case, as Gemini's clients may.
    """
    spellings = paths.get(param)
    if spellings is None:
        return param
    if len(spellings) > 1 or not spellings[0].islower():
        request = _decode(body)
        for spelling in spellings:
            if (written := _written(request, _STEP.findall(spelling))) is not None:
                return written
    return spellings[0]


def dropped_paths(dropped: Iterable[str], paths: FieldPaths, body: bytes) -> tuple[str, ...]:
    """The same for all that was `dropped`, each kind once: `messages[3].name` and `messages[7].name` are `messages[].name`."""
    spelled = (written_path(name, paths, body) for name in dropped)
    return tuple(dict.fromkeys(_PLACE.sub("[]", path) for path in spelled))


def _written(value: Any, steps: list[str]) -> str | None:
    """The path of `steps` as it stands in `value`; None where it does not."""
    if not steps:
        return ""
    step, *rest = steps
    if step == "[]":
        found = (_written(item, rest) for item in value) if isinstance(value, list) else ()
        inside = next((path for path in found if path is not None), None)
        return None if inside is None else joined("[]", inside)
    if isinstance(value, dict):
        for name in (step, _HUMP.sub(r"_\g<0>", step).lower()):
            if value.get(name) is not None and (inside := _written(value[name], rest)) is not None:
                return joined(name, inside)
    return None
