"""Neutral messages → those of a Chat Completions request.

Chat shows a model neither thinking nor signatures, and no tool result but text: what has no place is refused, or noted as
dropped where it is a hint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    DocumentPart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.openai_chat.habits import habits_of
from pulse_gateway.wire.openai_chat.parts import encode_user_part
from pulse_gateway.wire.openai_chat.reasoning_details import replayed_detail
from pulse_gateway.wire.openai_chat.reply import encode_call
from pulse_gateway.wire.refusals import leave_out, unsupported

__all__ = ["FUNCTION_NAME", "MessagesEncoder"]

# Source: `openai/types/shared/function_definition.py` of the `openai` SDK 3.54.0, read 2026-11-24
FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class MessagesEncoder:
    """One conversation for `model`. `dropped` gets the names of hints that have no place in it.

    Raises: UnsupportedParameter with the path of the message at fault.
    """

    def __init__(self, model: Model, dropped: dict[str, None]) -> None:
        self._model = model
        self._is_openai = model.provider == "openai"
        self._habits = habits_of(model.provider)
        self._dropped = dropped

    def encode(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        if messages and messages[-1].role == "assistant" and not self._model.capabilities.prefill:
            raise unsupported(self._model, messages[-1].path, "does not go on with a started answer")
        told: list[dict[str, Any]] = []
        for message in messages:
            match message.role:
                case "system":
                    told.append(self._named(message, {"role": "system", "content": self._texts(message)}))
                case "user":
                    told.append(self._named(message, {"role": "user", "content": self._user_content(message)}))
                case "assistant":
                    said = self._assistant(message)
                    if self._habits.empty_turns or said["content"] != "":
                        told.append(self._named(message, said))
                    else:
                        leave_out(message, self._model, self._dropped, is_last=message is messages[-1])
                case "tool":
                    told += [self._tool_result(part, message) for part in message.parts]
        return told

    def _named(self, message: Message, told: dict[str, Any]) -> dict[str, Any]:
        if message.name is not None:
            told["name"] = message.name
        return told

    def _texts(self, message: Message) -> str | list[dict[str, Any]]:
        texts: list[str] = []
        for part in message.parts:
            if not isinstance(part, TextPart):
                raise unsupported(self._model, message.path, f"takes only text in a {message.role} message")
            texts.append(part.text)
        return _content(texts)

    def _user_content(self, message: Message) -> str | list[dict[str, Any]]:
        if len(message.parts) == 1 and isinstance(message.parts[0], TextPart):
            return message.parts[0].text
        self._note_titles(message.parts)
        return [encode_user_part(part, message, self._model) for part in message.parts] or ""

    def _note_titles(self, parts: Sequence[Part]) -> None:
        """A document of plain text becomes its text, and loses its title."""
        if any(isinstance(part, DocumentPart) and part.text is not None and part.title is not None for part in parts):
            self._dropped["messages.document_title"] = None

    def _assistant(self, message: Message) -> dict[str, Any]:
        texts: list[str] = []
        refusals: list[str] = []
        reasoning: list[str] = []
        details: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        for part in message.parts:
            match part:
                case TextPart():
                    texts.append(part.text)
                case RefusalPart():
                    (refusals if self._is_openai else texts).append(part.text)
                case ReasoningPart(text=str(text)) if text and self._habits.reasoning_back:
                    reasoning.append(text)
                case ReasoningPart() if self._habits.details_back and (entry := replayed_detail(part)) is not None:
                    details.append(entry)
                case ReasoningPart():
                    self._dropped["messages.reasoning"] = None
                case ToolCallPart():
                    calls.append(self._tool_call(part, message))
                case _:
                    raise unsupported(self._model, message.path, "takes no media in an assistant message")
        said = _content(texts) if texts else None
        told: dict[str, Any] = {"role": "assistant", "content": "" if not (said or calls or refusals) else said}
        if refusals:
            told["refusal"] = "".join(refusals)
        if reasoning:
            told["reasoning_content"] = "".join(reasoning)
        if details:
            told["reasoning_details"] = details
        if calls:
            told["tool_calls"] = calls
        return told

    def _tool_call(self, call: ToolCallPart, message: Message) -> dict[str, Any]:
        if self._is_openai and not FUNCTION_NAME.fullmatch(call.name):
            raise unsupported(self._model, message.path, f"knows no function called {call.name!r}")
        if call.signature is not None and not self._habits.signatures_back:
            self._dropped["messages.thought_signature"] = None
            call = msgspec.structs.replace(call, signature=None)
        return encode_call(msgspec.structs.replace(call, arguments=call.arguments or "{}"))

    def _tool_result(self, part: Part, message: Message) -> dict[str, Any]:
        if not isinstance(part, ToolResultPart):
            raise unsupported(self._model, message.path, "takes only tool results in a tool message")
        if part.is_error:
            self._dropped["messages.result_is_error"] = None
        self._note_titles(part.parts)
        texts: list[str] = []
        for piece in part.parts:
            text = piece.text if isinstance(piece, TextPart | DocumentPart) else None
            if text is None:
                raise unsupported(self._model, message.path, "takes no images and files in a tool result")
            texts.append(text)
        return {"role": "tool", "tool_call_id": part.call_id, "content": _content(texts)}


def _content(texts: list[str]) -> str | list[dict[str, Any]]:
    """A string, as every vendor takes it, unless there are several texts to keep apart."""
    if len(texts) < 2:
        return texts[0] if texts else ""
    return [{"type": "text", "text": text} for text in texts]
