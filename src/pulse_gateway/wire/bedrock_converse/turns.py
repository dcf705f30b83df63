"""Neutral messages → Converse's `system` and `messages`.

Consecutive messages of one role are one turn, and tool results stand first in it. Texts of white space alone are left out, since
they are refused. A `cache_control` of Anthropic's becomes a cache point behind the block it stood on.

Source: botocore 1.44, shapes `Message`, `ContentBlock`, `SystemContentBlock`;
https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html (read 2026-11-24)
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from typing import Any

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
from pulse_gateway.wire.bedrock_converse.cache_points import CachePoints
from pulse_gateway.wire.bedrock_converse.families import is_claude
from pulse_gateway.wire.bedrock_converse.media import DocumentNames, audio_block, document_block, image_block
from pulse_gateway.wire.bedrock_converse.tool_ids import escape
from pulse_gateway.wire.refusals import leave_out, unsupported
from pulse_gateway.wire.signatures import anthropic_signature
from pulse_gateway.wire.tool_calls import arguments_object, not_an_object

__all__ = ["TOOL_NAME", "TurnWriter"]

Block = dict[str, Any]

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = {"user": "user", "tool": "user", "assistant": "assistant", "system": "system"}


class _Turn:
    __slots__ = ("blocks", "path", "results", "role")

    def __init__(self, role: str, path: str) -> None:
        self.role, self.path = role, path
        self.results: list[Block] = []
        self.blocks: list[Block] = []


class TurnWriter:
    """Writes one conversation for `model`. `dropped` gets the names of hints that have no place in it.

    Raises: UnsupportedParameter and InvalidRequest with the path of the message at fault.
    """

    def __init__(self, model: Model, dropped: dict[str, None], cache_points: CachePoints) -> None:
        self._model, self._dropped, self._cache_points = model, dropped, cache_points
        self._documents = DocumentNames()
        self._uses: dict[str, int] = {}  # of each call's id so far
        self.first_call: Message | None = None  # the first message that calls a tool or answers a call

    def write(self, messages: Sequence[Message]) -> tuple[list[Block], list[Block]]:
        """`system` and `messages`."""
        if any(message.name is not None for message in messages):
            self._dropped["messages.name"] = None
        leading = 0
        while leading < len(messages) and messages[leading].role == "system":
            leading += 1
        system = [block for message in messages[:leading] for block in self._system(message)]
        turns = self._turns(messages[leading:])
        if not turns:
            raise unsupported(self._model, "messages", "needs a message besides the system prompt")
        if turns[0].role == "assistant":
            raise unsupported(self._model, turns[0].path, "takes no conversation that begins with an answer")
        self._check_prefill(turns[-1])
        written: list[Block] = [{"role": turn.role, "content": turn.results + turn.blocks} for turn in turns]
        written[-1]["content"] += self._cache_points.at_the_end()
        return system, written

    def _check_prefill(self, last: _Turn) -> None:
        if last.role != "assistant":
            return
        if not self._model.capabilities.prefill:
            raise unsupported(
                self._model, last.path, "does not go on with a started answer: the last turn must be a user's"
            )
        text = str(last.blocks[-1].get("text", ""))
        if is_claude(self._model) and text != text.rstrip():
            raise unsupported(self._model, last.path, "does not go on with an answer that ends with white space")

    def _turns(self, messages: Sequence[Message]) -> list[_Turn]:
        turns: list[_Turn] = []
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
                    self.first_call = self.first_call or message
                    results = [
                        block for part in message.parts for block in self._marked(message, self._result(part, path))
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
                turns.append(_Turn(role, path))
            turns[-1].results += results
            turns[-1].blocks += blocks
        return turns

    def _marked(self, message: Message, blocks: list[Block]) -> list[Block]:
        """`blocks`, which are one part of `message`, and the cache point behind it if one was asked for."""
        return blocks + self._cache_points.behind_next_part(message.path, said=bool(blocks))

    def _system(self, message: Message) -> list[Block]:
        blocks: list[Block] = []
        for part in message.parts:
            if not isinstance(part, TextPart):
                raise unsupported(self._model, message.path, "takes only text in a system message")
            blocks += self._marked(message, self._text(part.text))
        return blocks

    def _text(self, text: str) -> list[Block]:
        """No block for a text of white space alone, which is refused."""
        if not text:
            return []
        if text.isspace():
            self._dropped["messages.blank_text"] = None
            return []
        return [{"text": text}]

    def _user(self, message: Message) -> list[Block]:
        blocks = [block for part in message.parts for block in self._marked(message, self._content(part, message.path))]
        if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
            raise unsupported(self._model, message.path, "takes a document only beside a text")
        return blocks

    def _content(self, part: Part, path: str) -> list[Block]:
        match part:
            case TextPart(text):
                return self._text(text)
            case ImagePart():
                if part.detail not in (None, "auto"):
                    self._dropped["messages.image_detail"] = None
                return [image_block(part, self._model, path)]
            case AudioPart():
                return [audio_block(part, self._model, path)]
            case DocumentPart():
                name = self._documents.name(part.title)
                if part.title is not None and part.title != name:
                    self._dropped["messages.document_title"] = None
                return [document_block(part, self._model, path, name)]
            case _:
                raise unsupported(self._model, path, f"takes no {_kind(part)} in a user turn")

    def _assistant(self, part: Part, message: Message) -> list[Block]:
        match part:
            case TextPart(text) | RefusalPart(text):
                return self._text(text)
            case ToolCallPart():
                self.first_call = self.first_call or message
                return [self._call(part, message.path)]
            case ReasoningPart(redacted=str() as data) if _is_base64(data):
                return [{"reasoningContent": {"redactedContent": data}}]
            case ReasoningPart(text, str() as signature, None) if anthropic_signature(signature) is not None:
                return [{"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}]
            case ReasoningPart():  # only thinking that is signed is taken back
                self._dropped["messages.reasoning"] = None
                return []
            case _:
                raise unsupported(self._model, message.path, f"takes no {_kind(part)} in an assistant turn")

    def _call(self, part: ToolCallPart, path: str) -> Block:
        if part.signature is not None:
            self._dropped["messages.thought_signature"] = None
        if not TOOL_NAME.fullmatch(part.name):
            raise unsupported(self._model, path, f"knows no tool called {part.name!r}")
        arguments = arguments_object(part.arguments)
        if arguments is None:
            raise not_an_object(part, path)
        self._uses[part.id] = self._uses.get(part.id, 0) + 1
        return {"toolUse": {"toolUseId": self._id(part.id), "name": part.name, "input": arguments}}

    def _id(self, call_id: str) -> str:
        """Some clients number the calls of each turn anew; here an id is unique in the conversation."""
        use = self._uses.get(call_id, 1)
        return escape(call_id if use == 1 else f"{call_id}\0{use}")

    def _result(self, part: Part, path: str) -> list[Block]:
        if not isinstance(part, ToolResultPart):
            raise unsupported(self._model, path, f"takes no {_kind(part)} in place of a tool result")
        content: list[Block]
        match part.parts:
            case (TextPart(text),) if part.structured and (value := arguments_object(text)) is not None:
                content = [{"json": value}]
            case (TextPart(text),):
                content = [{"text": text}] if text else []
            case several:
                content = [block for item in several for block in self._content(item, path)]
        result: Block = {"toolUseId": self._id(part.call_id), "content": content}
        if part.is_error:
            result["status"] = "error"
        return [{"toolResult": result}]


def _is_base64(data: str) -> bool:
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return False
    return bool(data)


def _kind(part: Part) -> str:
    return str(type(part).__struct_config__.tag).replace("_", " ")
