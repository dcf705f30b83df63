"""What was seen of an answer so far: enough to settle it however it ends."""

from __future__ import annotations

from collections.abc import Iterable

from pulse_gateway.errors import UpstreamError
from pulse_gateway.types.chat import ChatReply, FinishReason, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from pulse_gateway.types.events import (
    Ended,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage

__all__ = ["Reading"]


class Reading:
    """Folds the events of one answer. `usage` is the vendor's last word on it, None while there is none.

    `usage_is_final`: the answer was whole when usage was read, so nothing needs estimating.
    `output_bytes` (UTF-8) counts everything the model wrote, for the estimate of a cut stream.
    """

    __slots__ = ("ended", "failed", "finish_reason", "id", "model", "output_bytes", "started", "usage")

    def __init__(self) -> None:
        self.id = ""
        self.model = ""
        self.started = False
        self.ended = False
        self.failed: UpstreamError | None = None
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.output_bytes = 0

    @property
    def usage_is_final(self) -> bool:
        return self.usage is not None and (self.ended or self.finish_reason is not None)

    def observe(self, events: Iterable[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                self.count(event.text)
            elif kind is ToolArgumentsDelta:
                self.count(event.fragment)  # type: ignore[attr-defined]
            elif kind is ReasoningDelta:
                self.count(event.reasoning)  # type: ignore[attr-defined]
            elif isinstance(event, Started):
                self.id, self.model, self.started = event.id, event.model, True
            elif isinstance(event, UsageReported):
                self.usage = event.usage
            elif isinstance(event, Finished):
                self.finish_reason = event.reason
            elif isinstance(event, Ended):
                self.ended = True
            elif isinstance(event, Failed):
                self.failed = event.error
            elif isinstance(event, RefusalDelta):
                self.count(event.refusal)
            elif isinstance(event, ToolCallStarted):
                self.count(event.name)

    def observe_reply(self, reply: ChatReply) -> None:
        """The same for an answer that came in one piece."""
        self.id, self.model, self.started, self.ended = reply.id, reply.model, True, True
        self.usage, self.finish_reason = reply.usage, reply.finish_reason
        for choice in reply.choices:
            for part in choice.parts:
                if isinstance(part, TextPart | ReasoningPart | RefusalPart):
                    self.count(part.text)
                elif isinstance(part, ToolCallPart):
                    self.count(part.name)
                    self.count(part.arguments)

    def count(self, text: str) -> None:
        self.output_bytes += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
