"""Neutral names and paths of a request, as the client that wrote it would name them.

Encoders speak of neutral fields, since they know no client. A client switches on the names it wrote itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

__all__ = ["FieldPaths", "dropped_paths", "written_path"]

FieldPaths = Mapping[str, tuple[str, ...]]
"""Neutral field, or kind of hint → every path this dialect has for it, the usual one first; `[]` is any place of a list.

Hints that stand in messages and tools: `messages.name`, `messages.reasoning`, `messages.thought_signature`,
`messages.image_detail`, `messages.document_title`, `messages.result_is_error`, `messages.blank_text`, `tools.strict`. Parts of
larger fields: `reasoning.effort`, `reasoning.budget_tokens`, `reasoning.summary`, `response_format.name`,
`response_format.description`, `response_format.strict`.
"""

_PLACE = re.compile(r"\[\d+\]")
_STEP = re.compile(r"[^.\[\]]+|\[\]")
_decode = msgspec.json.Decoder().decode


def written_path(param: str, paths: FieldPaths, body: bytes) -> str:
    """How the client of `body` spelled the neutral field `param`; what is no neutral field is a path already."""
    spellings = paths.get(param)
    if spellings is None:
        return param
    if len(spellings) > 1:
        request = _decode(body)
        for spelling in spellings:
            if _stands(request, _STEP.findall(spelling)):
                return spelling
    return spellings[0]


def dropped_paths(dropped: Iterable[str], paths: FieldPaths, body: bytes) -> tuple[str, ...]:
    """The same for all that was `dropped`, each kind once: `messages[3].name` and `messages[7].name` are `messages[].name`."""
    spelled = (written_path(name, paths, body) for name in dropped)
    return tuple(dict.fromkeys(_PLACE.sub("[]", path) for path in spelled))


def _stands(value: Any, steps: list[str]) -> bool:
    if not steps:
        return True
    step, *rest = steps
    if step == "[]":
        return isinstance(value, list) and any(_stands(item, rest) for item in value)
    return isinstance(value, dict) and value.get(step) is not None and _stands(value[step], rest)
