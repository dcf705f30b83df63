"""Images of Mistral's: a conversation with one of its chat models, which has the tool `image_generation`; then the file that it made.

A conversation is one image, so several are several conversations. How the image is made is the tool's own affair: there is a prompt and
nothing else. The tokens that the tool itself takes (`connector_tokens`) are read by the model, and counted as what it reads.

Pictures to work from stand in the conversation beside the prompt. Whether the tool works from the picture itself, or from what the model
says of it, Mistral does not tell (unconfirmed).

Source: https://docs.mistral.ai/studio/agents/agent-tools/image_generation, /api/endpoint/beta/conversations, /api/endpoint/files and the
types of `mistralai` 3.7 (read 2026-11-24)
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.errors import UpstreamRefusedContent
from pulse_gateway.providers.compatible import MISTRAL
from pulse_gateway.providers.image_parts import check_images, made_of, only_bytes
from pulse_gateway.providers.looks import looked
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.picture_address import address_of
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.picture import image_type

__all__ = ["IMAGES", "MistralImages"]

_TOOL = "image_generation"
_LACKS = (
    "size", "aspect_ratio", "quality", "style", "output_format", "output_compression", "mask", "input_fidelity", "seed",
    "negative_prompt",
)  # fmt: skip
_INSTRUCTIONS = "Call the image generation tool exactly once, with what the user asks for in the user's own words, and answer with the image it made."


class _Chunk(msgspec.Struct):
    type: str = ""
    tool: str | None = None
    file_id: str | None = None


class _Entry(msgspec.Struct):
    type: str = ""
    content: str | list[_Chunk] | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    connector_tokens: int | None = None


class _Answer(msgspec.Struct):
    outputs: list[_Entry]
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class MistralImages:
    """An `Offer` of `images` and of `image_edits`."""

    dialect: str | None = None

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        dropped = check_images(request, deployment, lacks=_LACKS)
        only_bytes(request, deployment)
        return dropped

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        body = to_provider(
            {
                "model": call.deployment.model.name,
                "inputs": _inputs(request),
                "instructions": _INSTRUCTIONS,
                "tools": [{"type": _TOOL}],
                "store": False,
                "stream": False,
            }
        )
        tab, images = Tab(), list[MadeImage]()
        while len(images) < request.n:
            headers = (("content-type", "application/json"), *MISTRAL.headers(call))
            answer = yield from ask(HttpRequest("POST", MISTRAL.url(call.deployment, "/conversations"), headers, body))
            read = from_provider(_decode, answer.body)
            files = list(_files(read.outputs))
            yield tab.add(_counted(read.usage, len(files)))
            if not files:
                raise UpstreamRefusedContent("the model made no image: it answered in words")
            for file_id in files[: request.n - len(images)]:
                images.append((yield from _fetched(file_id, call)))
        return made_of(tuple(images), tab.usage)


def _inputs(request: ImageRequest) -> Any:
    """The prompt, or a turn of pictures and prompt. Raises: InvalidRequest."""
    if not request.images:
        return request.prompt
    pictures = [{"type": "image_url", "image_url": address_of(file)} for file in request.images]
    content = [*pictures, {"type": "text", "text": request.prompt}]
    return [{"object": "entry", "type": "message.input", "role": "user", "content": content}]


def _files(entries: list[_Entry]) -> Iterator[str]:
    """The ids of what the tool has made."""
    for entry in entries:
        if entry.type == "message.output" and isinstance(entry.content, list):
            for chunk in entry.content:
                if chunk.type == "tool_file" and chunk.tool in (_TOOL, None) and chunk.file_id:
                    yield chunk.file_id


def _counted(told: _Usage | None, images: int) -> Usage:
    if told is None or told.prompt_tokens is None:
        return Usage(images=images)
    return Usage(
        input_tokens=told.prompt_tokens + (told.connector_tokens or 0),
        output_tokens=told.completion_tokens,
        images=images,
    )


def _fetched(file_id: str, call: OfferCall) -> Steps[MadeImage]:
    url = MISTRAL.url(call.deployment, f"/files/{quote(file_id, safe='')}/content")
    headers = (("accept", "application/octet-stream"), *MISTRAL.headers(call))
    data = (yield from looked(HttpRequest("GET", url, headers))).body
    if (kind := image_type(data)) is None:  # whatever its head says
        raise not_of_protocol("it is no image")
    return MadeImage(data=base64.b64encode(data).decode(), media_type=kind)


IMAGES = MistralImages()
