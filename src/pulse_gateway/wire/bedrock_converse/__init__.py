"""Amazon Bedrock's `Converse` and `ConverseStream`. Only vendors speak it to us."""

from pulse_gateway.wire.bedrock_converse.codec import BedrockConverseCodec

__all__ = ["BedrockConverseCodec"]
