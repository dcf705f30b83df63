"""Neutral messages → turns of two roles, for dialects in which a tool's result is part of a user's turn.

Consecutive messages of one role are one turn, and tool results stand first in it, as the vendors demand. Texts of white space alone are
left out, since they refuse them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from msgspec import Raw

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
from pulse_gateway.wire.refusals import leave_out, unsupported
from pulse_gateway.wire.tool_calls import arguments_object, not_an_object

__all__ = ["Block", "Turn", "Turns"]

Block = dict[str, Any]

_ROLES = {"user": "user", "tool": "user", "assistant": "assistant", "system": "system"}


class Turn:
    __slots__ = ("blocks", "path", "results", "role")

    def __init__(self, role: str, path: str) -> None:
        self.role, self.path = role, path
        self.results: list[Block] = []
        self.blocks: list[Block] = []


class Turns(ABC):
    """Writes one conversation for `model`; subclasses say what a part becomes. `dropped` gets the names of hints that have no place in it.

    Raises: UnsupportedParameter and InvalidRequest with the path of the message at fault.
    """

    tool_name: ClassVar[re.Pattern[str]]

    def __init__(self, model: Model, dropped: dict[str, None]) -> None:
        self._model, self._dropped = model, dropped
        self._uses: dict[str, int] = {}  # of each call's id so far
        self.first_call: Message | None = None  # the first message that calls a tool or answers a call

    def write(self, messages: Sequence[Message]) -> tuple[list[Block], list[Block]]:
        """The blocks of the instructions, and the turns."""
        if any(message.name is not None for message in messages):
            self._dropped["messages.name"] = None
        leading = 0
        while leading < len(messages) and messages[leading].role == "system":
            leading += 1
        system = [block for message in messages[:leading] for block in self._system(message)]
        turns = self._turns(messages[leading:])
        if not turns:
            raise unsupported(self._model, "messages", "needs a message besides the system prompt")
        self._check(turns)
        return system, [{"role": turn.role, "content": turn.results + turn.blocks} for turn in turns]

    # ── what each dialect has its own words for ───────────────────────────────────────────────────────────────────────

    @abstractmethod
    def _said(self, text: str) -> Block: ...

    @abstractmethod
    def _image(self, part: ImagePart, path: str) -> Block: ...

    @abstractmethod
    def _document(self, part: DocumentPart, path: str) -> Block: ...

    @abstractmethod
    def _thought(self, part: ReasoningPart) -> Block | None:
        """None for what the vendor has not signed, which it does not take back."""

    @abstractmethod
    def _called(self, call_id: str, name: str, arguments: Raw) -> Block: ...

    @abstractmethod
    def _result(self, part: ToolResultPart, call_id: str, path: str) -> Block: ...

    @abstractmethod
    def _escaped(self, call_id: str) -> str:
        """An id as the vendor takes it."""

    def _marked(self, message: Message, blocks: list[Block]) -> list[Block]:
        """`blocks`, which are one part of `message`, and whatever marks their end."""
        return blocks

    def _check(self, turns: list[Turn]) -> None:
        """Refuse what the vendor would not go on with."""
        last = turns[-1]
        if last.role == "assistant" and not self._model.capabilities.prefill:
            raise unsupported(
                self._model, last.path, "does not go on with a started answer: the last turn must be a user's"
            )

    def _refuse_white_end(self, last: Turn) -> None:
        """For models that go on with a started answer only where a word could follow."""
        if last.role == "assistant" and str(last.blocks[-1].get("text", ""))[-1:].isspace():
            raise unsupported(self._model, last.path, "does not go on with an answer that ends with white space")

    # ── what they have in common ──────────────────────────────────────────────────────────────────────────────────────

    def _turns(self, messages: Sequence[Message]) -> list[Turn]:
        turns: list[Turn] = []
        for message in messages:
            role, path = _ROLES[message.role], message.path
            results: list[Block] = []
            blocks: list[Block] = []
            match message.role:
                case "system":
                    if not self._model.capabilities.system_mid_conversation:
                        raise unsupported(self._model, path, "takes system messages only before all others")
                    blocks = self._system(message)
                case "tool":
                    results = [
                        b for part in message.parts for b in self._marked(message, self._answered(part, message))
                    ]
                case "user":
                    blocks = self._user(message)
                case "assistant":
                    blocks = [
                        b for part in message.parts for b in self._marked(message, self._assistant(part, message))
                    ]
            if not (results or blocks):
                leave_out(message, self._model, self._dropped, is_last=message is messages[-1])
                continue
            if not turns or turns[-1].role != role:
                turns.append(Turn(role, path))
            turns[-1].results += results
            turns[-1].blocks += blocks
        return turns

    def _system(self, message: Message) -> list[Block]:
        blocks: list[Block] = []
        for part in message.parts:
            if not isinstance(part, TextPart):
                raise unsupported(self._model, message.path, "takes only text in a system message")
            blocks += self._marked(message, self._text(part.text))
        return blocks

    def _text(self, text: str) -> list[Block]:
        """No block for a text of white space alone."""
        if not text:
            return []
        if text.isspace():
            self._dropped["messages.blank_text"] = None
            return []
        return [self._said(text)]

    def _user(self, message: Message) -> list[Block]:
        return [block for part in message.parts for block in self._marked(message, self._content(part, message.path))]

    def _content(self, part: Part, path: str) -> list[Block]:
        match part:
            case TextPart(text):
                return self._text(text)
            case ImagePart():
                if part.detail not in (None, "auto"):
                    self._dropped["messages.image_detail"] = None
                return [self._image(part, path)]
            case DocumentPart():
                return [self._document(part, path)]
            case _:
                raise unsupported(self._model, path, f"takes no {_kind(part)} in a user turn")

    def _assistant(self, part: Part, message: Message) -> list[Block]:
        match part:
            case TextPart(text) | RefusalPart(text):
                return self._text(text)
            case ToolCallPart():
                self.first_call = self.first_call or message
                return [self._call(part, message.path)]
            case ReasoningPart():
                if (thought := self._thought(part)) is not None:
                    return [thought]
                self._dropped["messages.reasoning"] = None
                return []
            case _:
                raise unsupported(self._model, message.path, f"takes no {_kind(part)} in an assistant turn")

    def _call(self, part: ToolCallPart, path: str) -> Block:
        if part.signature is not None:
            self._dropped["messages.thought_signature"] = None
        if not self.tool_name.fullmatch(part.name):
            raise unsupported(self._model, path, f"knows no tool called {part.name!r}")
        arguments = arguments_object(part.arguments)
        if arguments is None:
            raise not_an_object(part, path)
        self._uses[part.id] = self._uses.get(part.id, 0) + 1
        return self._called(self._id(part.id), part.name, arguments)

    def _answered(self, part: Part, message: Message) -> list[Block]:
        self.first_call = self.first_call or message
        if not isinstance(part, ToolResultPart):
            raise unsupported(self._model, message.path, f"takes no {_kind(part)} in place of a tool result")
        return [self._result(part, self._id(part.call_id), message.path)]

    def _id(self, call_id: str) -> str:
        """Some clients number the calls of each turn anew; here an id is unique in the conversation."""
        use = self._uses.get(call_id, 1)
        return self._escaped(call_id if use == 1 else f"{call_id}\0{use}")


def _kind(part: Part) -> str:
    return str(type(part).__struct_config__.tag).replace("_", " ")
