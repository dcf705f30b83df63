"""The conversation of a Chat Completions request → neutral messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pulse_gateway.types.chat import (
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_chat.parts import decode_assistant_part, decode_text_part, decode_user_part
from pulse_gateway.wire.openai_chat.reasoning_details import decode_details
from pulse_gateway.wire.openai_chat.schema import ROLES

__all__ = ["decode_messages"]


def decode_messages(request: Members) -> tuple[Message, ...]:
    """Raises: InvalidRequest, `param` naming the path of the bad member."""
    entries = request.children("messages")
    if not entries:
        raise request.wrong("messages", "expected at least one message")
    calls: dict[str, str] = {}
    return tuple(message for entry in entries if (message := _message(entry, calls)) is not None)


def _message(entry: Members, calls: dict[str, str]) -> Message | None:
    """`calls` are the names of the tools called so far, by the call's id."""
    role: Role
    match entry.need_text("role"):
        case "system" | "developer":
            role, parts = "system", _content(entry, decode_text_part)
        case "user":
            role, parts = "user", _content(entry, decode_user_part)
        case "assistant":
            role, parts = "assistant", _assistant(entry, calls)
        case "tool":
            return Message("tool", (_tool_result(entry, calls),), path=entry.path)
        case "function":  # the predecessor of `tool` has no call ids
            entry.leave()
            return None
        case _:
            raise entry.unknown("role", ROLES)
    return Message(role, tuple(parts), name=entry.text("name"), path=entry.path)


def _content(entry: Members, decode: Callable[[Members], Part | None]) -> list[Any]:
    """The content of a message that must have some. Each list entry goes through `decode`; None is left over."""
    if isinstance(entry.peek("content"), str):
        return [TextPart(entry.need_text("content"))]
    if entry.peek("content") is None:
        raise entry.wrong("content", "is required")
    pieces = entry.children("content")
    if not pieces:
        raise entry.wrong("content", "expected at least one part")
    return [part for piece in pieces if (part := decode(piece)) is not None]


def _assistant(entry: Members, calls: dict[str, str]) -> list[Part]:
    """Reasoning first, then what was said, then the calls: the order in which a model makes them."""
    parts: list[Part] = []
    proven = decode_details(entry)
    parts += proven
    if (reasoning := _reasoning_text(entry)) and reasoning != "".join(part.text for part in proven):
        parts.append(ReasoningPart(reasoning))
    if isinstance(entry.peek("content"), str):
        if content := entry.text("content"):
            parts.append(TextPart(content))
    else:
        parts += [decode_assistant_part(piece) for piece in entry.children("content")]
    if refusal := entry.text("refusal"):
        parts.append(RefusalPart(refusal))
    for position, call in enumerate(entry.children("tool_calls")):
        if (part := _tool_call(call, position, calls)) is not None:
            parts.append(part)
    entry.skip("annotations", [])
    return parts


def _reasoning_text(entry: Members) -> str | None:
    """Two vendors' names for one text; where they differ the second is left over."""
    text = entry.text("reasoning_content")
    if text is None or entry.peek("reasoning") == text:
        return entry.text("reasoning") or text
    return text


def _tool_call(call: Members, position: int, calls: dict[str, str]) -> ToolCallPart | None:
    """None for a custom tool's call, which is left over. `index`, a trace of streaming, says nothing new."""
    call_id = call.need_text("id")
    if call.take("type") not in (None, "function"):
        calls[call_id] = ""
        call.leave()
        return None
    call.skip("index", position)
    function = call.need_child("function")
    name = calls[call_id] = function.need_text("name")
    return ToolCallPart(call_id, name, function.text("arguments") or "", _thought_signature(call))


def _thought_signature(call: Members) -> str | None:
    content = call.child("extra_content")
    google = content.child("google") if content else None
    return google.text("thought_signature") if google else None


def _tool_result(entry: Members, calls: dict[str, str]) -> ToolResultPart:
    """Some clients repeat the tool's name here."""
    call_id = entry.need_text("tool_call_id")
    if call_id not in calls:
        raise entry.wrong("tool_call_id", "no earlier assistant message makes this call")
    name = entry.take("name") if entry.peek("name") == calls[call_id] else None
    return ToolResultPart(call_id, tuple(_content(entry, decode_text_part)), name=name)
