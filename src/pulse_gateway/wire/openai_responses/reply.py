"""A whole Responses answer ⇄ the neutral reply, and the response object that the events of a stream share with it.

Source: `openai/types/responses/response.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec

from pulse_gateway.errors import UpstreamError, UpstreamFailed, UpstreamProtocolError
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    Logprob,
    Part,
    ToolCallPart,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_responses import schema
from pulse_gateway.wire.openai_responses.errors import failure
from pulse_gateway.wire.openai_responses.output import decode_item, encode_output
from pulse_gateway.wire.openai_responses.usage import decode_usage, encode_usage
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.told_cost import told_nano_usd

__all__ = ["ResponseHead", "decode_reply", "encode_reply", "failure_of", "finish_reason", "read_reply"]

_INCOMPLETE = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
_INCOMPLETE_WORDS = {
    FinishReason.LENGTH: "max_output_tokens",
    FinishReason.CONTENT_FILTER: "content_filter",
    FinishReason.PAUSE: "max_output_tokens",  # the nearest word for "there is more to come"
}
_encode = msgspec.json.Encoder().encode


def finish_reason(record: schema.ResponseRecord, *, called: bool) -> FinishReason | None:
    """None for a response that is still being made. A reason that is yet to be invented is a limit of some kind."""
    if record.status in ("queued", "in_progress"):
        return None
    if record.status == "incomplete":
        reason = record.incomplete_details.reason if record.incomplete_details else None
        return _INCOMPLETE.get(reason or "", FinishReason.LENGTH)
    return FinishReason.TOOL_CALLS if called else FinishReason.STOP


def failure_of(record: schema.ResponseRecord) -> UpstreamError | None:
    """The error of a response that is none."""
    if record.error or record.status == "failed":
        return failure(record.error)
    if record.status == "cancelled":
        return UpstreamFailed("the provider cancelled the response", upstream_code="cancelled")
    return None


def decode_reply(body: bytes) -> ChatReply:
    """Raises: UpstreamProtocolError; UpstreamError for an error object or a failure that came with status 200."""
    return _decode(body, lenient=False)


def read_reply(body: bytes, reading: Reading) -> str:
    """Note what settling needs of an answer that passes through, and return its visible text.

    Raises: UpstreamProtocolError when it is no response at all; UpstreamError as `decode_reply`.
    """
    reply = _decode(body, lenient=True)
    reading.observe_reply(reply)
    return reply.text


def _decode(body: bytes, *, lenient: bool) -> ChatReply:
    """`lenient`: an item that is not quite right counts as one without a neutral form."""
    record = schema.parse_response(body)
    if (error := failure_of(record)) is not None:
        raise error
    if record.output is None:
        raise UpstreamProtocolError("the provider's answer has no output")
    parts: list[Part] = []
    logprobs: list[Logprob] = []
    for raw in record.output:
        try:
            decode_item(raw, parts, logprobs, record.id or "")
        except UpstreamProtocolError:
            if not lenient:
                raise
    called = any(isinstance(part, ToolCallPart) for part in parts)
    choice = Choice(
        parts=tuple(parts), finish_reason=finish_reason(record, called=called), logprobs=tuple(logprobs) or None
    )
    return ChatReply(
        id=record.id or "",
        model=record.model or "",
        created=None if record.created_at is None else int(record.created_at),
        choices=(choice,),
        usage=decode_usage(record.usage),
        cost_nano_usd=told_nano_usd(record.usage),
    )


def encode_reply(reply: ChatReply, *, now: Callable[[], float]) -> bytes:
    """This dialect has one choice: the first."""
    choice = reply.choices[0] if reply.choices else Choice()
    created = int(now()) if reply.created is None else reply.created
    head = ResponseHead(reply.id or f"resp_{uuid4().hex}", reply.model, created)
    output = encode_output(choice, head.id)
    return _encode(head.ended(output, choice.finish_reason, reply.usage, completed_at=int(now())))


class ResponseHead:
    """What every state of one response shares. What the request asked for is not known here and is said in its absence's words;
    that nothing is stored is true."""

    __slots__ = ("created", "id", "model")

    def __init__(self, identity: str, model: str, created: int) -> None:
        self.id, self.model, self.created = identity, model, created

    def begun(self) -> dict[str, Any]:
        return self._response("in_progress", [])

    def ended(
        self, output: list[dict[str, Any]], reason: FinishReason | None, usage: Usage | None, *, completed_at: int
    ) -> dict[str, Any]:
        incomplete = None if reason is None else _INCOMPLETE_WORDS.get(reason)
        if incomplete is not None:
            response = self._response("incomplete", output) | {"incomplete_details": {"reason": incomplete}}
        else:
            response = self._response("completed", output) | {"completed_at": max(self.created, completed_at)}
        return response | {"usage": encode_usage(usage)}

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": None,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": None,
            "metadata": {},
            "model": self.model,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": False,
            "temperature": None,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "truncation": "disabled",
            "usage": None,
        }
