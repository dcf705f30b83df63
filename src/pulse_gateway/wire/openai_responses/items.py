"""The items of a request's `input` → neutral messages.

What a model did in one turn, its reasoning, words and calls, is an item each here and one message there.

Source: `openai/types/responses/response_input_item_param.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.chat import (
    AudioPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_responses.parts import decode_content_part, file_detail
from pulse_gateway.wire.openai_responses.proofs import opened
from pulse_gateway.wire.openai_responses.schema import ROLES

__all__ = ["BETWEEN_PARAGRAPHS", "ItemReader", "joined_paragraphs"]

_STATUSES = ("in_progress", "completed", "incomplete")
BETWEEN_PARAGRAPHS = "\n\n"


class ItemReader:
    """Reads one conversation. `hints` gets, by path, what may be dropped; what has no neutral form is left over in its members.

    `remembers`: the request goes on with what the vendor has stored, so a result may answer a call that stands there.

    Raises: InvalidRequest, `param` naming the path of the bad member.
    """

    def __init__(self, hints: dict[str, Any], *, remembers: bool) -> None:
        self._hints = hints
        self._remembers = remembers
        self._names: dict[str, str] = {}  # of the calls so far, by id
        self._messages: list[Message] = []

    def read(self, items: list[Members]) -> list[Message]:
        for item in items:
            match item.text("type") or "message":
                case "message":
                    self._message(item)
                case "function_call":
                    self._model_says(item, [self._call(item)])
                case "function_call_output":
                    self._messages.append(Message("tool", (self._result(item),), path=item.path))
                case "reasoning":
                    self._model_says(item, [self._reasoning(item)])
                case _:
                    self._remembers = True
                    item.leave()
        return self._messages

    def _message(self, item: Members) -> None:
        role = item.need_text("role")
        self._pass_over_bookkeeping(item)
        if role == "assistant":
            if (phase := item.text("phase")) is not None:
                self._hints[item.at("phase")] = phase
            self._model_says(item, self._content(item, "content", of_model=True))
            return
        if role not in ROLES:
            raise item.unknown("role", ", ".join(ROLES))
        neutral: Role = "user" if role == "user" else "system"
        self._messages.append(Message(neutral, tuple(self._content(item, "content")), path=item.path))

    def _model_says(self, item: Members, parts: list[Part]) -> None:
        last = self._messages[-1] if self._messages else None
        if last is not None and last.role == "assistant":
            self._messages[-1] = Message("assistant", (*last.parts, *parts), path=last.path)
        else:
            self._messages.append(Message("assistant", tuple(parts), path=item.path))

    def _content(self, item: Members, name: str, *, of_model: bool = False) -> list[Part]:
        if isinstance(item.peek(name), str):
            return [TextPart(item.need_text(name))]
        if item.peek(name) is None:
            raise item.wrong(name, "is required")
        parts: list[Part] = []
        for piece in item.children(name):
            if (detail := file_detail(piece)) is not None:
                self._hints[piece.at("detail")] = detail
            part = self._said(piece) if of_model else decode_content_part(piece)
            if name == "output" and isinstance(part, AudioPart):
                piece.leave()
            elif part is not None:
                parts.append(part)
        return parts

    def _said(self, piece: Members) -> Part:
        """What a model has said. Citations and probabilities are about it and change nothing for another model."""
        match piece.need_text("type"):
            case "output_text" | "input_text":
                for name in ("annotations", "logprobs"):
                    piece.skip(name, [])
                    if (about := piece.take(name)) is not None:
                        self._hints[piece.at(name)] = about
                return TextPart(piece.need_text("text"))
            case "refusal":
                return RefusalPart(piece.need_text("refusal"))
            case _:
                raise piece.wrong("type", "only output_text and refusal parts may stand here")

    def _call(self, item: Members) -> ToolCallPart:
        call_id, name = item.need_text("call_id"), item.need_text("name")
        self._pass_over_bookkeeping(item)
        item.skip("caller", {"type": "direct"})
        item.skip("async", False)
        self._names[call_id] = name
        return ToolCallPart(call_id, name, item.need_text("arguments"), _thought_signature(item))

    def _result(self, item: Members) -> ToolResultPart:
        call_id = item.need_text("call_id")
        if call_id not in self._names and not self._remembers:
            raise item.wrong("call_id", "no earlier function_call makes this call")
        self._pass_over_bookkeeping(item)
        item.skip("caller", {"type": "direct"})
        name = item.take("name") if item.peek("name") == self._names.get(call_id) else None
        parts = tuple(self._content(item, "output"))
        return ToolResultPart(call_id, parts, name=name)  # type: ignore[arg-type]  # `_content` keeps audio out of a result

    def _reasoning(self, item: Members) -> ReasoningPart:
        item.skip("status", *_STATUSES)
        texts = [
            text
            for name in ("content", "summary")
            for piece in item.children(name)
            if piece.need_text("type") and (text := piece.need_text("text"))
        ]
        return opened(item.text("id"), item.text("encrypted_content"), joined_paragraphs(texts))

    def _pass_over_bookkeeping(self, item: Members) -> None:
        """The name under which a vendor has stored an item, and that it is finished: nothing without that vendor's store."""
        item.text("id")
        item.skip("status", *_STATUSES)


def joined_paragraphs(texts: list[str]) -> str:
    """The parts of a reasoning item as one text, as a reader of a stream would see them."""
    return BETWEEN_PARAGRAPHS.join(texts)


def _thought_signature(item: Members) -> str | None:
    content = item.child("extra_content")
    google = content.child("google") if content else None
    return google.text("thought_signature") if google else None
