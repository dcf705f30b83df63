"""What a request means in any dialect, so that two spellings of it can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

__all__ = ["conversation", "system_texts", "tools"]


def system_texts(request: ChatRequest) -> list[str]:
    """The leading instructions, one text each."""
    texts: list[str] = []
    for message in request.messages:
        if message.role != "system":
            break
        texts += [part.text for part in message.parts if isinstance(part, TextPart) and part.text.strip()]
    return texts


def conversation(request: ChatRequest) -> list[tuple[str, list[Any]]]:
    """The turns after the instructions: neighbours of one role are one, results stand first in it, blank texts say nothing."""
    turns: list[tuple[str, list[Any]]] = []
    leading = True
    for message in request.messages:
        leading = leading and message.role == "system"
        if leading:
            continue
        role = "user" if message.role == "tool" else message.role
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
        turns[-1][1].extend(_items(message))
    return [(role, _merged(items)) for role, items in turns if _merged(items)]


def _items(message: Message) -> Iterable[Any]:
    for part in message.parts:
        match part:
            case TextPart(text) | RefusalPart(text):
                yield text
            case DocumentPart(text=str(text)):
                yield text  # chat has no document of plain text, and shows its text
            case ImagePart():
                yield ("image", part.media_type if part.data else None, part.data, part.url)
            case AudioPart():
                yield ("audio", part.media_type, part.data)
            case DocumentPart():
                yield ("document", part.media_type or "application/pdf", part.data, part.url)
            case ToolCallPart():
                yield ("call", part.id, part.name, _value(part.arguments))
            case ToolResultPart():
                inner = Message("user", part.parts)
                said = "\n".join(item for item in _items(inner) if isinstance(item, str))
                yield ("result", part.call_id, said, tuple(item for item in _items(inner) if not isinstance(item, str)))
            case ReasoningPart():
                pass  # proves something to its own vendor alone


def _value(arguments: str) -> Any:
    """So that 1 and 1.0 are told apart, as JSON text does."""
    return json.dumps(json.loads(arguments or "{}"), sort_keys=True)


def _merged(items: list[Any]) -> list[Any]:
    merged: list[Any] = []
    for item in sorted(items, key=lambda item: not (isinstance(item, tuple) and item[0] == "result")):
        if isinstance(item, str) and (not item.strip() or (merged and isinstance(merged[-1], str))):
            if item.strip():
                merged[-1] += item
            continue
        merged.append(item)
    return merged


def tools(request: ChatRequest) -> tuple[str, list[Any]]:
    """Whether tools are called, and those that may be: a choice among some is a shorter list."""
    choice = request.tool_choice
    if not request.tools:
        return "none", []
    mode = choice.mode if choice else "auto"
    allowed = set(choice.names) if choice and choice.names and mode != "none" else {tool.name for tool in request.tools}
    return mode, [
        (tool.name, tool.description or None, tool.parameters or {"type": "object", "properties": {}})
        for tool in request.tools
        if tool.name in allowed
    ]
