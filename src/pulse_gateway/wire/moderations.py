"""The dialect `openai.moderations`: `POST /v1/moderations`.

What is judged is no prompt: it is neither reviewed by the gateway's own moderators, who would refuse just what somebody wants judged,
nor held as tokens, since judging is free.

Source: `openai/types/moderation_create_params.py` and `moderation.py` of openai 3.54.0 (read 2026-11-24).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pulse_gateway.errors import PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ImagePart, TextPart
from pulse_gateway.types.http import Payload
from pulse_gateway.types.moderations import ModerationReply, ModerationRequest, ModerationResult
from pulse_gateway.types.token_counts import NOTHING_USED
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.foreign_json import from_client, from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_chat.errors import encode_error, upstream_error
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.refusals import refuse_extra, unsupported
from pulse_gateway.wire.whole_answer import WholeAnswer, note

__all__ = ["OpenAIModerations"]

_DEFAULT_MODEL = "omni-moderation-latest"


class _Head(msgspec.Struct):
    input: str | Annotated[list[str | dict[str, Any]], Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1)] | None = None


class _Result(msgspec.Struct):
    flagged: bool
    categories: dict[str, Any]
    category_scores: dict[str, Any] = {}
    category_applied_input_types: dict[str, Any] | None = None


class _Answer(msgspec.Struct):
    results: list[_Result] | None = None
    id: str | None = None
    model: str | None = None


class _Seen(msgspec.Struct):
    results: msgspec.Raw = msgspec.Raw()


_head = msgspec.json.Decoder(_Head).decode
_any = msgspec.json.Decoder().decode
_answer = msgspec.json.Decoder(_Answer).decode
_seen = msgspec.json.Decoder(_Seen).decode


class OpenAIModerations(WholeAnswer):
    dialect = "openai.moderations"
    operation = "moderation"
    field_paths: FieldPaths = MappingProxyType({"model": ("model",), "input": ("input",)})

    # ── for clients ───────────────────────────────────────────────────────────────────────────────────────────────────

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        head = from_client(_head, body.data)
        name = model or head.model or _DEFAULT_MODEL
        return Envelope(model=name, stream=False, max_output_tokens=0, expected=NOTHING_USED)

    def decode_request(
        self, body: Payload, *, model: str | None = None, stream: bool | None = None
    ) -> ModerationRequest:
        name = self.read_envelope(body, model=model).model
        members = Members(from_client(_any, body.data))
        members.take("model")
        judged = _input(members)
        extra, _ = members.leftovers()
        return ModerationRequest(model=name, input=judged, extra=extra)

    def encode_reply(self, reply: ModerationReply, request: ModerationRequest) -> Payload:
        results = [_said(result) for result in reply.results]
        body = {"id": reply.id, "model": reply.model or request.model, "results": results}
        return Payload(msgspec.json.encode(body))

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return encode_error(error, request_id)

    # ── for vendors ───────────────────────────────────────────────────────────────────────────────────────────────────

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        return Payload(set_members(body.data, model=model), body.content_type)

    def encode_request(self, request: ModerationRequest, model: Model) -> EncodedPayload:
        refuse_extra(request.extra, model)
        if (texts := texts_of(request)) is not None:
            written: Any = texts
        elif len(request.input) == 1:
            written = [_part(part) for part in request.input[0]]
        else:
            raise unsupported(model, "input", "judges one thing at a time when there are images in it")
        return EncodedPayload(Payload(to_provider({"model": model.name, "input": written})))

    def decode_reply(self, answer: Payload, request: ModerationRequest) -> ModerationReply:
        read = from_provider(_answer, answer.data)
        if read.results is None:
            raise upstream_error(200, (), answer.data)
        if len(read.results) != len(request.input):
            raise not_of_protocol(f"{len(read.results)} results for {len(request.input)} inputs")
        return ModerationReply(
            id=read.id or "",
            model=read.model or "",
            results=tuple(_result(result) for result in read.results),
            usage=NOTHING_USED,
        )

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        if not from_provider(_seen, answer.data).results:
            raise upstream_error(200, (), answer.data)
        note(reading, NOTHING_USED)


def texts_of(request: ModerationRequest) -> list[str] | None:
    """What is judged, where each of it is one text."""
    texts = [part.text for parts in request.input for part in parts if isinstance(part, TextPart)]
    return texts if all(len(parts) == 1 for parts in request.input) and len(texts) == len(request.input) else None


def _input(members: Members) -> tuple[tuple[TextPart | ImagePart, ...], ...]:
    """A text, several, or the parts of one thing. Raises: InvalidRequest."""
    written = members.peek("input")
    if isinstance(written, str):
        return ((TextPart(members.need_text("input")),),)
    if isinstance(written[0], str):
        return tuple((TextPart(text),) for text in members.strings("input"))
    return (tuple(part for child in members.children("input") if (part := _read_part(child)) is not None),)


def _read_part(part: Members) -> TextPart | ImagePart | None:
    """None for a kind that this has never heard of: it is left over."""
    match part.need_text("type"):
        case "text":
            return TextPart(part.need_text("text"))
        case "image_url":
            return ImagePart(url=part.need_child("image_url").need_text("url"))
        case _:
            part.leave()
            return None


def _part(part: TextPart | ImagePart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": part.url}}


def _result(result: _Result) -> ModerationResult:
    """Categories that a model does not judge may be null."""
    kinds = result.category_applied_input_types
    return ModerationResult(
        flagged=result.flagged,
        categories={name: value for name, value in result.categories.items() if isinstance(value, bool)},
        scores={
            name: float(value)
            for name, value in result.category_scores.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        },
        input_types=None
        if kinds is None
        else {name: tuple(value) for name, value in kinds.items() if isinstance(value, list)},
    )


def _said(result: ModerationResult) -> dict[str, Any]:
    said: dict[str, Any] = {
        "flagged": result.flagged,
        "categories": result.categories,
        "category_scores": result.scores,
    }
    said["category_applied_input_types"] = result.input_types or {name: ["text"] for name in result.categories}
    return said
