"""A whole Messages answer ⇄ `ChatReply`.

Adjacent texts are one part, as they are when a stream is folded; citations and the blocks of server tools have no neutral
form and are passed over.

Source: anthropic 2.12.0, types `Message`, `StopReason` (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.wire.anthropic_messages import schema
from pulse_gateway.wire.anthropic_messages.errors import upstream_error
from pulse_gateway.wire.anthropic_messages.tool_ids import escape, unescape
from pulse_gateway.wire.anthropic_messages.usage import encode_usage
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.signatures import mark_as_call
from pulse_gateway.wire.tool_calls import arguments_object, arguments_text, unusable_call

__all__ = ["decode_reply", "encode_reply", "finish_reason", "input_text", "read_reply", "stop_reason"]

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
    "pause_turn": FinishReason.PAUSE,
}
_STOP_REASONS = {
    FinishReason.STOP: "end_turn",
    FinishReason.STOP_SEQUENCE: "stop_sequence",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.PAUSE: "pause_turn",
}

_encode = msgspec.json.Encoder().encode


def finish_reason(reason: str, *, called_tools: bool) -> FinishReason:
    """A reason that is yet to be invented counts as what it most likely is: the end of a turn."""
    known = _FINISH_REASONS.get(reason)
    return known or (FinishReason.TOOL_CALLS if called_tools else FinishReason.STOP)


def stop_reason(reason: FinishReason | None, *, refused: bool) -> str:
    """Other vendors may refuse in words and call it an ordinary stop; here a refusal is a reason of its own."""
    if refused and reason in (None, FinishReason.STOP):
        return "refusal"
    return _STOP_REASONS[reason] if reason else "end_turn"


def decode_reply(body: bytes) -> ChatReply:
    """Raises: UpstreamProtocolError; the mapped UpstreamError for an error object sent with status 200."""
    return _decode(body, lenient=False)


def read_reply(body: bytes, reading: Reading) -> str:
    """Note what settling needs of an answer that passes through, and return its visible text.

    Raises: UpstreamProtocolError when it is no message at all; the mapped UpstreamError for an error object sent with 200.
    """
    reply = _decode(body, lenient=True)
    reading.observe_reply(reply)
    return reply.text


def _decode(body: bytes, *, lenient: bool) -> ChatReply:
    """`lenient`: a block that is not quite right counts as one without a neutral form."""
    message = schema.parse_message(body)
    if message.type == "error":
        raise upstream_error(200, (), body)
    if message.content is UNSET:
        raise not_of_protocol("a message without content")
    parts: list[Part] = []
    for raw in message.content:
        try:
            _append(parts, schema.parse_block(raw))
        except UpstreamProtocolError:
            if not lenient:
                raise
    called_tools = any(isinstance(part, ToolCallPart) for part in parts)
    choice = Choice(
        parts=tuple(parts),
        finish_reason=finish_reason(message.stop_reason, called_tools=called_tools) if message.stop_reason else None,
        stop_sequence=message.stop_sequence,
    )
    usage = message.usage.usage() if message.usage else None
    return ChatReply(id=message.id, model=message.model, choices=(choice,), usage=usage)


def _append(parts: list[Part], block: schema.Block | None) -> None:
    match block:
        case schema.TextBlock(text) if text:
            before = parts[-1] if parts else None
            if isinstance(before, TextPart):
                parts[-1] = TextPart(before.text + text)
            else:
                parts.append(TextPart(text))
        case schema.ThinkingBlock(thinking, signature) if thinking or signature:
            parts.append(ReasoningPart(thinking, signature=signature or None))
        case schema.RedactedThinkingBlock(data):
            parts.append(ReasoningPart(redacted=data))
        case schema.ToolUseBlock(call_id, name, value):
            parts.append(ToolCallPart(unescape(call_id), name, input_text(value)))


def input_text(value: Raw) -> str:
    """The input of a tool call as text.

    Raises: UpstreamProtocolError when it is no object.
    """
    text = arguments_text(value)
    if text is None:
        raise not_of_protocol("the input of a tool call is not a JSON object")
    return text


def encode_reply(reply: ChatReply) -> bytes:
    """This dialect has one choice: the first. A tool call that the length limit cut short is left out.

    Raises: UpstreamProtocolError when the model wrote arguments that are no JSON object, or anything but text.
    """
    choice = reply.choices[0] if reply.choices else Choice()
    refused = any(isinstance(part, RefusalPart) for part in choice.parts)
    content: list[dict[str, Any]] = []
    for part in choice.parts:
        if block := _block(part, choice.finish_reason):
            if isinstance(part, ToolCallPart) and part.signature:
                _sign_before(content, part.signature)
            content.append(block)
    return _encode(
        {
            "id": reply.id,
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            "content": content,
            "stop_reason": stop_reason(choice.finish_reason, refused=refused),
            "stop_sequence": choice.stop_sequence,
            "usage": encode_usage(reply.usage),
        }
    )


def _sign_before(content: list[dict[str, Any]], signature: str) -> None:
    """Gemini's signature of the call that follows, in the thinking before it: the dialect's calls have no place for it."""
    if not content or content[-1]["type"] != "thinking" or content[-1]["signature"]:
        content.append({"type": "thinking", "thinking": ""})
    content[-1]["signature"] = mark_as_call(signature)


def _block(part: Part, reason: FinishReason | None) -> dict[str, Any] | None:
    match part:
        case TextPart(text) | RefusalPart(text):
            return {"type": "text", "text": text} if text else None
        case ReasoningPart(redacted=str() as data):
            return {"type": "redacted_thinking", "data": data}
        case ReasoningPart(text, signature):
            return {"type": "thinking", "thinking": text, "signature": signature or ""}
        case ToolCallPart(call_id, name, arguments):
            value = arguments_object(arguments)
            if value is None:
                if reason is FinishReason.LENGTH:
                    return None
                raise unusable_call(name)
            return {"type": "tool_use", "id": escape(call_id), "name": name, "input": value}
        case _:
            raise UpstreamProtocolError("the answer holds media, which Anthropic's dialect has no place for")
