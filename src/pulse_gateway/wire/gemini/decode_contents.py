"""`systemInstruction` and `contents` → neutral messages.

`unplaced` collects what no neutral part can hold, by its path; `dropped` what another dialect may leave out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.gemini.arguments import text_of
from pulse_gateway.wire.gemini.calls import Calls
from pulse_gateway.wire.gemini.fields import Fields
from pulse_gateway.wire.gemini.media import MediaPart, file_part, inline_part, standard_base64
from pulse_gateway.wire.gemini.parts import append
from pulse_gateway.wire.gemini.signatures import opened

__all__ = ["ContentsDecoder"]

_ROLES = ("user", "model", "function")  # "function" is the old spelling of a user turn that holds results
_NAMES_OF_A_RESULT = ("output", "result")
_SIGNATURES_HINT = "contents.parts.thoughtSignature"


class ContentsDecoder:
    """One conversation."""

    def __init__(self) -> None:
        self.unplaced: dict[str, Any] = {}
        self.dropped: dict[str, Any] = {}
        self._calls = Calls()

    def system(self, content: Fields) -> list[Message]:
        content.take("role")
        parts: list[Part] = []
        for fields in content.messages("parts"):
            text = fields.text("text")
            if text is not None:
                parts.append(TextPart(text))
            self._leave(fields)
        self._leave(content)
        return [Message("system", tuple(parts), path=content.path)] if parts else []

    def contents(self, contents: list[Fields]) -> list[Message]:
        """Several contents of the model in a row are one turn: that is how clients keep a streamed answer."""
        messages: list[Message] = []
        for turn, content in enumerate(contents):
            role = content.text("role") or "user"
            if role not in _ROLES:
                raise InvalidRequest(
                    f"{content.at('role')} must be one of {', '.join(_ROLES)}", param=content.at("role")
                )
            fields = content.messages("parts")
            if not fields:
                raise InvalidRequest(f"{content.at('parts')} must hold at least one part", param=content.at("parts"))
            if role == "model":
                self._model_turn(messages, fields, content.path, turn)
            else:
                self._user_turn(messages, fields, content.path)
            self._leave(content)
        return messages

    def _model_turn(self, messages: list[Message], fields: list[Fields], path: str, turn: int) -> None:
        last = messages[-1] if messages else None
        going_on = last is not None and last.role == "assistant"
        parts: list[Part] = list(last.parts) if last is not None and going_on else []
        calls = 0
        for part in fields:
            if (call := part.message("functionCall")) is not None:
                append(parts, self._call(call, self._signature(part), turn, calls))
                calls += 1
            else:
                for decoded in self._plain(part):
                    append(parts, decoded)
            self._leave(part)
        if last is not None and going_on:
            messages[-1] = Message("assistant", tuple(parts), path=last.path)
        elif parts:
            messages.append(Message("assistant", tuple(parts), path=path))

    def _user_turn(self, messages: list[Message], fields: list[Fields], path: str) -> None:
        """Results come first, as a message of their own."""
        results: list[Part] = []
        parts: list[Part] = []
        for part in fields:
            if (response := part.message("functionResponse")) is not None:
                results.append(self._result(response))
            else:
                parts += self._plain(part)
            self._leave(part)
        turns: tuple[tuple[Role, list[Part]], ...] = (("tool", results), ("user", parts))
        messages += [Message(role, tuple(held), path=path) for role, held in turns if held]

    def _plain(self, part: Fields) -> list[Part]:
        """Everything but calls and results, which only one role may hold."""
        for name in ("functionCall", "functionResponse"):
            if part.take(name) is not None:
                raise InvalidRequest(f"{part.at(name)} belongs to the other role", param=part.at(name))
        if part.is_empty:
            raise InvalidRequest(f"{part.path} is empty", param=part.path)
        found: list[Part] = []
        thought = part.flag("thought")
        signature = self._signature(part)
        text = part.text("text")
        if thought:
            found += self._thinking(text or "", signature)
        elif text is not None:
            found.append(TextPart(text))
        if signature is not None and not thought:
            self.dropped[_SIGNATURES_HINT] = True
        if (media := self._media(part)) is not None:
            found.append(media)
        return found

    def _thinking(self, text: str, signature: str | None) -> list[Part]:
        """Gemini's own signature proves nothing to another vendor; the one another vendor gave is unpacked for it."""
        sealed = opened(signature) if signature else None
        if sealed is None:
            if signature is not None:
                self.dropped[_SIGNATURES_HINT] = True
            return [ReasoningPart(text)] if text else []
        if sealed.redacted is not None:
            return [sealed]
        return [ReasoningPart(text, sealed.signature)]

    def _call(self, call: Fields, signature: str | None, turn: int, number: int) -> ToolCallPart:
        name = call.text("name")
        if not name:
            raise InvalidRequest(f"{call.at('name')} is missing", param=call.at("name"))
        arguments = text_of(call.object("args"))
        part = ToolCallPart(
            self._calls.made(call.text("id"), name, turn=turn, number=number), name, arguments, _unsealed(signature)
        )
        self._leave(call)
        return part

    def _result(self, response: Fields) -> ToolResultPart:
        name = response.text("name")
        if not name:
            raise InvalidRequest(f"{response.at('name')} is missing", param=response.at("name"))
        call_id = self._calls.answered(response.text("id"), name, response.path)
        text, is_error, structured = _outcome(response.object("response") or {})
        parts: list[TextPart | ImagePart | DocumentPart] = [TextPart(text)]
        for attached in response.messages("parts"):
            media = self._media(attached, audio=False)
            if media is not None and not isinstance(media, AudioPart):
                parts.append(media)
            self._leave(attached)
        self._leave(response)
        return ToolResultPart(call_id, tuple(parts), name, is_error, structured)

    def _media(self, part: Fields, *, audio: bool = True) -> MediaPart | None:
        """The image, audio or document in `part`; one that has no neutral form is left unplaced."""
        for name, decode in (("inlineData", inline_part), ("fileData", file_part)):
            value = part.take(name)
            if value is None:
                continue
            fields = Fields(value, part.at(name))
            media = decode(fields)
            if media is None or (isinstance(media, AudioPart) and not audio):
                self.unplaced[part.at(name)] = value
                return None
            self._leave(fields)
            return media
        return None

    def _signature(self, part: Fields) -> str | None:
        written = part.text("thoughtSignature")
        return standard_base64(written, part.at("thoughtSignature")) if written else None

    def _leave(self, fields: Fields) -> None:
        """What was not taken: metadata and the fineness of media are hints, the rest is not ours to drop."""
        for path, value in fields.leftovers():
            hint = path.endswith((".mediaResolution", ".partMetadata", ".displayName"))
            (self.dropped if hint else self.unplaced)[path] = value


def _unsealed(signature: str | None) -> str | None:
    """A tool call's signature as the neutral form has it."""
    sealed = opened(signature) if signature else None
    return signature if sealed is None else sealed.signature


def _outcome(response: dict[str, Any]) -> tuple[str, bool, bool]:
    """A result as text, whether it is an error, and whether the text is the object itself.

    The vendor asks for an object and names three of its members: `output`, `result` (its SDK's) and `error`.
    """
    if len(response) == 1:
        name, value = next(iter(response.items()))
        if name in _NAMES_OF_A_RESULT or name == "error":
            return _as_text(value), name == "error", False
    return _as_text(response), False, True


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
