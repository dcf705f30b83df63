"""From an answer to Google's bytes.

Source: https://ai.google.dev/api/generate-content (read 2026-11-24) and type definitions of google-genai 3.4.0
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from pulse_gateway.testing.simulator.answer import Answer, Choice, fragments
from pulse_gateway.testing.simulator.dice import identifier, seal
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.gemini.turns import call_parts
from pulse_gateway.testing.simulator.tokens import count_bytes
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["Style", "render_reply", "render_stream"]

_ENCODE = msgspec.json.encode
_FINISH = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "refusal": "SAFETY",
}
_RATINGS = [
    {"category": f"HARM_CATEGORY_{name}", "probability": "NEGLIGIBLE"}
    for name in ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
]
_BLOCKED = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]


class Style(NamedTuple):
    """What the request settles about the look of the answer."""

    seed: int
    model: str
    shows_thoughts: bool
    signs: bool  # thought signatures
    json_array: bool  # a stream without server-sent events
    service_tier: str
    logprobs: bool


def render_reply(style: Style, answer: Answer, faults: Faults) -> list[Frame]:
    """One frame: the whole GenerateContentResponse."""
    body = _body(style, answer)
    if faults.blocked is not None:
        body["promptFeedback"] = {"blockReason": faults.blocked, "safetyRatings": _BLOCKED}
    else:
        body["candidates"] = [_candidate(style, answer, choice, faults) for choice in answer.choices]
    output, reasoning = (0, 0) if faults.blocked is not None else (answer.usage.output, answer.usage.reasoning)
    if not faults.no_usage:
        body["usageMetadata"] = _usage(style, answer, output, reasoning)
    return [Frame(_ENCODE(body), output, reasoning)]


def render_stream(style: Style, answer: Answer, faults: Faults) -> list[Frame]:
    """Partial responses; the last one has the finish reason."""
    steps = [] if faults.blocked is not None else _steps(style, answer, faults)
    frames: list[Frame] = []
    for parts, output, reasoning in steps:
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
        last = len(frames) == len(steps) - 1
        if last and not faults.no_done:
            candidate |= _ending(answer.choices[0], faults)
        body = {"candidates": [candidate]}
        if not faults.no_usage:
            body["usageMetadata"] = _usage(style, answer, output, reasoning)  # type: ignore[assignment]
        frames.append(Frame(_ENCODE({**body, **_body(style, answer)}), output, reasoning))
    if faults.blocked is not None:
        frames = render_reply(style, answer, faults)
    for at, frame in enumerate(frames):
        if style.json_array:
            start, end = b"[" if at == 0 else b",\r\n", b"]" if at == len(frames) - 1 else b""
        else:
            start, end = b"data: ", b"\r\n\r\n"
        frame.data = start + frame.data + end
    return frames


def _steps(style: Style, answer: Answer, faults: Faults) -> list[tuple[list[dict[str, Any]], int, int]]:
    """The parts of each frame, and the output and reasoning tokens up to there."""
    choice = answer.choices[0]
    steps: list[tuple[list[dict[str, Any]], int, int]] = []
    size = 0
    thought = choice.reasoning if style.shows_thoughts else ""
    for piece in fragments(thought, answer.digest, "thoughts", faults.chunks):
        size += len(piece.encode())
        steps.append(([{"text": piece, "thought": True}], 0, count_bytes(size)))
    reasoning = choice.reasoning_tokens
    size = 0
    for piece in fragments(choice.text, answer.digest, "pieces 0", faults.chunks):
        size += len(piece.encode())
        steps.append(([{"text": piece}], count_bytes(size), reasoning))
    for at in range(len(choice.calls)):
        call = choice.calls[at]
        size += len(call.name.encode()) + len(call.arguments.encode())
        if call.whole:
            steps.append(([_call(style, answer, choice, at)], count_bytes(size), reasoning))
    end: dict[str, Any] = {"text": ""}
    if style.signs and not choice.calls:
        end["thoughtSignature"] = seal(style.seed, "text", choice.text)
    steps.append(([end], choice.output_tokens, reasoning))
    return steps


def _candidate(style: Style, answer: Answer, choice: Choice, faults: Faults) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if choice.reasoning and style.shows_thoughts:
        parts.append({"text": choice.reasoning, "thought": True})
    if choice.text:
        parts.append({"text": choice.text})
        if style.signs and not choice.calls:
            parts[-1]["thoughtSignature"] = seal(style.seed, "text", choice.text)
    parts += [_call(style, answer, choice, at) for at, call in enumerate(choice.calls) if call.whole]
    content: dict[str, Any] = {"role": "model"}
    if parts:
        content = {"parts": parts, "role": "model"}
    candidate = {"content": content, "index": choice.index, **_ending(choice, faults)}
    if style.logprobs:
        words = choice.text.split(" ")
        chosen = [{"token": word, "tokenId": at, "logProbability": -0.125} for at, word in enumerate(words)]
        candidate["avgLogprobs"] = -0.125
        candidate["logprobsResult"] = {"chosenCandidates": chosen}
    return candidate


def _call(style: Style, answer: Answer, choice: Choice, at: int) -> dict[str, Any]:
    call = choice.calls[at]
    args = msgspec.json.decode(call.arguments)
    call_id = identifier("", answer.digest, f"{choice.index} {at}", 8)
    part: dict[str, Any] = {"functionCall": {"name": call.name, "args": args, "id": call_id}}
    if style.signs and at == 0:
        part["thoughtSignature"] = seal(style.seed, *call_parts(call.name, args))
    return part


def _ending(choice: Choice, faults: Faults) -> dict[str, Any]:
    reason = faults.finish if faults.finish is not None else _FINISH[choice.finish]
    return {"finishReason": reason, "safetyRatings": _BLOCKED if reason == "SAFETY" else _RATINGS}


def _body(style: Style, answer: Answer) -> dict[str, Any]:
    return {"modelVersion": style.model, "responseId": identifier("", answer.digest, "reply", 22)}


def _usage(style: Style, answer: Answer, output_tokens: int, reasoning_tokens: int) -> dict[str, Any]:
    """Candidates and thoughts apart, cached tokens inside the prompt, as Google counts."""
    usage = answer.usage
    counts: dict[str, Any] = {
        "promptTokenCount": usage.input_total,
        "candidatesTokenCount": output_tokens,
        "totalTokenCount": usage.input_total + output_tokens + reasoning_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input_total}],
        "serviceTier": style.service_tier,
    }
    if usage.cached:
        counts["cachedContentTokenCount"] = usage.cached
        counts["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.cached}]
    if reasoning_tokens:
        counts["thoughtsTokenCount"] = reasoning_tokens
    return counts
