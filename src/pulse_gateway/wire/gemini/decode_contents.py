"""`systemInstruction` and `contents` → neutral messages. What no neutral part can hold is left over in its fields."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

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
from pulse_gateway.wire.foreign_json import from_client
from pulse_gateway.wire.gemini.calls import Calls
from pulse_gateway.wire.gemini.envelope import ROLES
from pulse_gateway.wire.gemini.fields import Fields
from pulse_gateway.wire.gemini.media import MediaPart, file_part, inline_part
from pulse_gateway.wire.gemini.parts import append
from pulse_gateway.wire.gemini.results import outcome
from pulse_gateway.wire.gemini.signatures import opened
from pulse_gateway.wire.media import standard_base64
from pulse_gateway.wire.tool_calls import arguments_text

__all__ = ["ContentsDecoder"]

T = TypeVar("T")


class _RawCall(msgspec.Struct):
    args: Raw = Raw()


class _RawPart(msgspec.Struct, rename="camel"):
    function_call: _RawCall | None = None
    function_call_snake: _RawCall | None = msgspec.field(default=None, name="function_call")


class _RawContent(msgspec.Struct):
    parts: list[_RawPart] | _RawPart | None = None


class _RawRequest(msgspec.Struct):
    contents: list[_RawContent] | _RawContent | None = None


_raw_request = msgspec.json.Decoder(_RawRequest).decode


class ContentsDecoder:
    """The conversation in `body`. `hints` gets the signatures that prove nothing to any other vendor, by their path."""

    def __init__(self, body: bytes, hints: dict[str, Any]) -> None:
        self._body = body
        self._hints = hints
        self._calls = Calls()

    def system(self, content: Fields) -> list[Message]:
        content.take("role")
        texts = [text for part in content.children("parts") if (text := part.text("text")) is not None]
        return [Message("system", tuple(TextPart(text) for text in texts), path=content.path)] if texts else []

    def contents(self, contents: list[Fields]) -> list[Message]:
        """Several contents of the model in a row are one turn: that is how clients keep a streamed answer."""
        messages: list[Message] = []
        for turn, content in enumerate(contents):
            role = content.text("role") or "user"
            if role not in ROLES:
                raise content.unknown("role", ", ".join(ROLES))
            parts = content.children("parts")
            if not parts:
                raise content.wrong("parts", "expected at least one part")
            if role == "model":
                self._model_turn(messages, parts, content.path, turn)
            else:
                self._user_turn(messages, parts, content.path)
        return messages

    def _model_turn(self, messages: list[Message], fields: list[Fields], path: str, turn: int) -> None:
        last = messages[-1] if messages else None
        going_on = last is not None and last.role == "assistant"
        parts: list[Part] = list(last.parts) if last is not None and going_on else []
        calls = 0
        for part in fields:
            if (call := part.child("functionCall")) is not None:
                append(parts, self._call(call, self._signature(part), turn, calls))
                calls += 1
            else:
                for decoded in self._plain(part):
                    append(parts, decoded)
        if last is not None and going_on:
            messages[-1] = Message("assistant", tuple(parts), path=last.path)
        elif parts:
            messages.append(Message("assistant", tuple(parts), path=path))

    def _user_turn(self, messages: list[Message], fields: list[Fields], path: str) -> None:
        """Results come first, as a message of their own."""
        results: list[Part] = []
        parts: list[Part] = []
        for part in fields:
            if (response := part.child("functionResponse")) is not None:
                results.append(self._result(response))
            else:
                parts += self._plain(part)
        turns: tuple[tuple[Role, list[Part]], ...] = (("tool", results), ("user", parts))
        messages += [Message(role, tuple(held), path=path) for role, held in turns if held]

    def _plain(self, part: Fields) -> list[Part]:
        """Everything but calls and results, which only one role may hold."""
        for name in ("functionCall", "functionResponse"):
            if part.peek(name) is not None:
                raise part.wrong(name, "belongs to the other role")
        if part.is_empty:
            raise InvalidRequest(f"{part.path}: is empty", param=part.path)
        found: list[Part] = []
        thought = part.flag("thought")
        signature = self._signature(part)
        text = part.text("text")
        if thought:
            found += self._thinking(text or "", signature, part)
        else:
            if text is not None:
                found.append(TextPart(text))
            if signature is not None:
                self._note(part)
        if (media := self._media(part)) is not None:
            found.append(media)
        return found

    def _thinking(self, text: str, signature: str | None, part: Fields) -> list[Part]:
        """Gemini's own signature proves nothing to another vendor; the one another vendor gave is unpacked for it."""
        sealed = opened(signature) if signature else None
        if sealed is None:
            if signature is not None:
                self._note(part)
            return [ReasoningPart(text)] if text else []
        if sealed.redacted is not None:
            return [sealed]
        return [ReasoningPart(text, sealed.signature)]

    def _note(self, part: Fields) -> None:
        self._hints[part.at("thoughtSignature")] = True

    def _call(self, call: Fields, signature: str | None, turn: int, number: int) -> ToolCallPart:
        name = call.need_text("name")
        call.object("args")
        call_id = self._calls.made(call.text("id"), name, turn=turn, number=number)
        return ToolCallPart(call_id, name, next(self._arguments), _unsealed(signature))

    @cached_property
    def _arguments(self) -> Iterator[str]:
        """Of all calls, in order, as they stand in the body: how the model spells a number is its own."""
        for content in _each(from_client(_raw_request, self._body).contents):
            for part in _each(content.parts):
                if (call := part.function_call or part.function_call_snake) is not None:
                    yield arguments_text(call.args) or "{}"

    def _result(self, response: Fields) -> ToolResultPart:
        name = response.need_text("name")
        call_id = self._calls.answered(response.text("id"), name, response.path)
        told = outcome(response.object("response") or {})
        parts: list[TextPart | ImagePart | DocumentPart] = [TextPart(told.text)]
        for attached in response.children("parts"):
            media = self._media(attached, audio=False)
            if media is not None and not isinstance(media, AudioPart):
                parts.append(media)
        return ToolResultPart(call_id, tuple(parts), name, told.is_error, told.structured)

    def _media(self, part: Fields, *, audio: bool = True) -> MediaPart | None:
        """The image, audio or document in `part`; one that has no neutral form is left over."""
        for name, decode in (("inlineData", inline_part), ("fileData", file_part)):
            if (fields := part.child(name)) is not None:
                media = decode(fields)
                if isinstance(media, AudioPart) and not audio:
                    fields.leave()
                return media
        return None

    def _signature(self, part: Fields) -> str | None:
        written = part.text("thoughtSignature")
        return standard_base64(written, part.at("thoughtSignature")) if written else None


def _each(one_or_more: list[T] | T | None) -> list[T]:
    """A repeated message, which may stand without its list."""
    if one_or_more is None:
        return []
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def _unsealed(signature: str | None) -> str | None:
    """A tool call's signature as the neutral form has it."""
    sealed = opened(signature) if signature else None
    return signature if sealed is None else sealed.signature
