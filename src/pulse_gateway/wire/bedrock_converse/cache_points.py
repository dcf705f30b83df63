"""Anthropic's `cache_control`, which stands on a block, → Converse's cache points, which stand behind one.

A hint of a request has the path at which the client wrote it: `system[0].cache_control`, `messages[2].content[1].cache_control`,
`tools[0].cache_control`, or `cache_control` alone, which means the last block that can be cached.

Source: botocore 1.44, shape `CachePointBlock`; https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["CachePoints"]

_NAME = "cache_control"
_TTLS = ("5m", "1h")


class CachePoints:
    """Those of one request, each taken once."""

    def __init__(self, hints: Mapping[str, Any], *, taken: bool) -> None:
        """`taken`: whether the model knows them."""
        self._asked = {path: point for path, value in hints.items() if taken and (point := _point(path, value))}
        self._left = [path for path in hints if path not in self._asked]
        self._parts: dict[str, int] = {}

    def behind_next_part(self, message_path: str, *, said: bool) -> list[dict[str, Any]]:
        """The point behind the next part of the message at `message_path`, which is counted; none behind a part that is left out."""
        index = self._parts.get(message_path, 0)
        self._parts[message_path] = index + 1
        # Of the system prompt the blocks stand in the member itself, of a turn in its content.
        return self._take(f"{message_path}[{index}].{_NAME}", said) + self._take(
            f"{message_path}.content[{index}].{_NAME}", said
        )

    def behind_tool(self, index: int) -> list[dict[str, Any]]:
        return self._take(f"tools[{index}].{_NAME}", True)

    def at_the_end(self) -> list[dict[str, Any]]:
        return self._take(_NAME, True)

    def not_taken(self) -> list[str]:
        """The hints that found no place."""
        return [*self._left, *self._asked]

    def _take(self, path: str, said: bool) -> list[dict[str, Any]]:
        point = self._asked.get(path) if said else None
        if point is None:
            return []
        del self._asked[path]
        return [point]


def _point(path: str, value: Any) -> dict[str, Any] | None:
    if path.rpartition(".")[2] != _NAME or not isinstance(value, dict) or value.get("type") != "ephemeral":
        return None
    point = {"type": "default"}
    if value.get("ttl") in _TTLS:
        point["ttl"] = value["ttl"]
    return {"cachePoint": point}
