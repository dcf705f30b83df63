"""The dialect as one value."""

from __future__ import annotations

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import DocumentPart, ImagePart
from pulse_gateway.wire.codec import StreamDecoder
from pulse_gateway.wire.framing import SSE
from pulse_gateway.wire.replicate_predictions.reply import decode_reply
from pulse_gateway.wire.replicate_predictions.request import encode_request
from pulse_gateway.wire.replicate_predictions.stream import PredictionStreamDecoder

__all__ = ["ReplicatePredictionsCodec"]


class ReplicatePredictionsCodec:
    """`wire.codec.UpstreamCodec` of `replicate.predictions`. A request is the `input` of a prediction, an answer the prediction itself.

    Source: https://replicate.com/docs/reference/http and https://replicate.com/docs/topics/predictions/streaming (read 2026-11-24)
    """

    dialect: str = "replicate.predictions"
    framing = SSE

    encode_request = staticmethod(encode_request)
    decode_reply = staticmethod(decode_reply)

    def takes_url(self, part: ImagePart | DocumentPart, model: Model) -> bool:
        """Files are given by their addresses anyhow."""
        return True

    def decoder(self) -> StreamDecoder:
        return PredictionStreamDecoder()
