"""Members of a chat that a vendor would pass over in silence: what asks for more than their absence does is refused by name.

A body in which none of them stands is searched for a few bytes, and not parsed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.catalog import Deployment
from pulse_gateway.wire.refusals import not_taken

__all__ = ["refuse_passed_over"]

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


def refuse_passed_over(body: bytes, names: frozenset[str], deployment: Deployment) -> None:
    """`names`: members of the top level, which Chat Completions and Responses call alike.

    Raises: UnsupportedParameter for the first that says something.
    """
    if not any(b'"%b"' % name.encode() in body for name in names):
        return
    members = _decode_members(body)
    has_tools = b"{" in bytes(members.get("tools", b""))
    for name in sorted(names & members.keys()):
        if _asks(name, _decode(members[name]), has_tools=has_tools):
            raise not_taken(deployment.model, name)


def _asks(name: str, value: Any, *, has_tools: bool) -> bool:
    match name:
        case "n":
            return value not in (None, 1)
        case "tool_choice":
            return value not in (None, "auto") and (has_tools or value != "none")
        case "parallel_tool_calls":
            return value is False and has_tools
        case _:
            return value not in (None, {}, [])
