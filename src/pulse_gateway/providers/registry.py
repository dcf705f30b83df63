"""Kind → provider, each imported on first use. Adding one is a line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from pulse_gateway.errors import ConfigError
from pulse_gateway.providers.provider import Provider

__all__ = ["KINDS", "provider"]

_COMPATIBLE = (
    "openai_compatible",
    "groq",
    "mistral",
    "deepseek",
    "xai",
    "together",
    "fireworks",
    "cerebras",
    "openrouter",
    "perplexity",
    "ollama",
    "vllm",
    "lmstudio",
)

KINDS = {
    "openai": "pulse_gateway.providers.openai:OPENAI",
    "anthropic": "pulse_gateway.providers.anthropic:ANTHROPIC",
    "google": "pulse_gateway.providers.google:GOOGLE",
    "azure": "pulse_gateway.providers.azure:AZURE",
    "vertex": "pulse_gateway.providers.vertex:VERTEX",
    "bedrock": "pulse_gateway.providers.bedrock:BEDROCK",
    "replicate": "pulse_gateway.providers.replicate:REPLICATE",
    "stability": "pulse_gateway.providers.stability:STABILITY",
    "echo": "pulse_gateway.providers.echo:ECHO",
    **{kind: f"pulse_gateway.providers.compatible:{kind.upper()}" for kind in _COMPATIBLE},
}


@cache
def provider(kind: str) -> Provider:
    """The one description of `kind`. `kind` may also be `package.module:NAME`, for providers kept outside this package.

    Raises: ConfigError for a kind that does not exist.
    """
    path = KINDS.get(kind) or (kind if ":" in kind else None)
    if path is None:
        raise ConfigError(f"unknown provider kind {kind!r}; known: {', '.join(KINDS)}, or package.module:NAME")
    module, _, name = path.partition(":")
    try:
        return cast("Provider", getattr(import_module(module), name))
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"provider kind {kind!r} cannot be loaded: {error}") from error
