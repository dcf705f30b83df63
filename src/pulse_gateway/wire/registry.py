"""Dialect → codec, each imported on first use. Adding one is a line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from pulse_gateway.wire.codec import Codec
from pulse_gateway.wire.operation import OperationCodec

__all__ = ["DIALECTS", "OPERATIONS", "codec", "face", "operation_codec"]

DIALECTS = {
    "openai.chat": "pulse_gateway.wire.openai_chat:OpenAIChatCodec",
    "anthropic.messages": "pulse_gateway.wire.anthropic_messages:AnthropicMessagesCodec",
    "gemini": "pulse_gateway.wire.gemini:GeminiCodec",
}
"""Of chat."""

OPERATIONS: dict[str, str] = {}
"""Of everything else."""


@cache
def codec(dialect: str) -> Codec:
    """The one codec of `dialect`.

    Raises: KeyError for a dialect nobody speaks.
    """
    module, _, name = DIALECTS[dialect].partition(":")
    return cast("Codec", getattr(import_module(module), name)())


@cache
def operation_codec(dialect: str) -> OperationCodec:
    """The one codec of `dialect`.

    Raises: KeyError for a dialect nobody speaks.
    """
    module, _, name = OPERATIONS[dialect].partition(":")
    return cast("OperationCodec", getattr(import_module(module), name)())


def face(dialect: str) -> Codec | OperationCodec:
    """The codec of `dialect`, whatever it is for: how a client is read and answered.

    Raises: KeyError for a dialect nobody speaks.
    """
    return codec(dialect) if dialect in DIALECTS else operation_codec(dialect)
