"""A whole answer: `GenerateContentResponse` ⇄ `ChatReply`.

Source: `types.GenerateContentResponse` of google-genai 3.4; https://ai.google.dev/api/generate-content (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamFailed, UpstreamProtocolError
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    Logprob,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.gemini.errors import embedded_error
from pulse_gateway.wire.gemini.parts import append
from pulse_gateway.wire.gemini.schema import (
    FAILED_FINISHES,
    Candidate,
    FunctionCall,
    LogprobsResult,
    Reply,
    decode_reply_body,
    finish_name,
    finish_reason,
)
from pulse_gateway.wire.gemini.schema import Part as WirePart
from pulse_gateway.wire.gemini.signatures import sealed, sealed_call
from pulse_gateway.wire.gemini.usage import decode_usage, encode_usage
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.signatures import mark_as_gemini
from pulse_gateway.wire.tool_calls import arguments_object, arguments_text, is_unfinished, made_id, unusable_call

__all__ = [
    "call_arguments",
    "decode_frames",
    "decode_logprobs",
    "decode_reply",
    "encode_call",
    "encode_logprobs",
    "encode_reply",
    "encode_thinking",
    "read_reply",
    "unusable",
]


def decode_frames(data: bytes) -> list[Reply]:
    """The frames in `data`: one, or the array that a stream without events consists of.

    Most frames of a stream come through here, so it does by itself what `from_provider` does.
    Raises: UpstreamProtocolError when it is not JSON of that shape.
    """
    try:
        decoded = decode_reply_body(data)
    except (ValueError, RecursionError) as error:
        raise not_of_protocol(error) from error
    return decoded if isinstance(decoded, list) else [decoded]


def unusable(reason: str) -> UpstreamFailed:
    """The model wrote something that is no answer: asking again may well help."""
    return UpstreamFailed(f"the model's answer was unusable ({reason})", upstream_status=200, upstream_code=reason)


def call_arguments(call: FunctionCall) -> str:
    """The arguments of a call as text.

    Raises: UpstreamProtocolError when they are no object.
    """
    text = arguments_text(call.args)
    if text is None:
        raise not_of_protocol(f"the arguments of the call of {call.name!r} are not a JSON object")
    return text


def decode_reply(body: bytes) -> ChatReply:
    """The signature of a visible text stays behind: the vendor does not ask for it back.

    Raises: UpstreamProtocolError, also for media, which no chat answer of another dialect can carry; the UpstreamError that an
    error object or an unusable finish stands for.
    """
    frames = _without_error(body)
    for frame in frames:
        for candidate in frame.candidates or ():
            if candidate.finish_reason in FAILED_FINISHES:
                raise unusable(candidate.finish_reason or "")
            if any(part.inline_data is not None and not part.thought for part in _wire_parts(candidate)):
                raise UpstreamProtocolError("the answer holds media, which a chat of another dialect cannot carry")
    reply = _fold(frames)
    if not reply.choices:
        raise UpstreamProtocolError("the provider's answer holds no candidate")
    return reply


def read_reply(body: bytes, reading: Reading) -> str:
    """Note what settling needs of an answer that passes through, whatever it holds, and return its visible text.

    Raises: UpstreamProtocolError when it is not of this dialect; the UpstreamError that an error object stands for.
    """
    reply = _fold(_without_error(body))
    reading.observe_reply(reply)
    return "\n".join(
        "".join(part.text for part in choice.parts if isinstance(part, TextPart)) for choice in reply.choices
    )


def _without_error(body: bytes) -> list[Reply]:
    frames = decode_frames(body)
    for frame in frames:
        if frame.error is not None:
            raise embedded_error(frame.error)
    return frames


def _fold(frames: Iterable[Reply]) -> ChatReply:
    choices: dict[int, Choice] = {}
    searches: set[str] = set()
    reply_id, model, counts = "", "", None
    for frame in frames:
        reply_id, model = frame.response_id or reply_id, frame.model_version or model
        counts = frame.usage_metadata or counts
        for candidate in frame.candidates or ():
            index = candidate.index or 0
            searches.update(candidate.searches)
            choices[index] = _choice(candidate, choices.get(index) or Choice(index=index), reply_id)
        if frame.blocks_prompt:
            choices.setdefault(0, Choice(finish_reason=FinishReason.CONTENT_FILTER))
    usage = None if counts is None else decode_usage(counts, searches)
    return ChatReply(id=reply_id, model=model, choices=tuple(choices[index] for index in sorted(choices)), usage=usage)


def _choice(candidate: Candidate, before: Choice, reply_id: str) -> Choice:
    """What `before` becomes by `candidate`."""
    parts: list[Part] = list(before.parts)
    calls = sum(isinstance(part, ToolCallPart) for part in parts)
    for wire in _wire_parts(candidate):
        if wire.text is not None:
            signature = wire.thought_signature
            if not wire.thought:
                append(parts, TextPart(wire.text))
            elif wire.text or signature:
                append(parts, ReasoningPart(wire.text, mark_as_gemini(signature) if signature else None))
        call = wire.function_call
        if call is not None and call.name:
            call_id = call.id or made_id(reply_id, before.index, calls)
            append(parts, ToolCallPart(call_id, call.name, call_arguments(call), wire.thought_signature))
            calls += 1
    logprobs = before.logprobs
    if candidate.logprobs_result is not None:
        logprobs = (logprobs or ()) + decode_logprobs(candidate.logprobs_result)
    reason = before.finish_reason or finish_reason(candidate.finish_reason, called=calls > 0)
    return Choice(index=before.index, parts=tuple(parts), finish_reason=reason, logprobs=logprobs)


def _wire_parts(candidate: Candidate) -> Sequence[WirePart]:
    return (candidate.content.parts if candidate.content is not None else None) or ()


def decode_logprobs(result: LogprobsResult) -> tuple[Logprob, ...]:
    tops = result.top_candidates or []
    return tuple(
        Logprob(
            chosen.token or "",
            chosen.log_probability or 0.0,
            tuple((top.token or "", top.log_probability or 0.0) for top in tops[n].candidates or ())
            if n < len(tops)
            else (),
        )
        for n, chosen in enumerate(result.chosen_candidates or ())
    )


def encode_reply(reply: ChatReply) -> bytes:
    """A call that the length limit cut short is left out: the finish reason tells of it.

    Raises: UpstreamProtocolError for any other call whose arguments are no JSON object.
    """
    body: dict[str, Any] = {"candidates": [_candidate(choice) for choice in reply.choices]}
    if reply.usage is not None:
        body["usageMetadata"] = encode_usage(reply.usage)
    body["modelVersion"] = reply.model
    body["responseId"] = reply.id
    return msgspec.json.encode(body)


def _candidate(choice: Choice) -> dict[str, Any]:
    cut_short = choice.finish_reason is FinishReason.LENGTH
    parts = [_encode_part(part) for part in choice.parts if not (cut_short and _is_unfinished_call(part))]
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": choice.index}
    if choice.finish_reason is not None:
        refused = any(isinstance(part, RefusalPart) for part in choice.parts)
        candidate["finishReason"] = finish_name(choice.finish_reason, refused=refused)
    if choice.logprobs is not None:
        candidate["logprobsResult"] = encode_logprobs(choice.logprobs)
    return candidate


def _encode_part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart | RefusalPart):
        return {"text": part.text}
    if isinstance(part, ReasoningPart):
        return encode_thinking(part.text, part.signature, part.redacted)
    if isinstance(part, ToolCallPart):
        return encode_call(part)
    raise UpstreamProtocolError("the answer holds what no answer of this dialect can")


def _is_unfinished_call(part: Part) -> bool:
    return isinstance(part, ToolCallPart) and is_unfinished(part)


def encode_thinking(text: str, signature: str | None = None, redacted: str | None = None) -> dict[str, Any]:
    part: dict[str, Any] = {"text": text, "thought": True}
    if signature is not None or redacted is not None:
        part["thoughtSignature"] = sealed(signature, redacted)
    return part


def encode_call(call: ToolCallPart) -> dict[str, Any]:
    """Raises: UpstreamProtocolError when the arguments are no JSON object."""
    args = arguments_object(call.arguments)
    if args is None:
        raise unusable_call(call.name)
    part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": args}}
    if call.signature:
        part["thoughtSignature"] = sealed_call(call.signature)
    return part


def encode_logprobs(logprobs: Iterable[Logprob]) -> dict[str, Any]:
    listed = tuple(logprobs)
    result: dict[str, Any] = {"chosenCandidates": [_logprob(each.token, each.logprob) for each in listed]}
    if any(each.top for each in listed):
        result["topCandidates"] = [{"candidates": [_logprob(*top) for top in each.top]} for each in listed]
    return result


def _logprob(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logProbability": logprob}
