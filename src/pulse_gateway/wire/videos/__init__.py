"""Video jobs as clients know them."""

from pulse_gateway.wire.videos.openai import OpenAIVideosCodec

__all__ = ["OpenAIVideosCodec"]
