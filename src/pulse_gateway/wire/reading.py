"""What was seen of an answer so far: enough to settle it however it ends."""

from __future__ import annotations

from collections.abc import Sequence

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

_UNTAKEN_CHARS = 16_384
_UNKNOWN = Usage()


class Reading:
    """Folds the events of one answer. `usage` is the vendor's last word on it, None while there is none.

    `usage_is_final`: usage was reported with or after the finish reason of every choice and says what was written, so nothing needs estimating.
    A stream of Anthropic's begins with usage too, of which only the input is more than a guess.
    `take_written` gives what the model wrote since it was last taken, to estimate a cut stream by; of what nobody takes only the
    beginning is kept, so that it is bounded whatever the upstream sends. `output_chars` is the length of all of it.
    """

    __slots__ = (
        "_finished",
        "_seen",
        "_untaken",
        "_untaken_until",
        "ended",
        "failed",
        "finish_reason",
        "id",
        "model",
        "output_chars",
        "started",
        "told_nano_usd",
        "usage",
        "usage_is_final",
    )

    def __init__(self) -> None:
        self.id = ""
        self.model = ""
        self.started = False
        self.ended = False
        self.failed: UpstreamError | None = None
        self.finish_reason: FinishReason | None = None
        self.usage: Usage | None = None
        self.usage_is_final = False
        self.told_nano_usd: int | None = None
        self.output_chars = 0
        self._untaken: list[str] = []
        self._untaken_until = _UNTAKEN_CHARS  # of `output_chars`: what comes after that is only counted
        self._seen: set[int] = set()  # choices that have said something
        self._finished: set[int] = set()

    @property
    def says_something(self) -> bool:
        """Whether there is more than a beginning: a word of a text, a thought or a call, or an end."""
        return bool(self.output_chars or self._seen or self._finished or self.ended)

    def observe(self, events: Sequence[Event]) -> None:
        """The events of one frame."""
        reported = False
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                self.hear(event.text, event.choice)  # type: ignore[attr-defined]
            elif kind is ToolArgumentsDelta:
                self.count(event.fragment)  # type: ignore[attr-defined]
            elif kind is ReasoningDelta:
                self.count(event.reasoning)  # type: ignore[attr-defined]
            elif isinstance(event, Started):
                self.id, self.model, self.started = event.id, event.model, True
            elif isinstance(event, UsageReported):
                reported = True
                if event.usage != _UNKNOWN:
                    self.usage, self.told_nano_usd = event.usage, event.cost_nano_usd
            elif isinstance(event, Finished):
                self.finish_reason = event.reason
                self._finished.add(event.choice)
            elif isinstance(event, Ended):
                self.ended = True
            elif isinstance(event, Failed):
                self.failed = event.error
            elif isinstance(event, RefusalDelta):
                self.count(event.refusal)
            elif isinstance(event, ToolCallStarted):
                self._seen.add(event.choice)
                self.count(event.name)
        if reported and self._finished and self._seen <= self._finished:
            self.usage_is_final = _says_output(self.usage)

    def hear(self, text: str, choice: int = 0) -> None:
        """A piece of visible text."""
        self._seen.add(choice)
        self.count(text)

    def observe_reply(self, reply: ChatReply) -> None:
        """The same for an answer that came in one piece."""
        self.observe_head(reply.id, reply.model, reply.finish_reason, reply.usage, reply.cost_nano_usd)
        for choice in reply.choices:
            for part in choice.parts:
                if isinstance(part, TextPart | ReasoningPart | RefusalPart):
                    self.count(part.text)
                elif isinstance(part, ToolCallPart):
                    self.count(part.name)
                    self.count(part.arguments)

    def observe_head(
        self,
        reply_id: str,
        model: str,
        finish_reason: FinishReason | None,
        usage: Usage | None,
        told_nano_usd: int | None,
    ) -> None:
        """What such an answer says of itself; what the model wrote in it is to be counted beside."""
        self.id, self.model, self.started, self.ended = reply_id, model, True, True
        self.finish_reason, self.usage, self.told_nano_usd = finish_reason, usage, told_nano_usd
        self.usage_is_final = usage is not None and usage.output_tokens is not None

    def take_written(self) -> str:
        written = "".join(self._untaken)
        self._untaken.clear()
        self._untaken_until = self.output_chars + _UNTAKEN_CHARS
        return written

    def count(self, text: str) -> None:
        before, size = self.output_chars, len(text)
        self.output_chars = before + size
        if before < self._untaken_until:
            self._untaken.append(text if size <= _UNTAKEN_CHARS else text[:_UNTAKEN_CHARS])


def _says_output(usage: Usage | None) -> bool:
    return usage is not None and usage.output_tokens is not None
