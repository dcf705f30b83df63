"""The items of an answer's `output` ⇄ neutral parts, for whole answers and for the ends of streamed ones.

Source: `openai/types/responses/response_output_item.py` of the `openai` SDK 3.54.0, read 2026-11-24. What hosted tools have done
has no neutral form and is passed over: it is asked for in this dialect only, where bytes pass as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Raw

from pulse_gateway.types.chat import (
    Choice,
    FinishReason,
    Logprob,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.wire.openai_chat.reply import fragment_of, thought_signature
from pulse_gateway.wire.openai_responses import schema
from pulse_gateway.wire.openai_responses.items import joined_paragraphs
from pulse_gateway.wire.openai_responses.proofs import closed, opened
from pulse_gateway.wire.tool_calls import is_unfinished, made_id

__all__ = [
    "OWN_REASONING", "call_item", "call_of", "decode_item", "decode_logprobs", "encode_logprobs", "encode_output", "item_id", "message_item",
    "reasoning_item", "reasoning_of", "text_content",
]  # fmt: skip

OWN_REASONING = "rs_pulse"
"""How the id of a reasoning item begins that no vendor of this dialect has made: none would know it again."""

_LONGEST_REPLY_ID = 24
_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9]")
_CUT_OFF = (FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.PAUSE)

# ── decoding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def decode_item(raw: Raw, parts: list[Part], logprobs: list[Logprob], reply_id: str) -> None:
    """Add what the item says. Neighbouring texts are one part, as they are when a stream is folded.

    Raises: UpstreamProtocolError for an item that is not what its type says.
    """
    match schema.parse_type(raw):
        case "message":
            for piece in schema.parse_message(raw).content or ():
                match piece:
                    case schema.ContentRecord(type="output_text", text=str(text)) if text:
                        _append_text(parts, text)
                    case schema.ContentRecord(type="refusal", refusal=str(refusal)) if refusal:
                        parts.append(RefusalPart(refusal))
                logprobs += decode_logprobs(piece.logprobs)
        case "reasoning":
            if (reasoning := reasoning_of(schema.parse_reasoning(raw))) is not None:
                parts.append(reasoning)
        case "function_call":
            number = sum(isinstance(part, ToolCallPart) for part in parts)
            parts.append(call_of(schema.parse_call(raw), reply_id, number))


def _append_text(parts: list[Part], text: str) -> None:
    before = parts[-1] if parts else None
    if isinstance(before, TextPart):
        parts[-1] = TextPart(before.text + text)
    else:
        parts.append(TextPart(text))


def reasoning_of(record: schema.ReasoningRecord) -> ReasoningPart | None:
    """None for an item that neither shows nor proves anything."""
    pieces = (*(record.content or ()), *(record.summary or ()))
    texts = [piece.text for piece in pieces if isinstance(piece.text, str) and piece.text]
    if not texts and not record.encrypted_content:
        return None
    return opened(record.id, record.encrypted_content, joined_paragraphs(texts))


def call_of(record: schema.CallRecord, reply_id: str, number: int) -> ToolCallPart:
    """`number` counts the calls of the answer, for one that comes without an id."""
    call_id = record.call_id or record.id or made_id(reply_id, 0, number)
    arguments = fragment_of(record.arguments)
    return ToolCallPart(call_id, record.name or "", arguments, thought_signature(record.extra_content))


def decode_logprobs(records: list[schema.LogprobRecord] | None) -> tuple[Logprob, ...]:
    return tuple(
        Logprob(
            record.token,
            record.logprob,
            tuple(
                (top.token, top.logprob)
                for top in record.top_logprobs or ()
                if top.token is not None and top.logprob is not None
            ),
        )
        for record in records or ()
    )


# ── encoding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def item_id(kind: str, reply_id: str, index: int) -> str:
    """The same for an item whether its answer is streamed or not."""
    answer = _NOT_IN_AN_ID.sub("", reply_id)[-_LONGEST_REPLY_ID:]
    return "_".join(filter(None, (kind, answer, str(index))))


def text_content(text: str, logprobs: Iterable[Logprob] = ()) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": encode_logprobs(logprobs)}


def encode_logprobs(logprobs: Iterable[Logprob]) -> list[dict[str, Any]]:
    return [
        {
            **_token(entry.token, entry.logprob),
            "top_logprobs": [_token(token, logprob) for token, logprob in entry.top],
        }
        for entry in logprobs
    ]


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": logprob}


def message_item(identity: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    return {"id": identity, "type": "message", "role": "assistant", "status": status, "content": content}


def reasoning_item(identity: str, text: str, encrypted_content: str | None) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"id": identity, "type": "reasoning", "summary": summary, "encrypted_content": encrypted_content}


def call_item(identity: str, call: ToolCallPart, status: str) -> dict[str, Any]:
    """Gemini's signature stands where Google's own OpenAI-shaped endpoint has it."""
    item: dict[str, Any] = {
        "id": identity,
        "type": "function_call",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": status,
    }
    if call.signature is not None:
        item["extra_content"] = {"google": {"thought_signature": call.signature}}
    return item


def encode_output(choice: Choice, reply_id: str) -> list[dict[str, Any]]:
    """Words that follow each other are one message; what a limit has cut off is `incomplete`."""
    items: list[dict[str, Any]] = []
    logprobs = choice.logprobs or ()
    cut_off = choice.finish_reason in _CUT_OFF
    for part in choice.parts:
        match part:
            case TextPart() | RefusalPart():
                if not items or items[-1]["type"] != "message":
                    items.append(message_item(item_id("msg", reply_id, len(items)), [], "completed"))
                if isinstance(part, TextPart):
                    items[-1]["content"].append(text_content(part.text, logprobs))
                    logprobs = ()
                else:
                    items[-1]["content"].append({"type": "refusal", "refusal": part.text})
            case ReasoningPart():
                own_id, proof = closed(part.signature, part.redacted)
                items.append(reasoning_item(own_id or item_id(OWN_REASONING, reply_id, len(items)), part.text, proof))
            case ToolCallPart():
                status = "incomplete" if cut_off and is_unfinished(part) else "completed"
                items.append(call_item(item_id("fc", reply_id, len(items)), part, status))
    if cut_off and items and items[-1]["type"] == "message":
        items[-1]["status"] = "incomplete"
    return items
