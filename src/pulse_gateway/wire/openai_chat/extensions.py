"""What answers add to Chat Completions to show thinking, and clients send back with the history, whoever is asked next.

Some vendors want it back, most refuse what they do not know. Gateways put other vendors' thinking into the same members, so a client
may well have them in its history although the vendor it turns to has never given any.

Source: each vendor's API reference (read 2026-11-24); `openai/types/chat/chat_completion_assistant_message_param.py` of the `openai`
SDK 3.54.0, which has none of them.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from pulse_gateway.wire.json_splice import remove_member, set_members

__all__ = ["EXTENSIONS", "may_have_extensions", "without_extensions"]

EXTENSIONS = frozenset({"reasoning_content", "reasoning", "reasoning_details", "extra_content"})
"""Members of an assistant's message; `extra_content` is one of its tool calls."""

_OF_CALLS = "extra_content"


class _Message(msgspec.Struct):
    role: Any = None
    tool_calls: list[Raw] | None = None


class _Request(msgspec.Struct):
    messages: list[Raw] = []


_request = msgspec.json.Decoder(_Request).decode
_message = msgspec.json.Decoder(_Message).decode


def may_have_extensions(body: bytes) -> bool:
    """Nearly always not. Two searches for plain bytes are many times faster than one for a pattern (and than `in`, which takes them for a
    number first).
    """
    return body.find(b'"reasoning') >= 0 or body.find(b'"extra_content') >= 0


def without_extensions(body: bytes, refused: frozenset[str]) -> tuple[bytes, tuple[str, ...]]:
    """`body` without those of `EXTENSIONS` that are `refused`, and where they stood; `body` itself when it holds none.

    Raises: InvalidRequest when a key occurs twice in what is changed.
    """
    if not refused or not may_have_extensions(body):
        return body, ()
    found = sorted(refused)
    gone: dict[str, None] = {}
    try:
        messages = [_without(raw, found, gone) for raw in _request(body).messages]
    except msgspec.ValidationError:  # not of the shape that it should have: the vendor will say so
        return body, ()
    return (set_members(body, messages=messages), tuple(gone)) if gone else (body, ())


def _without(raw: Raw, names: list[str], gone: dict[str, None]) -> Raw:
    written = bytes(raw)
    present = [name for name in names if b'"%b"' % name.encode() in written]
    if not present:
        return raw
    message = _message(raw)
    if message.role != "assistant":
        return raw
    for name in present:
        if name == _OF_CALLS and message.tool_calls:
            calls = [Raw(remove_member(bytes(call), name)) for call in message.tool_calls]
            if calls != message.tool_calls:
                gone[f"messages[].tool_calls[].{name}"] = None
                written = set_members(written, tool_calls=calls)
        elif (shorter := remove_member(written, name)) != written:
            gone[f"messages[].{name}"] = None
            written = shorter
    return Raw(written)
