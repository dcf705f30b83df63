"""A whole Chat Completions answer ⇄ the neutral reply, and the pieces a stream shares with it.

Source: `openai/types/chat/chat_completion.py` of the `openai` SDK 3.54.0, read 2026-11-24. Deviations: `reasoning` is what
Groq, OpenRouter, vLLM and Ollama call DeepSeek's `reasoning_content`; Mistral's content may be a list with thinking in it;
Together ends with `eos` and has probabilities in two lists, xAI ends with an empty finish reason beside tool calls, DeepSeek and OpenRouter with reasons that are
failures (each vendor's API reference, read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamError, UpstreamFailed, UpstreamOverloaded, UpstreamProtocolError
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
from pulse_gateway.wire.openai_chat.errors import upstream_error
from pulse_gateway.wire.openai_chat.reasoning_details import encode_details, told_thinking
from pulse_gateway.wire.openai_chat.schema import (
    Answer,
    ChoiceRecord,
    Completion,
    ContentPiece,
    FunctionRecord,
    LogprobsRecord,
    ToolCallRecord,
    decode_completion,
)
from pulse_gateway.wire.openai_chat.usage import decode_usage, encode_usage
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.told_cost import told_nano_usd
from pulse_gateway.wire.tool_calls import made_id

__all__ = [
    "decode_finish_reason", "decode_logprobs", "decode_reply", "encode_call", "encode_finish", "encode_logprobs",
    "encode_reply", "fragment_of", "fragments", "interruption", "read_reply", "thought_signature",
]  # fmt: skip

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_FAILURES: dict[str, type[UpstreamError]] = {
    "insufficient_system_resource": UpstreamOverloaded,
    "error": UpstreamFailed,
}
_FINISH_WORDS = {
    FinishReason.STOP: "stop",
    FinishReason.STOP_SEQUENCE: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool_calls",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.PAUSE: "length",  # the nearest word for "there is more to come"
}
_STOP, _TOOL_CALLS = FinishReason.STOP, FinishReason.TOOL_CALLS  # to look up a member of an enumeration takes a call
_encoder = msgspec.json.Encoder()


# ── shared with the stream ────────────────────────────────────────────────────────────────────────────────────────────


def fragments(answer: Answer) -> Iterator[ReasoningPart | TextPart | RefusalPart]:
    """What an answer, or a piece of one, says; thinking first unless Mistral's list has an order of its own."""
    thought = answer.reasoning_content or answer.reasoning
    if thought or answer.reasoning_details:
        yield from told_thinking(thought if isinstance(thought, str) else "", answer.reasoning_details)
    content = answer.content
    if isinstance(content, str):
        if content:
            yield TextPart(content)
    elif content is not None:
        for piece in content:
            yield from _piece(piece)
    if answer.refusal:
        yield RefusalPart(answer.refusal)


def _piece(piece: ContentPiece) -> Iterator[ReasoningPart | TextPart | RefusalPart]:
    thinking = piece.thinking
    if isinstance(thinking, list):
        thinking = "".join(entry["text"] for entry in thinking if isinstance(entry, dict) and _is_text(entry))
    if isinstance(thinking, str) and thinking:
        yield ReasoningPart(thinking)
    if piece.text:
        yield TextPart(piece.text)
    if piece.refusal:
        yield RefusalPart(piece.refusal)


def _is_text(entry: dict[str, Any]) -> bool:
    return isinstance(entry.get("text"), str)


def fragment_of(arguments: Any) -> str:
    """JSON text as it came; the object that a few servers send instead, written out."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else _encoder.encode(arguments).decode()


def thought_signature(extra_content: Any) -> str | None:
    google = extra_content.get("google") if isinstance(extra_content, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) else None


def decode_finish_reason(word: str | None, *, called: bool) -> FinishReason:
    """`stop` beside tool calls, as after a forced call, is `TOOL_CALLS`; so is an empty or missing word there."""
    reason = _FINISH_REASONS.get(word or "", _STOP)
    return _TOOL_CALLS if called and reason is _STOP else reason


def interruption(word: str | None) -> UpstreamError | None:
    """The error behind a finish reason that is one: the answer is not whole."""
    kind = _FAILURES.get(word or "")
    return kind(f"the provider broke off with {word}", upstream_code=word) if kind else None


def encode_finish(reason: FinishReason) -> dict[str, str]:
    """The members of a choice that say why it ended. What OpenAI has no word for is named beside it, as OpenRouter does."""
    told = {"finish_reason": _FINISH_WORDS[reason]}
    if reason is FinishReason.PAUSE:
        told["native_finish_reason"] = "pause_turn"
    return told


def decode_logprobs(record: LogprobsRecord | None) -> tuple[Logprob, ...]:
    if record is None:
        return ()
    if record.tokens and record.token_logprobs:
        scored = zip(record.tokens, record.token_logprobs, strict=False)
        return tuple(Logprob(token, logprob) for token, logprob in scored if logprob is not None)
    return tuple(
        Logprob(entry.token, entry.logprob, tuple((top.token, top.logprob) for top in entry.top_logprobs or ()))
        for entry in (*(record.content or ()), *(record.refusal or ()))
    )


def encode_logprobs(logprobs: Iterable[Logprob]) -> dict[str, Any]:
    content = [
        {
            **_token(entry.token, entry.logprob),
            "top_logprobs": [_token(token, logprob) for token, logprob in entry.top],
        }
        for entry in logprobs
    ]
    return {"content": content, "refusal": None}


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": logprob}


# ── the whole answer ──────────────────────────────────────────────────────────────────────────────────────────────────


def decode_reply(body: bytes) -> ChatReply:
    """Raises: UpstreamProtocolError; UpstreamError for an error object or a failure that came with status 200."""
    completion = decode_completion(body)
    choices = _choices_of(completion, body)
    reply_id = completion.id or ""
    groq_usage = completion.x_groq.usage if completion.x_groq else None
    return ChatReply(
        id=reply_id,
        model=completion.model or "",
        created=None if completion.created is None else int(completion.created),
        choices=tuple(_choice(record, position, reply_id) for position, record in enumerate(choices)),
        usage=decode_usage(completion.usage or groq_usage),
        cost_nano_usd=told_nano_usd(completion.usage),
    )


def _choice(record: ChoiceRecord, position: int, reply_id: str) -> Choice:
    if failure := interruption(record.finish_reason):
        raise failure
    index = position if record.index is None else record.index
    answer = record.message or Answer()
    calls = tuple(_calls(answer, reply_id, index))
    return Choice(
        index=index,
        parts=(*fragments(answer), *calls),
        finish_reason=decode_finish_reason(record.finish_reason, called=bool(calls)),
        logprobs=decode_logprobs(record.logprobs) or None,
    )


def _calls(answer: Answer, reply_id: str, choice: int) -> Iterator[ToolCallPart]:
    records = answer.tool_calls or []
    if answer.function_call:  # the legacy form of a single call
        records = [*records, ToolCallRecord(function=answer.function_call)]
    position = 0
    for record in records:
        function = record.function
        if function is None:
            continue  # a custom tool's call: asked for in this dialect only, where bytes pass as they are
        yield ToolCallPart(
            id=record.id or made_id(reply_id, choice, position),
            name=function.name or "",
            arguments=fragment_of(function.arguments),
            signature=thought_signature(record.extra_content),
        )
        position += 1


def read_reply(body: bytes, reading: Reading) -> str:
    """Note what settling needs of an answer that passes through, and return its visible text: what `decode_reply` would find, without
    making its values.

    Raises: as `decode_reply`.
    """
    completion = decode_completion(body)
    choices = _choices_of(completion, body)
    called = False
    for place, record in enumerate(choices):
        if record.finish_reason in _FAILURES and (failure := interruption(record.finish_reason)):
            raise failure
        message = record.message
        if place == 0 and message is not None and (message.tool_calls is not None or message.function_call is not None):
            called = any(_functions(message))
    usage = completion.usage
    reading.observe_head(
        completion.id or "",
        completion.model or "",
        decode_finish_reason(choices[0].finish_reason, called=called),
        decode_usage(usage or (completion.x_groq.usage if completion.x_groq else None)),
        None if usage is None else told_nano_usd(usage),
    )
    if len(choices) == 1:
        return _read_choice(choices[0].message, reading)
    return "\n".join([_read_choice(record.message, reading) for record in choices])


def _choices_of(completion: Completion, body: bytes) -> list[ChoiceRecord]:
    if completion.error or completion.object == "error" or not completion.choices:
        if completion.is_error:
            raise upstream_error(200, (), body)
        raise UpstreamProtocolError("the provider's answer has no choices")
    return completion.choices


def _read_choice(message: Answer | None, reading: Reading) -> str:
    if message is None:
        return ""
    text = message.plain_text
    if text is None:
        said = list(fragments(message))
        for part in said:
            reading.count(part.text)
        text = "".join([part.text for part in said if isinstance(part, TextPart)])
    elif text:
        reading.count(text)
    if message.tool_calls is None and message.function_call is None:
        return text
    for function in _functions(message):
        if function is not None:
            reading.count(function.name or "")
            reading.count(fragment_of(function.arguments))
    return text


def _functions(message: Answer) -> list[FunctionRecord | None]:
    """Of its calls each; None: of a custom tool."""
    return [record.function for record in message.tool_calls or ()] + (
        [message.function_call] if message.function_call else []
    )


def encode_reply(reply: ChatReply, *, now: Callable[[], float]) -> bytes:
    """The answer as OpenAI gives it, with reasoning in the extensions `reasoning_content` and `reasoning_details`."""
    body: dict[str, Any] = {
        "id": reply.id,
        "object": "chat.completion",
        "created": int(now()) if reply.created is None else reply.created,
        "model": reply.model,
        "choices": [_encode_choice(choice) for choice in reply.choices],
    }
    if reply.usage is not None:
        body["usage"] = encode_usage(reply.usage)
    return _encoder.encode(body)


def _encode_choice(choice: Choice) -> dict[str, Any]:
    return {
        "index": choice.index,
        "message": _encode_message(choice.parts),
        "logprobs": None if choice.logprobs is None else encode_logprobs(choice.logprobs),
        **({"finish_reason": None} if choice.finish_reason is None else encode_finish(choice.finish_reason)),
    }


def _encode_message(parts: tuple[Part, ...]) -> dict[str, Any]:
    """Chat has one text beside the calls: texts around them are joined in order."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": _joined(part.text for part in parts if isinstance(part, TextPart)),
        "refusal": _joined(part.text for part in parts if isinstance(part, RefusalPart)),
    }
    thinking = [part for part in parts if isinstance(part, ReasoningPart)]
    if reasoning := "".join(part.text for part in thinking):
        message["reasoning_content"] = reasoning
    if details := encode_details(thinking):
        message["reasoning_details"] = details
    calls = [encode_call(part) for part in parts if isinstance(part, ToolCallPart)]
    if calls:
        message["tool_calls"] = calls
    return message


def _joined(texts: Iterable[str]) -> str | None:
    several = list(texts)
    return "".join(several) if several else None


def encode_call(call: ToolCallPart) -> dict[str, Any]:
    """A call as it stands in a message; a stream sends the same with its index, arguments following."""
    told: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.signature is not None:
        told["extra_content"] = {"google": {"thought_signature": call.signature}}
    return told
