"""The few things the gateway acts on, read from a request without decoding the rest.

What is not declared here is skipped at the speed of the parser: the bytes of an image are never copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.codec import MAX_COUNT, Envelope
from pulse_gateway.wire.foreign_json import from_client
from pulse_gateway.wire.gemini.fields import camel, given_twice, integer_of
from pulse_gateway.wire.gemini.results import outcome
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.prompt_texts import Text, read_later, unread_text

__all__ = ["ROLES", "read_envelope", "rewrite_request"]


ROLES = ("user", "model", "function")  # "function" is the old spelling of a user turn that holds results
_Count = int | float | str | None  # protobuf's JSON writes an integer in any of these ways


class _Blob(msgspec.Struct):
    """Inline bytes or a file: that it is there is enough."""


class _Result(msgspec.Struct):
    """What a tool answered; a model reads it as it reads texts."""

    response: dict[str, Any] | None = None
    parts: list[_Blob] | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    inline_data: _Blob | None = None
    inline_data_snake: _Blob | None = msgspec.field(default=None, name="inline_data")
    file_data: _Blob | None = None
    file_data_snake: _Blob | None = msgspec.field(default=None, name="file_data")
    function_response: _Result | None = None
    function_response_snake: _Result | None = msgspec.field(default=None, name="function_response")


class _UnreadPart(msgspec.Struct, rename="camel"):
    text: msgspec.Raw = msgspec.Raw(b"null")
    inline_data: _Blob | None = None
    inline_data_snake: _Blob | None = msgspec.field(default=None, name="inline_data")
    file_data: _Blob | None = None
    file_data_snake: _Blob | None = msgspec.field(default=None, name="file_data")
    function_response: _Result | None = None
    function_response_snake: _Result | None = msgspec.field(default=None, name="function_response")


_P = TypeVar("_P", _Part, _UnreadPart)


class _Content(msgspec.Struct, Generic[_P]):
    role: Literal["user", "model", "function", ""] | None = None
    parts: list[_P] | _P | None = None


class _GenerationConfig(msgspec.Struct, rename="camel"):
    max_output_tokens: _Count = None
    max_output_tokens_snake: _Count = msgspec.field(default=None, name="max_output_tokens")
    candidate_count: _Count = None
    candidate_count_snake: _Count = msgspec.field(default=None, name="candidate_count")
    stop_sequences: list[str] | None = None
    stop_sequences_snake: list[str] | None = msgspec.field(default=None, name="stop_sequences")


class _Request(msgspec.Struct, Generic[_P], rename="camel"):
    contents: list[_Content[_P]] | _Content[_P] | None = None
    system_instruction: _Content[_P] | None = None
    system_instruction_snake: _Content[_P] | None = msgspec.field(default=None, name="system_instruction")
    generation_config: _GenerationConfig | None = None
    generation_config_snake: _GenerationConfig | None = msgspec.field(default=None, name="generation_config")


_decode = msgspec.json.Decoder(_Request[_Part]).decode
_decode_unread = msgspec.json.Decoder(_Request[_UnreadPart]).decode
_WORDS = {".role": ", ".join(ROLES)}
_NO_CONFIG = _GenerationConfig()


def read_envelope(body: bytes, *, model: str | None = None, stream: bool | None = None) -> Envelope:
    """`model` and `stream` come from the path. What tools answered belongs to the text.

    Raises: InvalidRequest, `param` naming the path of the bad field.
    """
    if not model:
        raise InvalidRequest("the path names no model", param="model")
    decode: Callable[[bytes | msgspec.Raw], _Request[Any]] = _decode_unread if read_later(body) else _decode
    request = from_client(decode, body, words=_WORDS, spell=camel)
    contents = request.contents if isinstance(request.contents, list) else [request.contents]
    system = _either(request.system_instruction, request.system_instruction_snake, "systemInstruction")
    config = _either(request.generation_config, request.generation_config_snake, "generationConfig") or _NO_CONFIG
    _either(config.stop_sequences, config.stop_sequences_snake, "generationConfig.stopSequences")
    texts: list[Text] = []
    attachments = 0
    for place, content in enumerate((system, *contents), -1):
        if content is None or content.parts is None:
            continue
        parts = content.parts if isinstance(content.parts, list) else (content.parts,)
        for number, part in enumerate(parts):
            text = part.text
            if isinstance(text, msgspec.Raw):
                turn = "systemInstruction" if place < 0 else f"contents[{place}]"
                text = unread_text(text, f"{turn}.parts[{number}].text")
            if text:
                texts.append(text)
            if part.inline_data or part.inline_data_snake or part.file_data or part.file_data_snake:
                attachments += 1
            for result in (part.function_response, part.function_response_snake):
                if result is not None:
                    attachments += len(result.parts or ())
                    if result.response:
                        texts.append(outcome(result.response).text)
    if request.contents is None or not contents:
        raise InvalidRequest("contents: expected at least one content", param="contents")
    return Envelope(
        model=model,
        stream=bool(stream),
        texts=texts,
        attachments=attachments,
        max_output_tokens=_count(
            config.max_output_tokens, config.max_output_tokens_snake, "generationConfig.maxOutputTokens"
        ),
        n=_count(config.candidate_count, config.candidate_count_snake, "generationConfig.candidateCount") or 1,
        include_usage=True,
    )


def _either(one: Any, other: Any, path: str) -> Any:
    if one is not None and other is not None:
        raise given_twice(path)
    return other if one is None else one


def _count(one: Any, other: Any, path: str) -> int | None:
    value = _either(one, other, path)
    if value is None:
        return None
    count = integer_of(value)
    if count is None or not 1 <= count <= MAX_COUNT:
        raise InvalidRequest(f"{path}: expected an integer between 1 and {MAX_COUNT}", param=path)
    return count


def rewrite_request(body: bytes, *, model: str, show_usage: bool) -> bytes:
    """The body itself: the model is in the path, and usage is always sent.

    Raises: InvalidRequest when a top-level key occurs twice: the vendor might read the other one.
    """
    set_members(body)
    return body
