"""A client's JSON object, emptied member by member, so that nothing it sent can get lost unnoticed."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Self

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.foreign_json import joined

__all__ = ["Members"]

_MAX_INTEGER = 2**63  # more than any vendor counts with, and still a float


class Members:
    """One object at `path`. Reading a member checks its JSON type and takes it away; null counts as absent.

    Raises: InvalidRequest, `param` naming the path, from whatever reads a member that is not what it should be.
    """

    __slots__ = ("_children", "_left", "_left_whole", "_value", "path")

    def __init__(self, value: Any, path: str = "") -> None:
        if not isinstance(value, dict):
            raise InvalidRequest(f"{path or 'the body'}: expected an object", param=path or None)
        self.path = path
        self._value = value
        self._left = self._present(value)
        self._left_whole = False
        self._children: list[Self] = []

    def _present(self, value: dict[str, Any]) -> dict[str, Any]:
        return {name: member for name, member in value.items() if member is not None}

    def _is_unset(self, value: Any) -> bool:
        """Whether a member left over with this value says no more than its absence would."""
        return False

    @property
    def is_empty(self) -> bool:
        return not self._left

    def at(self, name: str) -> str:
        """The path of the member `name`."""
        return joined(self.path, name)

    def wrong(self, name: str, complaint: str) -> InvalidRequest:
        path = self.at(name)
        return InvalidRequest(f"{path}: {complaint}", param=path)

    def unknown(self, name: str, known: str) -> InvalidRequest:
        """The error for a member whose value is none of those that are `known`."""
        return self.wrong(name, f"is none of {known}")

    def peek(self, name: str) -> Any:
        return self._left.get(name)

    def take(self, name: str) -> Any:
        return self._left.pop(name, None)

    def skip(self, name: str, *defaults: Any) -> None:
        """Pass over a member that says what its absence would."""
        if self._left.get(name) in defaults:
            self._left.pop(name, None)

    # ── plain values ──────────────────────────────────────────────────────────────────────────────────────────────────

    def text(self, name: str) -> str | None:
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "expected a string")
        return value

    def need_text(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise self.wrong(name, "is required")
        return value

    def word(self, name: str, known: Container[str]) -> str | None:
        """One of the words that are `known`. Any other may be one that a vendor has invented since: it is left over."""
        value = self.peek(name)
        return None if isinstance(value, str) and value not in known else self.text(name)

    def need_word(self, name: str, known: Container[str]) -> str | None:
        """Likewise, but it must be there."""
        if self.peek(name) is None:
            raise self.wrong(name, "is required")
        return self.word(name, known)

    def flag(self, name: str) -> bool | None:
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "expected true or false")
        return value

    def integer(self, name: str, *, least: int | None = None, most: int | None = None) -> int | None:
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "expected an integer")
        return self._within(name, value, least, most)

    def _within(self, name: str, value: int, least: int | None, most: int | None) -> int:
        if least is not None and value < least:
            raise self.wrong(name, f"expected at least {least}")
        if most is not None and value > most:
            raise self.wrong(name, f"expected at most {most}")
        return value

    def number(self, name: str) -> float | None:
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) >= _MAX_INTEGER:
            raise self.wrong(name, "expected a number")
        return float(value)

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of strings; absent is empty."""
        value = self.take(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise self.wrong(name, "expected a list")
        for place, item in enumerate(value):
            if not isinstance(item, str):
                raise self.wrong(f"{name}[{place}]", "expected a string")
        return tuple(value)

    def object(self, name: str) -> dict[str, Any] | None:
        """An object taken whole: its members are the caller's own data."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, "expected an object")
        return value

    def need_object(self, name: str) -> dict[str, Any]:
        value = self.object(name)
        if value is None:
            raise self.wrong(name, "is required")
        return value

    # ── objects inside ────────────────────────────────────────────────────────────────────────────────────────────────

    def child(self, name: str) -> Self | None:
        value = self.take(name)
        return None if value is None else self._inside(value, self.at(name))

    def need_child(self, name: str) -> Self:
        child = self.child(name)
        if child is None:
            raise self.wrong(name, "is required")
        return child

    def children(self, name: str) -> list[Self]:
        """A list of objects; absent is empty."""
        value = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "expected a list")
        return [self._inside(item, f"{self.at(name)}[{place}]") for place, item in enumerate(value)]

    def _inside(self, value: Any, path: str) -> Self:
        child = type(self)(value, path)
        self._children.append(child)
        return child

    # ── what nobody took ──────────────────────────────────────────────────────────────────────────────────────────────

    def leave(self) -> None:
        """Leave this object over whole, whatever was taken of it."""
        self._left_whole = True

    def leftovers(self, hints: frozenset[str] = frozenset()) -> tuple[dict[str, Any], dict[str, Any]]:
        """By path, here and in objects taken from here: what must not get lost, and the members called one of `hints`."""
        extra: dict[str, Any] = {}
        hinted: dict[str, Any] = {}
        self._collect(extra, hinted, hints)
        return extra, hinted

    def _collect(self, extra: dict[str, Any], hinted: dict[str, Any], hints: frozenset[str]) -> None:
        if self._left_whole:
            extra[self.path] = self._value
            return
        for name, value in self._left.items():
            if not self._is_unset(value):
                (hinted if name in hints else extra)[self.at(name)] = value
        for child in self._children:
            child._collect(extra, hinted, hints)
