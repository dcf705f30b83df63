"""What an answer means, in plain values: the same words for a whole answer and for a folded stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamError
from pulse_gateway.types.chat import ChatReply, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from pulse_gateway.types.events import (
    Ended,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    ReasoningSigned,
    RefusalDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage

__all__ = ["error_meaning", "reply_meaning", "stream_meaning"]

Meaning = dict[str, Any]


def reply_meaning(reply: ChatReply) -> Meaning:
    """Of the first choice."""
    said = _Said()
    choice = reply.choices[0] if reply.choices else None
    for part in choice.parts if choice is not None else ():
        match part:
            case TextPart():
                said.text += part.text
            case ReasoningPart():
                said.reasoning += part.text
                said.proof(part.signature, part.redacted)
            case RefusalPart():
                said.refusal += part.text
            case ToolCallPart():
                said.calls.append(_call(part.id, part.name, part.arguments, part.signature))
    if choice is not None and choice.finish_reason is not None:
        said.finish(choice.finish_reason.value, choice.stop_sequence)
    said.usage = reply.usage
    return said.meaning()


def stream_meaning(events: Iterable[Event]) -> Meaning:
    """`interrupted` where the end of the stream did not come."""
    said, ended = _Said(), False
    for event in events:
        match event:
            case TextDelta():
                said.text += event.text
            case ReasoningDelta():
                said.reasoning += event.reasoning
            case ReasoningSigned():
                said.proof(event.signature, event.redacted)
            case RefusalDelta():
                said.refusal += event.refusal
            case ToolCallStarted():
                said.calls.append(_call(event.id, event.name, "", event.signature))
            case ToolArgumentsDelta():
                said.calls[event.index]["arguments"] += event.fragment
            case Finished():
                said.finish(event.reason.value, event.stop_sequence)
            case UsageReported():
                said.usage = event.usage
            case Failed():
                said.error = event.error
            case Ended():
                ended = True
    meaning = said.meaning()
    if not ended and said.error is None:
        meaning["interrupted"] = True
    return meaning


def error_meaning(error: UpstreamError) -> Meaning:
    told = {
        "kind": type(error).__name__,
        "code": error.code,
        "status": error.status,
        "advice": error.advice.value,
        "retry_after_s": error.retry_after_s,
        "upstream_code": error.upstream_code,
        "param": error.param,
    }
    return {name: value for name, value in told.items() if value is not None}


def _call(id: str, name: str, arguments: str, signature: str | None) -> Meaning:
    call = {"id": id, "name": name, "arguments": arguments}
    return call if signature is None else {**call, "signature": signature}


class _Said:
    def __init__(self) -> None:
        self.text = self.reasoning = self.refusal = ""
        self.proofs: list[str] = []
        self.calls: list[Meaning] = []
        self.finished: Meaning = {}
        self.usage: Usage | None = None
        self.error: UpstreamError | None = None

    def proof(self, *given: str | None) -> None:
        self.proofs += [each for each in given if each is not None]

    def finish(self, reason: str, stop_sequence: str | None) -> None:
        self.finished = {"finish_reason": reason}
        if stop_sequence is not None:
            self.finished["stop_sequence"] = stop_sequence

    def meaning(self) -> Meaning:
        told = {
            "text": self.text,
            "reasoning": self.reasoning,
            "proofs": self.proofs,
            "refusal": self.refusal,
            "tool_calls": self.calls,
            **self.finished,
            "usage": None if self.usage is None else msgspec.to_builtins(self.usage),
            "error": None if self.error is None else error_meaning(self.error),
        }
        return {name: value for name, value in told.items() if value}
