"""Which answer belongs to which call, in a dialect where ids are optional."""

from __future__ import annotations

import msgspec

from pulse_gateway.errors import InvalidRequest

__all__ = ["Calls"]


class _Call(msgspec.Struct, frozen=True):
    id: str
    name: str
    has_own_id: bool


class Calls:
    """The calls of a conversation that wait for their answer, in order."""

    def __init__(self) -> None:
        self._waiting: list[_Call] = []

    def made(self, own_id: str | None, name: str, *, turn: int, number: int) -> str:
        """Note a call; its id is its own, or follows from where it stands: `call_{turn}_{number}`."""
        call = _Call(own_id or f"call_{turn}_{number}", name, bool(own_id))
        self._waiting.append(call)
        return call.id

    def answered(self, own_id: str | None, name: str, path: str) -> str:
        """The id of the call that a response answers: by id, else the first of that name that waits.

        Raises: InvalidRequest naming `path` when none waits.
        """
        named = [call for call in self._waiting if call.name == name and not (own_id and call.has_own_id)]
        identified = [call for call in self._waiting if own_id and call.has_own_id and call.id == own_id]
        if call := next(iter((*identified, *named)), None):
            self._waiting.remove(call)
            return call.id
        raise InvalidRequest(f"{path} answers no call that precedes it", param=path)
