"""What msgspec finds wrong with a document, said so that whoever wrote it can mend it. Pure."""

from __future__ import annotations

import re
import typing
from typing import Annotated, Any, Literal

import msgspec

__all__ = ["explained"]

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`(?: - at `\$(?P<path>[^`]*)`)?")


def explained(message: str, root: type[msgspec.Struct]) -> str:
    """A validation error of msgspec about a document whose root is `root`: the key, where it is, and the nearest valid one."""
    if unknown := _UNKNOWN.match(message):
        from difflib import get_close_matches  # who spells all right need not load it

        path = (unknown["path"] or "").strip(".")
        section = _struct_at(root, path)
        valid = [field.encode_name for field in msgspec.structs.fields(section)] if section else []
        near = get_close_matches(unknown["name"], valid, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"valid keys: {', '.join(valid)}"
        where = f"[{path}]" if path else "the top level"
        return f"unknown key `{unknown['name']}` in {where}; {hint}"
    what, _, path = message.partition(" - at `$")
    path = path.strip(".`")
    if what.startswith("Invalid enum value") and (choices := _choices(_annotation_at(root, path))):
        what += f"; valid: {', '.join(choices)}"
    return f"`{path}`: {what}" if path else message


def _struct_at(root: type[msgspec.Struct], path: str) -> type[msgspec.Struct] | None:
    for candidate in _alternatives(_annotation_at(root, path)):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            return candidate
    return None


def _annotation_at(root: type[msgspec.Struct], path: str) -> Any:
    """What the value that a path such as `providers[...].timeouts` leads to has to be."""
    here: Any = root
    for step in re.findall(r"\[\.\.\.\]|\[\d+\]|[^.\[\]]+", path):
        here = _element_of(here) if step.startswith("[") else _field_of(here, step)
        if here is None:
            return None
    return here


def _choices(annotation: Any) -> list[str]:
    """The words that a value may be, if it is one of a few."""
    options = [each for each in _alternatives(annotation) if typing.get_origin(each) is Literal]
    return [str(word) for option in options for word in typing.get_args(option)]


def _field_of(struct: Any, name: str) -> Any:
    for candidate in _alternatives(struct):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            for field in msgspec.structs.fields(candidate):
                if field.encode_name == name:
                    return _plain(field.type)
    return None


def _element_of(container: Any) -> Any:
    for candidate in _alternatives(container):
        arguments = typing.get_args(candidate)
        if arguments and typing.get_origin(candidate) is not Literal:
            return _plain(arguments[-1])
    return None


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    plain = _plain(annotation)
    origin = typing.get_origin(plain)
    if origin is typing.Union or str(origin) == "<class 'types.UnionType'>":
        return tuple(_plain(option) for option in typing.get_args(plain))
    return (plain,)


def _plain(annotation: Any) -> Any:
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation
