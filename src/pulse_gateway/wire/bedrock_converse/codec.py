"""The dialect as one value."""

from __future__ import annotations

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import DocumentPart, ImagePart
from pulse_gateway.wire.bedrock_converse.reply import decode_reply
from pulse_gateway.wire.bedrock_converse.request import encode_request
from pulse_gateway.wire.bedrock_converse.stream import ConverseStreamDecoder
from pulse_gateway.wire.codec import StreamDecoder
from pulse_gateway.wire.eventstream import EVENT_STREAM

__all__ = ["BedrockConverseCodec"]


class BedrockConverseCodec:
    """`wire.codec.UpstreamCodec` of `bedrock.converse`.

    Source: botocore 1.44, the model of `bedrock-runtime` 2023-09-30;
    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11-24)
    """

    dialect: str = "bedrock.converse"
    framing = EVENT_STREAM

    encode_request = staticmethod(encode_request)
    decode_reply = staticmethod(decode_reply)

    def takes_url(self, part: ImagePart | DocumentPart, model: Model) -> bool:
        """It reads from S3 and from the request, never from the web."""
        return False

    def decoder(self) -> StreamDecoder:
        return ConverseStreamDecoder()
