"""One chat in no SDK's words, and what an SDK showed of the answer."""

from __future__ import annotations

import base64
from typing import Any, Protocol

import msgspec

__all__ = ["CLOCK", "PDF", "PIXEL", "TOOLS", "WEATHER", "Ask", "Call", "Chatter", "Seen", "b64"]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CLOCK: dict[str, Any] = {
    "type": "object",
    "properties": {"zone": {"type": "string", "enum": ["Asia/Amman", "Asia/Baghdad"]}},
    "required": ["zone"],
    "additionalProperties": False,
}
TOOLS = [("weather", "Weather of a city", WEATHER), ("clock", "Time in a zone", CLOCK)]


class Call(msgspec.Struct):
    """A tool call; `arguments` as the SDK's user gets them, parsed."""

    id: str | None
    name: str
    arguments: Any


class Seen(msgspec.Struct, kw_only=True):
    """An answer, whichever SDK showed it. `thought`: reasoning was shown, or counted; `shown`: shown. `answered`: the text of the turn after the tools'."""

    text: str = ""
    calls: list[Call] = []
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    thought: bool = False
    shown: bool = False
    answered: str | None = None


class Ask(msgspec.Struct, kw_only=True):
    """`tools` are (name, description, JSON schema). `headers` go with every request that this takes."""

    model: str
    text: str
    system: str | None = None
    history: list[tuple[str, str]] = []  # (user|assistant, text)
    image: bytes | None = None
    document: bytes | None = None
    tools: list[tuple[str, str, dict[str, Any]]] = []
    schema: dict[str, Any] | None = None
    effort: str | None = None
    stream: bool = False
    max_tokens: int = 800
    results: dict[str, str] = {}  # tool name → result: answers the calls of `previous`
    previous: Any = None  # the SDK's own answer that made the calls
    headers: dict[str, str] = {}


class Chatter(Protocol):
    """An official SDK, in one of its dialects. What `ask` returns beside is the SDK's own answer, for `Ask.previous`."""

    async def ask(self, ask: Ask) -> tuple[Seen, Any]: ...


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
