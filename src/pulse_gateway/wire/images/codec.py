"""The dialects `openai.images.generations` and `openai.images.edits`."""

from __future__ import annotations

from pulse_gateway.errors import PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.http import Payload
from pulse_gateway.types.images import ImageReply, ImageRequest
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import Envelope, StreamDecoder
from pulse_gateway.wire.images import reply as replies
from pulse_gateway.wire.images import request as requests
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.multipart import is_form, set_field
from pulse_gateway.wire.openai_chat.errors import encode_error
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import encode_event

__all__ = ["ImageEdits", "ImageGenerations"]


class ImageGenerations:
    """Images from a text."""

    dialect = "openai.images.generations"
    operation = "images"
    keep_alive: bytes | None = b": keep-alive\n\n"
    field_paths: FieldPaths = requests.FIELD_PATHS
    _edits = False
    _event = "image_generation"

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        return requests.read_envelope(body, edits=self._edits)

    def decode_request(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> ImageRequest:
        return requests.decode_request(body, edits=self._edits)

    def encode_reply(self, reply: ImageReply, request: ImageRequest) -> Payload:
        return replies.encode_reply(reply, request)

    def encode_stream(self, reply: ImageReply, request: ImageRequest) -> Payload:
        return replies.encode_events(reply, request, self._event)

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return encode_error(error, request_id)

    def stream_error(self, error: PulseError, request_id: str) -> bytes | None:
        return encode_event(encode_error(error, request_id), "error")

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        if is_form(body.content_type):
            return set_field(body, "model", model)
        return Payload(set_members(body.data, model=model), body.content_type)

    def encode_request(self, request: ImageRequest, model: Model) -> EncodedPayload:
        dropped = () if request.partial_images is None else ("partial_images",)
        return EncodedPayload(requests.encode_json(request, model.name), dropped)

    def decode_reply(self, answer: Payload, request: ImageRequest) -> ImageReply:
        return replies.decode_reply(answer)

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        replies.read_reply(answer, reading)

    def decoder(self) -> StreamDecoder:
        return replies.ImageEvents()


class ImageEdits(ImageGenerations):
    """Images from images and a text."""

    dialect = "openai.images.edits"
    operation = "image_edits"
    _edits = True
    _event = "image_edit"

    def encode_request(self, request: ImageRequest, model: Model) -> EncodedPayload:
        dropped = () if request.partial_images is None else ("partial_images",)
        return EncodedPayload(requests.encode_form(request, model.name), dropped)
