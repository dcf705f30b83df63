"""From an answer to Converse's JSON, and to ConverseStream's messages.

Source: the service model of bedrock-runtime 2023-09-30 in botocore 1.44.8
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Answer, Choice, fragments
from pulse_gateway.testing.simulator.bedrock.eventstream import event
from pulse_gateway.testing.simulator.dice import Dice, conceal, identifier, seal
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.tokens import count_bytes
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["Style", "render_reply", "render_stream"]

_ENCODE = msgspec.json.encode
_PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_FINISH = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "content_filtered",
}


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """What the request settles about the look of the answer."""

    seed: int
    signs_thinking: bool  # Claude does
    omits_thinking: bool
    long_cache: bool
    guardrail: str | None  # the guardrail's id
    traces: bool
    paths: tuple[str, ...] = ()  # additional response fields that are asked for
    latency: str | None = None
    tier: str | None = None


def render_reply(style: Style, answer: Answer, faults: Faults) -> list[Frame]:
    """One frame."""
    choice = answer.choices[0]
    content: list[dict[str, Any]] = []
    if choice.reasoning:
        content.append({"reasoningContent": _reasoning(style, answer, choice, faults)})
    if choice.text:
        content.append({"text": choice.text})
    for at, call in enumerate(choice.calls):
        arguments = msgspec.json.decode(call.arguments) if call.whole else {}
        content.append({"toolUse": {"toolUseId": _call_id(answer, at), "name": call.name, "input": arguments}})
    reason = _stop_reason(style, choice, faults)
    reply: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        **_fields(style, choice, reason),
        **_tail(style, answer, reason, faults),
    }
    return [Frame(_ENCODE(reply), answer.usage.output, answer.usage.reasoning)]


def render_stream(style: Style, answer: Answer, faults: Faults) -> list[Frame]:
    """From `messageStart` to `metadata`. Blocks of text and reasoning have no `contentBlockStart`."""
    choice = answer.choices[0]
    stream = _Stream(answer)
    stream.say("messageStart", {"role": "assistant"})
    if choice.reasoning:
        _stream_reasoning(stream, style, answer, choice, faults)
    if choice.text:
        for piece in fragments(choice.text, answer.digest, "pieces 0", faults.chunks):
            stream.output_bytes += len(piece.encode())
            stream.delta({"text": piece})
        stream.close()
    for at, call in enumerate(choice.calls):
        stream.output_bytes += len(call.name.encode())
        start = {"toolUse": {"toolUseId": _call_id(answer, at), "name": call.name}}
        stream.say("contentBlockStart", {"start": start, "contentBlockIndex": stream.index})
        for piece in fragments(call.arguments, answer.digest, f"arguments 0 {at}"):
            stream.output_bytes += len(piece.encode())
            stream.delta({"toolUse": {"input": piece}})
        stream.close()
    stream.finished()
    reason = _stop_reason(style, choice, faults)
    if not faults.no_done:
        stream.say("messageStop", {"stopReason": reason, **_fields(style, choice, reason)})
    if not faults.no_usage:
        stream.say("metadata", _tail(style, answer, reason, faults))
    return stream.frames


def _stream_reasoning(stream: _Stream, style: Style, answer: Answer, choice: Choice, faults: Faults) -> None:
    whole = _reasoning(style, answer, choice, faults)
    if "redactedContent" in whole:
        stream.reasoned()
        stream.delta({"reasoningContent": whole})
        stream.close()
        return
    for piece in fragments(whole["reasoningText"]["text"], answer.digest, "thinking", faults.chunks):
        stream.reasoning_bytes += len(piece.encode())
        stream.delta({"reasoningContent": {"text": piece}})
    stream.reasoned()
    if "signature" in whole["reasoningText"]:
        stream.delta({"reasoningContent": {"signature": whole["reasoningText"]["signature"]}})
    stream.close()


class _Stream:
    """Collects messages, and counts what has been produced by each."""

    def __init__(self, answer: Answer) -> None:
        self.frames: list[Frame] = []
        self.index = 0
        self.output_bytes = 0
        self.reasoning_bytes = 0
        self._usage = answer.usage
        self._dice = Dice(answer.digest, "padding")
        if not answer.choices[0].reasoning:
            self.reasoned()

    def say(self, name: str, payload: dict[str, Any]) -> None:
        """With padding against guesses from sizes, as the real one has it."""
        data = _ENCODE({**payload, "p": _PADDING[: 1 + self._dice.below(len(_PADDING))]})
        self.frames.append(Frame(event(name, data), count_bytes(self.output_bytes), count_bytes(self.reasoning_bytes)))

    def delta(self, delta: dict[str, Any]) -> None:
        self.say("contentBlockDelta", {"delta": delta, "contentBlockIndex": self.index})

    def close(self) -> None:
        self.say("contentBlockStop", {"contentBlockIndex": self.index})
        self.index += 1

    def reasoned(self) -> None:
        self.reasoning_bytes = self._usage.reasoning * 4

    def finished(self) -> None:
        self.output_bytes = self._usage.output * 4


def _reasoning(style: Style, answer: Answer, choice: Choice, faults: Faults) -> dict[str, Any]:
    if faults.redacted:
        return {"redactedContent": base64.b64encode(conceal(style.seed, answer.digest).encode()).decode()}
    text = "" if style.omits_thinking else choice.reasoning
    if not style.signs_thinking:
        return {"reasoningText": {"text": text}}
    return {"reasoningText": {"text": text, "signature": seal(style.seed, "thinking", text)}}


def _call_id(answer: Answer, at: int) -> str:
    return identifier("tooluse_", answer.digest, f"0 {at}", 22)


def _stop_reason(style: Style, choice: Choice, faults: Faults) -> str:
    if faults.finish is not None:
        return faults.finish
    return "guardrail_intervened" if choice.refusal and style.guardrail is not None else _FINISH[choice.finish]


def _fields(style: Style, choice: Choice, reason: str) -> dict[str, Any]:
    if not style.paths:
        return {}
    known = {"/stop_sequence": choice.stop_sequence, "/stop_reason": reason}
    return {"additionalModelResponseFields": {path[1:]: known[path] for path in style.paths if path in known}}


def _tail(style: Style, answer: Answer, reason: str, faults: Faults) -> dict[str, Any]:
    usage = answer.usage
    tail: dict[str, Any] = {"metrics": {"latencyMs": 100 + Dice(answer.digest, "latency").below(2000)}}
    if not faults.no_usage:
        tail["usage"] = {
            "inputTokens": usage.input,
            "outputTokens": usage.output + usage.reasoning,
            "totalTokens": usage.input_total + usage.output + usage.reasoning,
            "cacheReadInputTokens": usage.cached,
            "cacheWriteInputTokens": usage.cache_write,
        }
        if usage.cache_write:
            ttl = "1h" if style.long_cache else "5m"
            tail["usage"]["cacheDetails"] = [{"ttl": ttl, "inputTokens": usage.cache_write}]
    if style.traces and style.guardrail is not None:
        action = "Guardrail blocked." if reason == "guardrail_intervened" else "No action."
        tail["trace"] = {"guardrail": {"inputAssessment": {style.guardrail: {}}, "actionReason": action}}
    if style.latency is not None:
        tail["performanceConfig"] = {"latency": style.latency}
    if style.tier is not None:
        tail["serviceTier"] = {"type": style.tier}
    return tail
