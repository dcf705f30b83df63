"""What the server knows of a vendor, and what they say to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from pulse_gateway.testing.simulator.answer import Answer
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.prompt import Prompt

__all__ = ["Chat", "Frame", "Refusal", "Request", "Target", "Vendor"]


class Request(msgspec.Struct, frozen=True):
    """One HTTP request; `path` is percent-decoded, header names are lower-case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    raw_path: str = ""  # as it came, for signatures over it


class Target(msgspec.Struct, frozen=True):
    """What a path asks for. Models: the whole list, or the one called `model`."""

    operation: str  # "chat", "models", "wrong method", "unknown path", or a surface's own word
    model: str = ""  # from the path
    stream: bool = False  # from the path; other vendors say it in the body
    json_array: bool = False  # a stream without server-sent events
    query: dict[str, str] = {}  # of a list: which page


class Refusal(Exception):
    """An error answer; `error` is the vendor's own error object, still without its envelope."""

    def __init__(self, status: int, error: dict[str, object], headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(error.get("message", ""))
        self.status = status
        self.error = error
        self.headers = headers


class Frame(msgspec.Struct):
    """A piece of the body and what is produced, and billed, once it is out (totals since the start)."""

    data: bytes
    output_tokens: int = 0
    reasoning_tokens: int = 0


class Chat(msgspec.Struct, frozen=True):
    """A valid request, ready to be answered."""

    model: str  # as sent, fault suffix included
    fault_spec: str
    prompt: Prompt
    stream: bool
    content_type: str
    render: Callable[[Answer, Faults], list[Frame]]  # one frame unless `stream`
    units: dict[str, int] = {}  # what is billed beside tokens


class Vendor(Protocol):
    """One provider's wire protocol."""

    @property
    def name(self) -> str: ...

    def admit(self, request: Request, target: Target) -> None:
        """Raises: Refusal for an unknown path or method, a missing or wrong key, a version nobody knows."""
        ...

    def read(self, request: Request, target: Target) -> Chat:
        """Raises: Refusal for whatever the vendor would not take."""
        ...

    def models(self, target: Target) -> bytes:
        """Raises: Refusal for a model that is not in the list."""
        ...

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """Headers that every answer carries."""
        ...

    def invalid(self, message: str) -> Refusal:
        """A plain 400."""
        ...

    def injected(self, faults: Faults) -> Refusal:
        """The error that `faults` asks for."""
        ...

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        """The body of an error answer."""
        ...

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        """The same error, inside a stream that began well, or with it."""
        ...

    def break_frame(self, frame: bytes) -> bytes:
        """The frame with its JSON cut in half."""
        ...
