"""Neutral names and paths of a request, as the client that wrote it would name them.

Encoders speak of neutral fields, since they know no client. A client switches on the names it wrote itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pulse_gateway.wire.foreign_json import joined

__all__ = ["FieldPaths", "as_spelled", "dropped_paths", "written_path"]

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
_SPELLED_STEP = re.compile(r"[^.\[\]]+|\[\d*\]")
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


def as_spelled(path: str, body: bytes) -> str:
    """`path`, in camel case, with each of its names in snake case where `body` has it so; what follows them is spelled alike.

    For what leaves: nothing is read for a path without capitals, nor out of a body that is no JSON.
    """
    if path.islower():
        return path
    try:
        value = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return path
    values, spelled, in_snake = [value], "", False
    for step in _SPELLED_STEP.findall(path):
        if step[0] == "[":
            values, spelled = _inside(values, step[1:-1]), spelled + step
            continue
        snake = _in_snake(step)
        objects = [value for value in values if isinstance(value, dict)]
        found = next((name for name in (step, snake) for value in objects if name in value), None)
        in_snake = in_snake if found is None or step == snake else found == snake
        name = found or (snake if in_snake else step)
        values = [value[name] for value in objects if name in value]
        spelled = joined(spelled, name)
    return spelled


def _inside(values: list[Any], place: str) -> list[Any]:
    """The items at `place` of lists, all if it is empty. One message may stand without its list."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, list):
            found += value[int(place) : int(place) + 1] if place else value
        elif isinstance(value, dict):
            found.append(value)
    return found


def _in_snake(name: str) -> str:
    return _HUMP.sub(r"_\g<0>", name).lower()


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
        for name in (step, _in_snake(step)):
            if value.get(name) is not None and (inside := _written(value[name], rest)) is not None:
                return joined(name, inside)
    return None
