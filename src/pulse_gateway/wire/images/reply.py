"""What a vendor made: the images object and its stream of events ⇄ the neutral form.

| ours                  | theirs                                                                              |
| --------------------- | ----------------------------------------------------------------------------------- |
| `input_tokens`        | `input_tokens_details.text_tokens`, else `input_tokens`                             |
| `image_input_tokens`  | `input_tokens_details.image_tokens`                                                 |
| `output_tokens`       | `output_tokens_details.text_tokens`, else 0: what is written is pixels              |
| `image_output_tokens` | `output_tokens` − the former                                                        |
| `images`              | how many there are                                                                  |

Vendors that sell by the image send no `usage`; then the images alone are counted.

Source: `images_response.py`, `image_gen_completed_event.py`, `image_edit_completed_event.py` of openai 3.54.0 (read 2026-11-24).
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Raw

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.types.chat import FinishReason
from pulse_gateway.types.events import Ended, Event, Finished, UsageReported
from pulse_gateway.types.http import Payload
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage, image_variant
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_answers import WatchedEvents, counted, holding
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import encode_event
from pulse_gateway.wire.told_cost import ToldCost, told_nano_usd

__all__ = ["ImageEvents", "decode_reply", "encode_events", "encode_reply", "read_reply"]


class _InputDetails(msgspec.Struct):
    text_tokens: int | None = None
    image_tokens: int | None = None


class _Usage(ToldCost):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _InputDetails | None = None


class _Image(msgspec.Struct):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Answer(msgspec.Struct):
    created: float | None = None
    data: list[_Image] | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    usage: _Usage | None = None


class _Seen(msgspec.Struct):
    """What settling needs, of an answer that goes on untouched."""

    data: list[Raw] | None = None
    size: Any = None
    quality: Any = None
    usage: Raw = Raw()


class _Event(msgspec.Struct):
    type: str = ""
    size: Any = None
    quality: Any = None
    usage: Raw = Raw()
    error: Any = None


_answer = msgspec.json.Decoder(_Answer).decode
_seen = msgspec.json.Decoder(_Seen).decode
_counts = msgspec.json.Decoder(_Usage | None).decode
_event = msgspec.json.Decoder(_Event).decode
_NONE = _InputDetails()
_ENTRY_BYTES = 4096  # of an entry that may be without one


def decode_reply(answer: Payload) -> ImageReply:
    """Raises: UpstreamProtocolError; UpstreamError for an error object sent with status 200."""
    read = from_provider(_answer, answer.data)
    found = holding("images", read.data, answer.data)
    kind = None if read.output_format is None else f"image/{read.output_format}"
    images = tuple(
        MadeImage(data=each.b64_json, url=each.url, media_type=kind, revised_prompt=each.revised_prompt)
        for each in found
    )
    if any(each.data is None and each.url is None for each in images):
        raise not_of_protocol("an image without bytes or an address")
    return ImageReply(
        images=images,
        usage=_usage(read.usage, len(images), read.size, read.quality),
        created=None if read.created is None else int(read.created),
        size=read.size,
        quality=read.quality,
        background=read.background,
        output_format=read.output_format,
        cost_nano_usd=told_nano_usd(read.usage),
    )


def read_reply(answer: Payload, reading: Reading) -> None:
    read = from_provider(_seen, answer.data)
    found = holding("images", read.data, answer.data)
    reading.started = reading.ended = True
    reading.usage, reading.told_nano_usd = _seen_usage(read, sum(map(_is_made, found)))
    reading.usage_is_final = True


def _is_made(image: Raw) -> bool:
    """Of what xAI's filter held back there is an entry without a picture. Long ones hold one, and are not looked through."""
    if memoryview(image).nbytes > _ENTRY_BYTES:
        return True
    written = bytes(image)
    return b'"url"' in written or b'"b64_json"' in written


def _seen_usage(seen: _Seen | _Event, images: int) -> tuple[Usage, int | None]:
    """What was used, and what the vendor says that it costs."""
    size, quality = (word if isinstance(word, str) else None for word in (seen.size, seen.quality))
    counts = counted(_counts, seen.usage)
    return _usage(counts, images, size, quality), told_nano_usd(counts)


def _usage(counts: _Usage | None, images: int, size: str | None, quality: str | None) -> Usage:
    variant = image_variant(size, quality)
    if counts is None or (counts.input_tokens is None and counts.output_tokens is None):
        return Usage(images=images, variant=variant)
    read, written = counts.input_tokens_details or _NONE, counts.output_tokens_details or _NONE
    text = counts.input_tokens
    if text is not None:
        text = max(0, text - (read.image_tokens or 0)) if read.text_tokens is None else read.text_tokens
    output = counts.output_tokens
    return Usage(
        input_tokens=text,
        image_input_tokens=read.image_tokens,
        output_tokens=None if output is None else written.text_tokens or 0,
        image_output_tokens=None if output is None else max(0, output - (written.text_tokens or 0)),
        images=images,
        variant=variant,
    )


def encode_reply(reply: ImageReply, request: ImageRequest) -> Payload:
    data = []
    for image in reply.images:
        written = {"b64_json": image.data, "url": image.url, "revised_prompt": image.revised_prompt}
        data.append({name: value for name, value in written.items() if value is not None})
    body: dict[str, Any] = {
        "created": int(time.time()) if reply.created is None else reply.created,
        "data": data,
        **_details(reply),
        "usage": _written_usage(reply.usage),
    }
    return Payload(msgspec.json.encode({name: value for name, value in body.items() if value is not None}))


def encode_events(reply: ImageReply, request: ImageRequest, prefix: str) -> Payload:
    """A `completed` event each; the usage stands in the last one.

    Raises: UpstreamProtocolError for an image of which only the address is known: events hold bytes.
    """
    frames: list[bytes] = []
    created = int(time.time()) if reply.created is None else reply.created
    for place, image in enumerate(reply.images, 1):
        if image.data is None:
            raise UpstreamProtocolError("an image that is only an address cannot be streamed")
        usage = _written_usage(reply.usage) if place == len(reply.images) else None
        details = {"size": "auto", "quality": "auto", "background": "auto", "output_format": "png", **_details(reply)}
        event = {"type": f"{prefix}.completed", "b64_json": image.data, "created_at": created, **details}
        if usage is not None:
            event["usage"] = usage
        frames.append(encode_event(msgspec.json.encode(event), f"{prefix}.completed"))
    return Payload(b"".join(frames), "text/event-stream; charset=utf-8")


def _details(reply: ImageReply) -> dict[str, str]:
    kind = next((image.media_type for image in reply.images if image.media_type), None)
    described = {
        "size": reply.size,
        "quality": reply.quality,
        "background": reply.background,
        "output_format": reply.output_format or (kind.removeprefix("image/") if kind else None),
    }
    return {name: value for name, value in described.items() if value is not None}


def _written_usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None or (not usage.says_input and not usage.output_total):
        return None
    images_in, images_out = usage.image_input_tokens or 0, usage.image_output_tokens or 0
    return {
        "input_tokens": usage.input_total,
        "output_tokens": usage.output_total,
        "total_tokens": usage.total,
        "input_tokens_details": {"text_tokens": usage.input_total - images_in, "image_tokens": images_in},
        "output_tokens_details": {"text_tokens": usage.output_total - images_out, "image_tokens": images_out},
    }


class ImageEvents(WatchedEvents[_Event]):
    """It has no terminal frame: it is whole when it ends after a `completed` event."""

    read = staticmethod(_event)

    def __init__(self) -> None:
        self._images = 0

    def told(self, event: _Event, /) -> list[Event]:
        if not event.type.endswith(".completed"):
            return []
        self._images += 1
        return [Finished(FinishReason.STOP), UsageReported(*_seen_usage(event, self._images))]

    def finish(self) -> list[Event]:
        return [Ended()] if self._images else []
