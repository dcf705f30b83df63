"""Responses that were asked to be kept, and the items in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["Kept", "Store"]

_MOST = 2_000


class Kept(msgspec.Struct, kw_only=True):
    """One response. `waits`: it runs in the background and nobody has looked at it yet."""

    reply: dict[str, Any]
    input_items: list[dict[str, Any]]
    conversation: list[dict[str, Any]]  # everything said so far, this response included
    stream: Callable[[], list[Frame]]
    waits: bool = False


class Store:
    """The last responses, by id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def keep(self, kept: Kept) -> None:
        self._kept[kept.reply["id"]] = kept
        self._kept.move_to_end(kept.reply["id"])
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def find(self, response_id: str) -> Kept | None:
        return self._kept.get(response_id)

    def forget(self, response_id: str) -> None:
        del self._kept[response_id]

    def clear(self) -> None:
        self._kept.clear()

    def item(self, item_id: str) -> dict[str, Any] | None:
        """An item of any response that is kept."""
        for kept in reversed(self._kept.values()):
            for item in kept.conversation:
                if item.get("id") == item_id:
                    return item
        return None
