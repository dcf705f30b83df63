"""Neutral messages → the items of a Responses request.

A turn of the model is an item for each thing that it did. Of its reasoning only what OpenAI itself has encrypted goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.openai_chat.encode_messages import FUNCTION_NAME
from pulse_gateway.wire.openai_responses.parts import encode_content_part
from pulse_gateway.wire.refusals import unsupported
from pulse_gateway.wire.signatures import openai_reasoning

__all__ = ["InputEncoder"]


class InputEncoder:
    """One conversation for `model`. `dropped` gets the names of hints that have no place in it.

    Raises: UnsupportedParameter with the path of the message at fault.
    """

    def __init__(self, model: Model, dropped: dict[str, None]) -> None:
        self._model = model
        self._is_openai = model.provider == "openai"
        self._dropped = dropped
        self._refusals = 0

    def encode(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        if messages and messages[-1].role == "assistant" and not self._model.capabilities.prefill:
            raise unsupported(self._model, messages[-1].path, "does not go on with a started answer")
        items: list[dict[str, Any]] = []
        for message in messages:
            if message.name is not None:
                self._dropped["messages.name"] = None
            match message.role:
                case "system":
                    items.append({"role": "system", "content": self._system(message)})
                case "user":
                    items.append({"role": "user", "content": self._content(message.parts, message)})
                case "assistant":
                    items += self._assistant(message)
                case "tool":
                    items += [self._result(part, message) for part in message.parts]
        return items

    def _system(self, message: Message) -> str | list[dict[str, Any]]:
        if not all(isinstance(part, TextPart) for part in message.parts):
            raise unsupported(self._model, message.path, "takes only text in a system message")
        return self._content(message.parts, message)

    def _content(self, parts: Sequence[Part], message: Message) -> str | list[dict[str, Any]]:
        """A string where there is no more than one text."""
        if not parts:
            return ""
        if len(parts) == 1 and isinstance(parts[0], TextPart):
            return parts[0].text
        if any(isinstance(part, DocumentPart) and part.text is not None and part.title is not None for part in parts):
            self._dropped["messages.document_title"] = None  # a document of plain text becomes its text
        return [encode_content_part(part, message, self._model) for part in parts]

    def _assistant(self, message: Message) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for part in message.parts:
            match part:
                case TextPart(text):
                    if text:
                        items.append({"role": "assistant", "content": text})
                case RefusalPart(text):
                    items.append(self._refusal(text))
                case ReasoningPart():
                    if (item := _reasoning(part)) is None:
                        self._dropped["messages.reasoning"] = None
                    else:
                        items.append(item)
                case ToolCallPart():
                    items.append(self._call(part, message))
                case _:
                    raise unsupported(self._model, message.path, "takes no media in an assistant message")
        if not items:
            return [{"role": "assistant", "content": ""}]
        return items

    def _refusal(self, text: str) -> dict[str, Any]:
        """Only a message with an id, as the vendor's own have one, can hold it."""
        self._refusals += 1
        return {
            "type": "message",
            "id": f"msg_refusal_{self._refusals}",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "refusal", "refusal": text}],
        }

    def _call(self, call: ToolCallPart, message: Message) -> dict[str, Any]:
        if self._is_openai and not FUNCTION_NAME.fullmatch(call.name):
            raise unsupported(self._model, message.path, f"knows no function called {call.name!r}")
        if call.signature is not None:
            self._dropped["messages.thought_signature"] = None
        return {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments or "{}",
        }

    def _result(self, part: Part, message: Message) -> dict[str, Any]:
        if not isinstance(part, ToolResultPart):
            raise unsupported(self._model, message.path, "takes only tool results in a tool message")
        if part.is_error:
            self._dropped["messages.result_is_error"] = None
        if not all(isinstance(piece, TextPart | ImagePart | DocumentPart) for piece in part.parts):
            raise unsupported(self._model, message.path, "takes only texts, images and files in a tool result")
        return {"type": "function_call_output", "call_id": part.call_id, "output": self._content(part.parts, message)}


def _reasoning(part: ReasoningPart) -> dict[str, Any] | None:
    """The item as the vendor gave it; None for thinking that it has not encrypted, which it would not take."""
    proof = openai_reasoning(part.signature)
    if proof is None:
        return None
    item_id, encrypted_content = proof
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    return {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": encrypted_content}
