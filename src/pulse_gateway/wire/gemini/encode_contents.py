"""Neutral messages → `systemInstruction` and `contents`.

Neighbours of one wire role are one content: the vendor wants every response to a call in the turn right after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    AudioPart,
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
from pulse_gateway.wire.gemini.media import encode_media
from pulse_gateway.wire.gemini.thinking import thinks_by_level
from pulse_gateway.wire.refusals import leave_out, unsupported
from pulse_gateway.wire.signatures import gemini_signature
from pulse_gateway.wire.tool_calls import arguments_object, not_an_object

__all__ = ["FUNCTION_NAME", "NO_SIGNATURE", "ContentsEncoder"]

# Source: `types.FunctionDeclaration` of google-genai 3.4
FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")

WirePart = dict[str, Any]

# Accepted in place of the signature of a call that another model made, or whose signature the client did not keep.
# Source: https://ai.google.dev/gemini-api/docs/thought-signatures (read 2026-11-24)
NO_SIGNATURE = "skip_thought_signature_validator"


class ContentsEncoder:
    """One conversation for one model. `dropped` gets the names of the hints that found no place.

    Raises: UnsupportedParameter and InvalidRequest with the `path` of the message in `param`.
    """

    def __init__(self, model: Model, dropped: dict[str, None]) -> None:
        self._dropped = dropped
        self._model = model
        self._names: dict[str, str] = {}  # of the calls so far, by id

    def system(self, messages: Sequence[Message]) -> list[WirePart]:
        """The parts of the leading system messages."""
        for message in messages:
            self._note_name(message)
        texts = [self._system_text(part, message) for message in messages for part in message.parts]
        return [{"text": text} for text in texts if text]

    def contents(self, messages: Sequence[Message]) -> list[WirePart]:
        contents: list[WirePart] = []
        for message in messages:
            if message.role == "system":
                raise unsupported(self._model, message.path, "takes system messages only at the start")
            self._note_name(message)
            role = "model" if message.role == "assistant" else "user"
            parts = [encoded for part in message.parts if (encoded := self._part(part, message)) is not None]
            if not parts:
                leave_out(message, self._model, self._dropped, is_last=message is messages[-1])
            elif contents and contents[-1]["role"] == role:
                contents[-1]["parts"] += parts
            else:
                contents.append({"role": role, "parts": parts})
        if contents and contents[-1]["role"] == "model":
            raise unsupported(self._model, messages[-1].path, "does not go on with a started answer")
        for content in contents:
            content["parts"].sort(key=_after_results)
        if thinks_by_level(self._model):
            _sign_calls(contents)
        return contents

    def _part(self, part: Part, message: Message) -> WirePart | None:
        """None for what is left out: an empty text, and thinking that is not Gemini's own."""
        if isinstance(part, TextPart | RefusalPart):
            return {"text": part.text} if part.text else None
        if isinstance(part, ImagePart | AudioPart | DocumentPart):
            self._note_hints(part)
            return encode_media(part, self._model, message.path)
        if isinstance(part, ToolCallPart):
            return self._call(part, message)
        if isinstance(part, ToolResultPart):
            return self._result(part, message)
        return self._thinking(part)

    def _call(self, call: ToolCallPart, message: Message) -> WirePart:
        if not FUNCTION_NAME.fullmatch(call.name):
            raise unsupported(self._model, message.path, f"knows no function called {call.name!r}")
        arguments = arguments_object(call.arguments)
        if arguments is None:
            raise not_an_object(call, message.path)
        self._names[call.id] = call.name
        part: WirePart = {"functionCall": {"id": call.id, "name": call.name, "args": arguments}}
        if call.signature:
            part["thoughtSignature"] = call.signature
        return part

    def _result(self, result: ToolResultPart, message: Message) -> WirePart:
        name = self._names.get(result.call_id)
        if name is None:
            path = message.path
            raise InvalidRequest(
                f"{path}: answers the call {result.call_id!r}, which no earlier message makes", param=path or None
            )
        text = "\n".join(part.text for part in result.parts if isinstance(part, TextPart))
        response: WirePart = {"id": result.call_id, "name": name, "response": _response(text, result)}
        if media := [part for part in result.parts if not isinstance(part, TextPart)]:
            if not thinks_by_level(self._model):
                raise unsupported(self._model, message.path, "takes only text as the result of a tool")
            for part in media:
                self._note_hints(part)
            response["parts"] = [encode_media(part, self._model, message.path) for part in media]
        return {"functionResponse": response}

    def _thinking(self, part: ReasoningPart) -> WirePart | None:
        """Thinking that Gemini signed goes back to it; any other would be taken for corrupted."""
        signature = gemini_signature(part.signature)
        if signature is None:
            self._dropped["messages.reasoning"] = None
            return None
        return {"text": part.text, "thought": True, "thoughtSignature": signature}

    def _system_text(self, part: Part, message: Message) -> str:
        if not isinstance(part, TextPart):
            raise unsupported(self._model, message.path, "takes only text as instructions")
        return part.text

    def _note_name(self, message: Message) -> None:
        if message.name is not None:
            self._dropped["messages.name"] = None

    def _note_hints(self, part: ImagePart | AudioPart | DocumentPart) -> None:
        if isinstance(part, ImagePart) and part.detail not in (None, "auto"):
            self._dropped["messages.image_detail"] = None
        if isinstance(part, DocumentPart) and part.title is not None:
            self._dropped["messages.document_title"] = None


def _response(text: str, result: ToolResultPart) -> dict[str, Any] | msgspec.Raw:
    """A result as the object the vendor wants: what came as an object goes as one, everything else is named."""
    if result.is_error:
        return {"error": text}
    whole = arguments_object(text) if result.structured else None
    return {"output": text} if whole is None else whole


def _after_results(part: WirePart) -> bool:
    return "functionResponse" not in part


def _sign_calls(contents: list[WirePart]) -> None:
    """Give the first call of each step of the current turn a signature if it has none; no others are checked.

    The turn begins with the last content of the user that holds no results. Where it holds both, the vendor does not say
    which it is: a signature too many does no harm, one too few is an error.
    """
    start = 0
    for index, content in enumerate(contents):
        if content["role"] == "user" and not any("functionResponse" in part for part in content["parts"]):
            start = index
    for content in contents[start:]:
        first = next((part for part in content["parts"] if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", NO_SIGNATURE)
