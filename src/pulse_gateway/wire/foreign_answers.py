"""Answers and events of OpenAI's operations beside chat that go on untouched: what is looked at in each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Raw

from pulse_gateway.types.events import Event, Failed, Started
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.openai_chat.errors import upstream_error
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["WatchedEvents", "counted", "holding"]

T = TypeVar("T")


class _Watched(Protocol):
    type: str
    error: Any


E = TypeVar("E", bound=_Watched)


class WatchedEvents(ABC, Generic[E]):
    """A `StreamDecoder` of events that say their `type`, and an `error` where there is one."""

    @staticmethod
    @abstractmethod
    def read(data: bytes | Raw, /) -> E: ...

    @abstractmethod
    def told(self, event: E, /) -> list[Event]:
        """What settling needs of it, beyond that something has come."""

    def decode(self, frame: ServerSentEvent) -> list[Event]:
        if not frame.data or frame.data == b"[DONE]":
            return []
        event = from_provider(self.read, frame.data)
        if event.error is not None or event.type == "error":
            return [Failed(upstream_error(200, (), frame.data))]
        return [Started(id="", model=""), *self.told(event)]

    def finish(self) -> list[Event]:
        return []


def holding(what: str, value: T | None, body: bytes) -> T:
    """`value`, for which `body` was asked. Raises: UpstreamProtocolError; UpstreamError for an error object sent with status 200."""
    if value is not None and value != []:
        return value
    if b'"error"' in body:
        raise upstream_error(200, (), body)
    raise not_of_protocol(f"it holds no {what}")


def counted(decode: Callable[[bytes | Raw], T | None], written: Raw) -> T | None:
    """None also for counts in a shape that nobody has heard of."""
    try:
        return decode(written) if written else None
    except (ValueError, RecursionError):  # msgspec's errors and invalid UTF-8 are ValueErrors
        return None
