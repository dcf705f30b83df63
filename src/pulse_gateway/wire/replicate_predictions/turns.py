"""Messages → what a model at Replicate is given of them: a prompt, instructions, a list of messages where it takes one, and files.

One question, with or without instructions, is a prompt. A longer conversation is `messages`, or, for models without, or with files in it,
a transcript: then `messages.role` is noted as left out, since the model is told in words who said what.
"""

from __future__ import annotations

from typing import Any

import msgspec

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
)
from pulse_gateway.wire.refusals import leave_out, unsupported
from pulse_gateway.wire.replicate_predictions.families import Family
from pulse_gateway.wire.replicate_predictions.transcript import as_transcript

__all__ = ["write_turns"]

_BETWEEN = "\n\n"  # texts of one turn


class _Turn(msgspec.Struct, frozen=True):
    """`marked` is the text with a mark where each file stands."""

    role: str
    text: str
    marked: str


def write_turns(
    messages: tuple[Message, ...], family: Family, model: Model, dropped: dict[str, None]
) -> dict[str, Any]:
    """Inputs by their names. Raises: UnsupportedParameter with the path of the message."""
    writer = _Writer(family, model, dropped)
    turns = [turn for message in messages if (turn := writer.turn(message, messages[-1])) is not None]
    leading = next((at for at, turn in enumerate(turns) if turn.role != "system"), len(turns))
    system, rest = turns[:leading], turns[leading:]
    if not rest or rest[-1].role != "user":
        path = messages[-1].path if messages else "messages"
        raise unsupported(model, path, "answers a user's turn, and goes on with no other")
    names, told = family.names, dict(writer.files)
    instructions = _BETWEEN.join(turn.text for turn in system)
    has_slot = "system" in names
    if len(rest) == 1 and (has_slot or not system):
        told["prompt"] = rest[0].text
        if system:
            told[names["system"]] = instructions
        return told
    if "messages" in names and not writer.files:
        told[names["messages"]] = [{"role": turn.role, "content": turn.text} for turn in turns]
        return told
    dropped["messages.role"] = None
    if has_slot and system:
        told[names["system"]] = instructions
        turns = rest
    told["prompt"] = as_transcript((turn.role, turn.marked) for turn in turns)
    return told


class _Writer:
    def __init__(self, family: Family, model: Model, dropped: dict[str, None]) -> None:
        self._family, self._model, self._dropped = family, model, dropped
        self._images: list[str] = []
        self._audio: list[str] = []

    @property
    def files(self) -> dict[str, Any]:
        names, files = self._family.names, dict[str, Any]()
        if self._images:
            files[names["images"]] = self._images[0] if self._family.most_images == 1 else self._images
        if self._audio:
            files[names["audio"]] = self._audio[0]
        return files

    def turn(self, message: Message, last: Message) -> _Turn | None:
        """None for one that says nothing."""
        if message.role == "tool":
            raise unsupported(self._model, message.path, "takes no results of tools")
        if message.name is not None:
            self._dropped["messages.name"] = None
        texts, marked = list[str](), list[str]()
        for part in message.parts:
            said = self._text(part, message)
            if said is not None:
                texts.append(said)
                marked.append(said)
            elif (mark := self._mark(part, message)) is not None:
                marked.append(mark)
        if not _BETWEEN.join(marked).strip():
            leave_out(message, self._model, self._dropped, is_last=message is last)
            return None
        return _Turn(message.role, _BETWEEN.join(texts), _BETWEEN.join(marked))

    def _text(self, part: Part, message: Message) -> str | None:
        match part:
            case TextPart(text) | RefusalPart(text):
                return text
            case DocumentPart(text=str(text)) if message.role == "user":
                if part.title is not None:
                    self._dropped["messages.document_title"] = None
                return text
        return None

    def _mark(self, part: Part, message: Message) -> str | None:
        """Notes a file, and says what stands for it in a transcript."""
        match part:
            case ReasoningPart():
                self._dropped["messages.reasoning"] = None
                return None
            case ImagePart() if message.role == "user":
                return self._image(part, message)
            case AudioPart() if message.role == "user":
                return self._sound(part, message)
            case ToolCallPart():
                raise unsupported(self._model, message.path, "takes no calls of tools")
        kind = str(type(part).__struct_config__.tag).replace("_", " ")
        raise unsupported(self._model, message.path, f"takes no {kind} in a turn of the {message.role}")

    def _image(self, part: ImagePart, message: Message) -> str:
        most = self._family.most_images
        if "images" not in self._family.names:
            raise unsupported(self._model, message.path, "takes no images")
        if most is not None and len(self._images) == most:
            raise unsupported(self._model, message.path, f"takes at most {most} image{'s' * (most > 1)}")
        if part.detail is not None:
            self._dropped["messages.image_detail"] = None
        if part.data is not None:
            self._images.append(f"data:{part.media_type or 'application/octet-stream'};base64,{part.data}")
        else:
            self._images.append(part.url or "")
        return f"[image {len(self._images)}]"

    def _sound(self, part: AudioPart, message: Message) -> str:
        if "audio" not in self._family.names:
            raise unsupported(self._model, message.path, "takes no audio")
        if self._audio:
            raise unsupported(self._model, message.path, "takes at most one recording")
        self._audio.append(f"data:{part.media_type};base64,{part.data}")
        return "[audio]"
