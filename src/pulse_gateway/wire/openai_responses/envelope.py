"""What the gateway reads of a request, and the one thing it changes, while every other byte stays the client's own."""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.json_splice import read_members, splice
from pulse_gateway.wire.openai_responses.schema import (
    ROLES,
    AnyObject,
    ItemHead,
    PartHead,
    UnreadPartHead,
    decode_request_head,
)
from pulse_gateway.wire.prompt_texts import Text, unread_text

__all__ = ["read_envelope", "rewrite_request"]

_ATTACHMENTS = frozenset({"input_image", "input_file", "input_audio"})
_TEXTS = frozenset({"input_text", "output_text"})


def read_envelope(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Envelope:
    """Check the essentials in one decode and read what the gateway acts on.

    `model` and `stream`, where the path of a route has them, win over the body.
    Raises: InvalidRequest, `param` naming the path of the bad member; UnsupportedParameter for `background`.
    """
    head = decode_request_head(body)
    name = model or head.model
    if not name:
        raise InvalidRequest("model: is required", param="model")
    if head.background:
        # The answer could be fetched only past the gateway, and nobody would account for it.
        raise UnsupportedParameter("background: answers are not made in the background here", param="background")
    prompt = _PromptText()
    if head.instructions:
        prompt.texts.append(head.instructions)
    if head.prompt is not None:
        for variable in (head.prompt.variables or {}).values():
            prompt.add(variable if isinstance(variable, str) else [variable], "prompt.variables")
    if isinstance(head.input, str):
        prompt.texts.append(head.input)
    elif head.input:
        for position, item in enumerate(head.input):
            kind, content, output = item.type, item.content, item.output
            if kind is None or kind == "message":
                _check_message(item, position)
            if isinstance(content, str):
                prompt.texts.append(content)
            elif content is not None:
                prompt.add(content, f"input[{position}].content")
            if output is not None:
                prompt.add(output, f"input[{position}].output")
    elif head.previous_response_id is None and head.conversation is None and head.prompt is None:
        raise InvalidRequest("input: is required", param="input")
    return Envelope(
        model=name,
        stream=bool(head.stream) if stream is None else stream,
        texts=prompt.texts,
        attachments=prompt.attachments,
        max_output_tokens=head.max_output_tokens,
    )


class _PromptText:
    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.attachments = 0

    def add(self, content: str | list[PartHead | UnreadPartHead] | AnyObject | None, path: str) -> None:
        if isinstance(content, str):
            self.texts.append(content)
            return
        for place, part in enumerate(content if isinstance(content, list) else ()):
            text = part.text
            if isinstance(text, msgspec.Raw):
                text = unread_text(text, f"{path}[{place}].text")
            if text is not None:
                self.texts.append(text)
            elif part.type in _TEXTS:
                where = f"{path}[{place}].text"
                raise InvalidRequest(f"{where}: is required", param=where)
            elif part.refusal is not None:
                self.texts.append(part.refusal)
            elif part.type in _ATTACHMENTS:
                self.attachments += 1


def _check_message(item: ItemHead[Any], position: int) -> None:
    path = None
    if item.type is None and item.role is None:
        path, complaint = "type", "is required"
    elif item.role not in ROLES:
        path, complaint = "role", f"is none of {', '.join(ROLES)}"
    elif not isinstance(item.content, str | list):
        path, complaint = "content", "expected a string or a list of parts"
    if path is not None:
        where = f"input[{position}].{path}"
        raise InvalidRequest(f"{where}: {complaint}", param=where)


_model_name = msgspec.json.Decoder(str | None).decode


def rewrite_request(body: bytes, *, model: str, show_usage: bool) -> bytes:
    """`body` for `model`; `body` itself if it names that already. A stream of this dialect shows its usage unasked.

    Takes a body that `read_envelope` has checked.
    Raises: InvalidRequest when a top-level key occurs twice: the vendor might read the other one.
    """
    members = read_members(body)
    written = members.get("model")
    named = written is not None and _model_name(written) == model
    return splice(body, members, {} if named else {"model": model})
