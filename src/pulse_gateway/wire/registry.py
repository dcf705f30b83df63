"""Dialect → codec, each imported on first use. Adding one is a line here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import cast

from pulse_gateway.types.http import Headers
from pulse_gateway.wire.codec import Codec, UpstreamCodec
from pulse_gateway.wire.operation import OperationCodec, OperationFace

__all__ = [
    "DIALECTS", "OPERATIONS", "UPSTREAM_DIALECTS", "VERSIONED", "codec", "face", "operation_codec", "upstream_codec", "version_check",
]  # fmt: skip

DIALECTS = {
    "openai.chat": "pulse_gateway.wire.openai_chat:OpenAIChatCodec",
    "openai.responses": "pulse_gateway.wire.openai_responses:OpenAIResponsesCodec",
    "anthropic.messages": "pulse_gateway.wire.anthropic_messages:AnthropicMessagesCodec",
    "gemini": "pulse_gateway.wire.gemini:GeminiCodec",
}
"""Of chat, for clients and vendors."""

UPSTREAM_DIALECTS = {
    "openai.chat.aloud": "pulse_gateway.wire.openai_chat.aloud:AloudChatCodec",
    "bedrock.converse": "pulse_gateway.wire.bedrock_converse:BedrockConverseCodec",
    "replicate.predictions": "pulse_gateway.wire.replicate_predictions:ReplicatePredictionsCodec",
}
"""Of chat, for vendors alone: no client speaks them to us. One reads the answers of a vendor's Chat Completions otherwise than our clients do."""

OPERATIONS: dict[str, str] = {
    "openai.images.generations": "pulse_gateway.wire.images:ImageGenerations",
    "openai.images.edits": "pulse_gateway.wire.images:ImageEdits",
    "openai.speech": "pulse_gateway.wire.audio:Speech",
    "openai.transcriptions": "pulse_gateway.wire.audio:Transcriptions",
    "openai.translations": "pulse_gateway.wire.audio:Translations",
    "openai.embeddings": "pulse_gateway.wire.embeddings.openai:OpenAIEmbeddings",
    "gemini.embed_content": "pulse_gateway.wire.embeddings.gemini:GeminiEmbedContent",
    "gemini.batch_embed_contents": "pulse_gateway.wire.embeddings.gemini:GeminiBatchEmbedContents",
    "openai.moderations": "pulse_gateway.wire.moderations:OpenAIModerations",
    "cohere.rerank": "pulse_gateway.wire.rerank:CohereRerank",
    "anthropic.count_tokens": "pulse_gateway.wire.token_counts.anthropic:AnthropicCountTokens",
    "gemini.count_tokens": "pulse_gateway.wire.token_counts.gemini:GeminiCountTokens",
    "openai.responses.input_tokens": "pulse_gateway.wire.token_counts.responses:ResponsesInputTokens",
    "openai.videos": "pulse_gateway.wire.videos:OpenAIVideosCodec",
}
"""Of everything else. `openai.videos` is for clients alone."""

VERSIONED = {
    "anthropic.messages": "pulse_gateway.wire.anthropic_messages.versions:check_version",
    "anthropic.count_tokens": "pulse_gateway.wire.anthropic_messages.versions:check_version",
}
"""Dialects of which a client's headers name the version: what refuses the wrong ones, and what they do not have."""


@cache
def codec(dialect: str) -> Codec:
    """The one codec of `dialect`, which clients speak.

    Raises: KeyError for a dialect nobody speaks.
    """
    module, _, name = DIALECTS[dialect].partition(":")
    return cast("Codec", getattr(import_module(module), name)())


@cache
def upstream_codec(dialect: str) -> UpstreamCodec:
    """The one codec of `dialect`, which a vendor speaks.

    Raises: KeyError for a dialect nobody speaks.
    """
    if dialect in DIALECTS:
        return codec(dialect)
    module, _, name = UPSTREAM_DIALECTS[dialect].partition(":")
    return cast("UpstreamCodec", getattr(import_module(module), name)())


@cache
def version_check(dialect: str | None) -> Callable[[Headers, bytes], None] | None:
    """None: there are no versions of it."""
    if dialect not in VERSIONED:
        return None
    module, _, name = VERSIONED[dialect].partition(":")
    return cast("Callable[[Headers, bytes], None]", getattr(import_module(module), name))


@cache
def operation_codec(dialect: str) -> OperationCodec:
    """The one codec of `dialect`.

    Raises: KeyError for a dialect nobody speaks.
    """
    module, _, name = OPERATIONS[dialect].partition(":")
    return cast("OperationCodec", getattr(import_module(module), name)())


def face(dialect: str) -> Codec | OperationFace:
    """The codec of `dialect`, whatever it is for: how a client is read and answered.

    Raises: KeyError for a dialect nobody speaks.
    """
    return codec(dialect) if dialect in DIALECTS else operation_codec(dialect)
