"""Whose model a Bedrock model is: `Converse` is one language, but what it has no member for is said in the model's own.

`anthropic.claude-…`, `us.anthropic.claude-…` (an inference profile) and `arn:aws:bedrock:…/us.anthropic.claude-…` are Anthropic's. An
ARN that ends in a number does not say whose it is.
"""

from __future__ import annotations

import re

from pulse_gateway.types.catalog import Model

__all__ = ["caches_on_demand", "is_claude", "is_cohere", "is_nova", "is_openai", "is_titan"]

_CLAUDE = re.compile(r"(?:^|[./])anthropic\.")
_NOVA = re.compile(r"(?:^|[./])amazon\.nova")
_TITAN = re.compile(r"(?:^|[./])amazon\.titan-embed-text")
_COHERE = re.compile(r"(?:^|[./])cohere\.")
_OPENAI = re.compile(r"(?:^|[./])openai\.")


def is_claude(model: Model) -> bool:
    return _CLAUDE.search(model.name) is not None


def is_nova(model: Model) -> bool:
    return _NOVA.search(model.name) is not None


def is_titan(model: Model) -> bool:
    """Of those that make vectors of texts."""
    return _TITAN.search(model.name) is not None


def is_cohere(model: Model) -> bool:
    return _COHERE.search(model.name) is not None


def is_openai(model: Model) -> bool:
    return _OPENAI.search(model.name) is not None


def caches_on_demand(model: Model) -> bool:
    """Whether it takes cache points. Source: docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html (read 2026-11-24)."""
    return is_claude(model) or is_nova(model)
