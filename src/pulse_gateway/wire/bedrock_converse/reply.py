"""A whole `Converse` answer → `ChatReply`.

It has neither an id nor a model's name: the id is made here, the name is for whoever knows it.

Source: botocore 1.44, shape `ConverseResponse` (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from pulse_gateway.errors import UpstreamFailed, UpstreamProtocolError
from pulse_gateway.types.chat import ChatReply, Choice, FinishReason, Part, ReasoningPart, TextPart, ToolCallPart
from pulse_gateway.wire.bedrock_converse.schema import ContentBlock, ReasoningBlock, ToolUse, decode_converse
from pulse_gateway.wire.bedrock_converse.tool_ids import unescape
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.tool_calls import arguments_text

__all__ = ["decode_reply", "finish_reason", "made_reply_id", "media_in_the_answer", "stop_sequence", "unusable"]

_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP_SEQUENCE,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
}
_UNUSABLE = frozenset({"malformed_model_output", "malformed_tool_use"})


def made_reply_id() -> str:
    return f"bedrock-{uuid4().hex}"


def unusable(reason: str) -> UpstreamFailed | None:
    """The error behind a stop reason that is one: the model wrote what is no answer, and may do better when asked again."""
    if reason not in _UNUSABLE:
        return None
    return UpstreamFailed(f"the model's answer was unusable ({reason})", upstream_status=200, upstream_code=reason)


def finish_reason(reason: str, *, called_tools: bool) -> FinishReason:
    """A reason that is yet to be invented counts as what it most likely is: the end of a turn."""
    return _FINISH_REASONS.get(reason) or (FinishReason.TOOL_CALLS if called_tools else FinishReason.STOP)


def stop_sequence(additional: Any) -> str | None:
    """The sequence that ended the answer, among the fields of the model itself that `encode_request` asks for."""
    written = additional.get("stop_sequence") if isinstance(additional, dict) else None
    return written if isinstance(written, str) else None


def media_in_the_answer() -> UpstreamProtocolError:
    return UpstreamProtocolError("the answer holds media, which a chat of another dialect cannot carry")


def decode_reply(body: bytes) -> ChatReply:
    """Raises: UpstreamProtocolError, also for media; UpstreamFailed when the model wrote what is no answer."""
    reply = from_provider(decode_converse, body)
    if reply.output is None or reply.output.message is None:
        raise not_of_protocol("an answer without a message")
    reason = reply.stop_reason or ""
    if failure := unusable(reason):
        raise failure
    parts: list[Part] = []
    for block in reply.output.message.content or ():
        _append(parts, block)
    called_tools = any(isinstance(part, ToolCallPart) for part in parts)
    finish = finish_reason(reason, called_tools=called_tools)
    choice = Choice(
        parts=tuple(parts),
        finish_reason=finish,
        stop_sequence=stop_sequence(reply.additional_model_response_fields)
        if finish is FinishReason.STOP_SEQUENCE
        else None,
    )
    return ChatReply(
        id=made_reply_id(), model="", choices=(choice,), usage=reply.usage.usage() if reply.usage is not None else None
    )


def _append(parts: list[Part], block: ContentBlock) -> None:
    """Adjacent texts are one part, as they are when a stream is folded."""
    text = block.text if block.citations_content is None else block.citations_content.text
    if text:
        before = parts[-1] if parts else None
        if isinstance(before, TextPart):
            parts[-1] = TextPart(before.text + text)
        else:
            parts.append(TextPart(text))
    elif block.reasoning_content is not None:
        if (thought := _reasoning(block.reasoning_content)) is not None:
            parts.append(thought)
    elif block.tool_use is not None and block.tool_use.type is None:
        parts.append(_call(block.tool_use))
    elif block.image is not None or block.audio is not None or block.video is not None:
        raise media_in_the_answer()


def _reasoning(block: ReasoningBlock) -> ReasoningPart | None:
    if block.redacted_content:
        return ReasoningPart(redacted=block.redacted_content)
    said = block.reasoning_text
    if said is None or not (said.text or said.signature):
        return None
    return ReasoningPart(said.text, signature=said.signature or None)


def _call(call: ToolUse) -> ToolCallPart:
    arguments = arguments_text(call.input)
    if arguments is None:
        raise not_of_protocol("the input of a tool call is not a JSON object")
    return ToolCallPart(unescape(call.tool_use_id), call.name, arguments)
