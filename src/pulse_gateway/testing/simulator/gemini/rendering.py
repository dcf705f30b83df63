"""From an answer to Google's bytes.

Source: https://ai.google.dev/api/generate-content (read 2026-11-24) and type definitions of google-genai 3.4.0
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from pulse_gateway.testing.simulator.answer import Answer, Choice, fragments
from pulse_gateway.testing.simulator.dice import identifier, seal
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.gemini.media_rendering import (
    HELD_BACK,
    Film,
    Picture,
    Speech,
    Step,
    film_steps,
    picture_steps,
    speech_steps,
)
from pulse_gateway.testing.simulator.gemini.platforms import VERTEX, Platform
from pulse_gateway.testing.simulator.gemini.turns import call_parts
from pulse_gateway.testing.simulator.tokens import count_bytes
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["Style", "render_reply", "render_stream", "steps_of", "token_details"]

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
    platform: Platform
    model: str
    shows_thoughts: bool
    signs: bool  # thought signatures
    json_array: bool  # a stream without server-sent events
    service_tier: str
    logprobs: bool
    modalities: dict[str, int]  # of the prompt: tokens of what is not text
    makes: Picture | Speech | Film | None  # instead of text


def render_reply(style: Style, answer: Answer, faults: Faults) -> list[Frame]:
    """One frame: the whole GenerateContentResponse."""
    body = _body(style, answer)
    if faults.blocked is not None:
        body["promptFeedback"] = {"blockReason": faults.blocked, "safetyRatings": _BLOCKED}
    else:
        body["candidates"] = [_candidate(style, answer, choice, faults) for choice in answer.choices]
    end = Step([], answer.usage.output, answer.usage.reasoning)
    if faults.blocked is not None:
        end = Step([])
    elif style.makes is not None:
        end = _made(style, answer, faults)[0][-1]
    if not faults.no_usage:
        body["usageMetadata"] = _usage(style, answer, end)
    return [Frame(_ENCODE(body), end.output_tokens, end.reasoning_tokens)]


def render_stream(style: Style, answer: Answer, faults: Faults) -> list[Frame]:
    """Partial responses; the last one has the finish reason."""
    steps, reason = ([], None) if faults.blocked is not None else steps_of(style, answer, faults)
    frames: list[Frame] = []
    for step in steps:
        candidate: dict[str, Any] = {"index": 0}
        if step.parts:
            candidate = {"content": {"parts": step.parts, "role": "model"}, "index": 0}
        last = len(frames) == len(steps) - 1
        if last and not faults.no_done:
            candidate |= _ending(answer.choices[0], faults, reason)
        body: dict[str, Any] = {"candidates": [candidate]}
        if not faults.no_usage:
            body["usageMetadata"] = _usage(style, answer, step)
        data = _ENCODE({**body, **_body(style, answer)})
        frames.append(Frame(data, step.output_tokens, step.reasoning_tokens))
    if faults.blocked is not None:
        frames = render_reply(style, answer, faults)
    for at, frame in enumerate(frames):
        if style.json_array:
            start, end = b"[" if at == 0 else b",\r\n", b"]" if at == len(frames) - 1 else b""
        else:
            start, end = b"data: ", b"\r\n\r\n"
        frame.data = start + frame.data + end
    return frames


def steps_of(style: Style, answer: Answer, faults: Faults) -> tuple[list[Step], str | None]:
    """What each frame says, and the finish reason if it is not the answer's."""
    if style.makes is not None:
        return _made(style, answer, faults)
    choice = answer.choices[0]
    steps: list[Step] = []
    size = 0
    thought = choice.reasoning if style.shows_thoughts else ""
    for piece in fragments(thought, answer.digest, "thoughts", faults.chunks):
        size += len(piece.encode())
        steps.append(Step([{"text": piece, "thought": True}], 0, count_bytes(size)))
    reasoning = choice.reasoning_tokens
    size = 0
    for piece in fragments(choice.text, answer.digest, "pieces 0", faults.chunks):
        size += len(piece.encode())
        steps.append(Step([{"text": piece}], count_bytes(size), reasoning))
    for at in range(len(choice.calls)):
        call = choice.calls[at]
        size += len(call.name.encode()) + len(call.arguments.encode())
        if call.whole:
            steps.append(Step([_call(style, answer, choice, at)], count_bytes(size), reasoning))
    end: dict[str, Any] = {"text": ""}
    if style.signs and not choice.calls:
        end["thoughtSignature"] = seal(style.seed, "text", choice.text)
    steps.append(Step([end], choice.output_tokens, reasoning))
    return steps, None


def _made(style: Style, answer: Answer, faults: Faults) -> tuple[list[Step], str | None]:
    """The steps of a picture or of speech; the last one has no parts."""
    choice = answer.choices[0]
    reason: str | None = None
    if isinstance(style.makes, Film):
        steps = film_steps(style.makes, choice, answer.digest, faults)
    elif isinstance(style.makes, Picture):
        steps, reason = picture_steps(
            style.makes,
            choice,
            answer.digest,
            style.seed,
            thoughts=style.shows_thoughts,
            signs=style.signs,
            faults=faults,
        )
    else:
        assert style.makes is not None
        steps = speech_steps(style.makes, choice, faults)
    last = steps[-1] if steps else Step([], 0, choice.reasoning_tokens)
    return [*steps, last._replace(parts=[])], reason or ("STOP" if choice.finish == "length" else None)


def _candidate(style: Style, answer: Answer, choice: Choice, faults: Faults) -> dict[str, Any]:
    if style.makes is not None:
        steps, reason = _made(style, answer, msgspec.structs.replace(faults, chunks=1))
        made = [part for step in steps for part in step.parts]
        said: dict[str, Any] = {"content": {"parts": made, "role": "model"}} if made else {}
        return {**said, "index": choice.index, **_ending(choice, faults, reason)}
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
    part: dict[str, Any] = {"functionCall": {"name": call.name, "args": args}}
    if style.platform.call_ids:
        part["functionCall"]["id"] = call_id
    if style.signs and at == 0:
        part["thoughtSignature"] = seal(style.seed, *call_parts(call.name, args))
    return part


def _ending(choice: Choice, faults: Faults, reason: str | None = None) -> dict[str, Any]:
    reason = reason or (faults.finish if faults.finish is not None else _FINISH[choice.finish])
    ending: dict[str, Any] = {"finishReason": reason, "safetyRatings": _BLOCKED if reason == "SAFETY" else _RATINGS}
    if reason in HELD_BACK:
        ending["finishMessage"] = "Unable to show the generated image. Try rephrasing the prompt."
    return ending


def _body(style: Style, answer: Answer) -> dict[str, Any]:
    body: dict[str, Any] = {"modelVersion": style.model, "responseId": identifier("", answer.digest, "reply", 22)}
    if style.platform is VERTEX:
        body["createTime"] = datetime.fromtimestamp(answer.created, UTC).isoformat().replace("+00:00", ".000000Z")
    return body


def _usage(style: Style, answer: Answer, step: Step) -> dict[str, Any]:
    """Candidates and thoughts apart, cached tokens inside the prompt, as Google counts."""
    usage = answer.usage
    prompt = token_details(usage.input_total, style.modalities)
    counts: dict[str, Any] = {
        "promptTokenCount": usage.input_total,
        "candidatesTokenCount": step.output_tokens,
        "totalTokenCount": usage.input_total + step.output_tokens + step.reasoning_tokens,
        "promptTokensDetails": prompt,
    }
    counts |= {"trafficType": "ON_DEMAND"} if style.platform is VERTEX else {"serviceTier": style.service_tier}
    if step.media_tokens:
        modality = "AUDIO" if isinstance(style.makes, Speech) else "IMAGE"
        counts["candidatesTokensDetails"] = [{"modality": modality, "tokenCount": step.media_tokens}]
    if usage.cached:
        counts["cachedContentTokenCount"] = usage.cached
        counts["cacheTokensDetails"] = _cached(usage.cached, prompt)
    if step.reasoning_tokens:
        counts["thoughtsTokenCount"] = step.reasoning_tokens
    return counts


def token_details(total: int, modalities: dict[str, int]) -> list[dict[str, Any]]:
    """`total` by modality: what is not of another one is text."""
    left = total
    others: list[dict[str, Any]] = []
    for modality, tokens in modalities.items():
        share = min(tokens, left)
        left -= share
        if share:
            others.append({"modality": modality, "tokenCount": share})
    return [{"modality": "TEXT", "tokenCount": left}, *others] if left or not others else others


def _cached(tokens: int, prompt: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read from the cache: the text first, then the rest."""
    left = tokens
    details: list[dict[str, Any]] = []
    for each in prompt:
        share = min(left, each["tokenCount"])
        left -= share
        if share:
            details.append({"modality": each["modality"], "tokenCount": share})
    return details
