"""What a vendor understood of a request, in words all three share."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Media", "Prompt", "Tool", "ToolResult"]


class Media(msgspec.Struct, frozen=True):
    """Something that is not text; `label` says what arrived, like `image/png 68 bytes` or its URL."""

    kind: str  # image, audio, video, document
    label: str


class Tool(msgspec.Struct, frozen=True):
    """A tool the answer may call. Custom tools take free text instead of JSON."""

    name: str
    schema: dict[str, Any]
    custom: bool = False


class ToolResult(msgspec.Struct, frozen=True):
    name: str
    text: str


class Prompt(msgspec.Struct, kw_only=True):
    """Everything the answer depends on."""

    digest: bytes
    system: str = ""
    text: str = ""  # of the last user turn
    media: list[Media] = []
    tools: list[Tool] = []  # that `tool_choice` permits
    must_call: bool = False
    parallel_calls: bool = True
    results: list[ToolResult] = []  # that the last turn brought
    schema: dict[str, Any] | None = None  # the answer must be JSON valid against it
    json_object: bool = False
    stop: list[str] = []
    max_tokens: int | None = None  # reasoning included
    choices: int = 1
    reasoning_tokens: int = 0
    shows_reasoning: bool = False  # the caller gets to read it
    talks_while_calling: bool = False
    input_tokens: int = 0
    marked_tokens: int = 0  # up to the last cache breakpoint
