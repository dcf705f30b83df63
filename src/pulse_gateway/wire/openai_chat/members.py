"""A JSON object of a request, emptied member by member, so that nothing a client sent can get lost unnoticed."""

from __future__ import annotations

from typing import Any

from pulse_gateway.errors import InvalidRequest

__all__ = ["Members"]


class Members:
    """One object at `path`. Each `take_…` checks the JSON type and removes the member; null counts as absent.

    What nobody took, here or in an object taken from here, is in `leftovers` under its full path.
    Raises: InvalidRequest, `param` naming the path, when a member has the wrong type.
    """

    def __init__(self, value: dict[str, Any], path: str = "") -> None:
        self.path = path
        self._left = value
        self._taken: list[Members] = []

    def at(self, name: str) -> str:
        """The path of the member `name`."""
        return f"{self.path}.{name}" if self.path else name

    def wrong(self, name: str, complaint: str) -> InvalidRequest:
        path = self.at(name)
        return InvalidRequest(f"{path}: {complaint}", param=path)

    def required(self, name: str) -> None:
        """Raises: InvalidRequest when `name` is absent. Call before taking it."""
        if self._left.get(name) is None:
            raise self.wrong(name, "is required")

    def peek(self, name: str) -> Any:
        return self._left.get(name)

    def take(self, name: str) -> Any:
        return self._left.pop(name, None)

    def take_text(self, name: str) -> str | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "expected a string")
        return value

    def take_required_text(self, name: str) -> str:
        self.required(name)
        return self.take_text(name) or ""

    def take_flag(self, name: str) -> bool | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, "expected true or false")
        return value

    def take_integer(self, name: str, *, least: int | None = None) -> int | None:
        value = self._left.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "expected an integer")
        if least is not None and value < least:
            raise self.wrong(name, f"expected at least {least}")
        return value

    def take_number(self, name: str) -> float | None:
        value = self._left.pop(name, None)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.wrong(name, "expected a number")
        return float(value)

    def take_object(self, name: str) -> Members | None:
        value = self._left.pop(name, None)
        return None if value is None else self._child(value, self.at(name))

    def take_required_object(self, name: str) -> Members:
        self.required(name)
        return self._child(self._left.pop(name), self.at(name))

    def take_objects(self, name: str) -> list[Members]:
        """A list of objects; absent and null are the empty list."""
        value = self._left.pop(name, None)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(name, "expected a list")
        return [self._child(entry, f"{self.at(name)}[{index}]") for index, entry in enumerate(value)]

    def take_schema(self, name: str) -> dict[str, Any] | None:
        """An object taken whole: its members are nobody's to understand."""
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(name, "expected an object")
        return value

    def _child(self, value: Any, path: str) -> Members:
        if not isinstance(value, dict):
            raise InvalidRequest(f"{path}: expected an object", param=path)
        child = Members(value, path)
        self._taken.append(child)
        return child

    @property
    def leftovers(self) -> dict[str, Any]:
        found = {self.at(name): value for name, value in self._left.items() if value is not None}
        for child in self._taken:
            found.update(child.leftovers)
        return found
