"""A streamed answer in no vendor's dialect.

The order every decoder keeps: `Started`, then deltas, `Finished` once per choice, `UsageReported` (cumulative: the last one
wins), `Ended`. Deltas of several choices and tool calls may interleave; each carries its coordinates. `Failed` may replace
the rest.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from pulse_gateway.errors import UpstreamError
from pulse_gateway.types.chat import FinishReason, Logprob
from pulse_gateway.types.usage import Usage

__all__ = [
    "Ended", "Event", "Failed", "Finished", "LogprobsDelta", "ReasoningDelta", "ReasoningSigned", "RefusalDelta", "Started",
    "TextDelta", "ToolArgumentsDelta", "ToolCallStarted", "UsageReported",
]  # fmt: skip


class Event(msgspec.Struct, frozen=True):
    """One step of a stream. `text` is what a terminal would show: empty unless it is visible text."""

    text: ClassVar[str] = ""


class Started(Event, frozen=True):
    id: str
    model: str
    created: int | None = None


class TextDelta(Event, frozen=True, gc=False):
    text: str  # type: ignore[misc]
    choice: int = 0


class ReasoningDelta(Event, frozen=True, gc=False):
    """Thinking text: `reasoning`, so that printing `event.text` never shows it."""

    reasoning: str
    choice: int = 0


class ReasoningSigned(Event, frozen=True):
    """Ends a thinking block: the vendor's `signature`, or a `redacted` block as a whole."""

    signature: str | None = None
    redacted: str | None = None
    choice: int = 0


class RefusalDelta(Event, frozen=True):
    refusal: str
    choice: int = 0


class ToolCallStarted(Event, frozen=True):
    """`index` counts the tool calls of one choice from 0. `signature` is Gemini's thought signature (base64)."""

    index: int
    id: str
    name: str
    signature: str | None = None
    choice: int = 0


class ToolArgumentsDelta(Event, frozen=True, gc=False):
    """A fragment of the JSON text of the call `index`."""

    index: int
    fragment: str
    choice: int = 0


class LogprobsDelta(Event, frozen=True):
    logprobs: tuple[Logprob, ...]
    choice: int = 0


class Finished(Event, frozen=True):
    reason: FinishReason
    stop_sequence: str | None = None
    choice: int = 0


class UsageReported(Event, frozen=True):
    """`cost_nano_usd` is what the vendor says that it costs; None: it does not say."""

    usage: Usage
    cost_nano_usd: int | None = None


class Failed(Event, frozen=True):
    """The upstream reported an error inside the stream."""

    error: UpstreamError


class Ended(Event, frozen=True):
    """The dialect's terminal frame arrived: the stream is whole."""
