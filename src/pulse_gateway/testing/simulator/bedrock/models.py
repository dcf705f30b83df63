"""Bedrock's names for models, and what they differ in.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html and
/conversation-inference-supported-models-features.html (read 2026-11-24)
"""

from __future__ import annotations

import re

import msgspec

from pulse_gateway.testing.simulator.anthropic.models import Traits, traits_of

__all__ = ["BedrockModel", "bedrock_model"]

_ID = re.compile(
    r"arn:aws(?:-[^:]+)?:bedrock:[a-z0-9-]{1,20}:(?:\d{12})?:"
    r"(?:foundation-model|inference-profile|application-inference-profile|provisioned-model|imported-model|"
    r"custom-model-deployment|custom-model|default-prompt-router|prompt-router)/(?P<arn>[a-zA-Z0-9:./-]+)"
    r"|(?P<id>[a-zA-Z0-9:._-]+)"
)
_REGION = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca|sa|global)\.")
_VERSION = re.compile(r"(?:-\d{8})?(?:-v\d+)?(?::[\da-z]+)*$")
_UNPREFIXED = ("claude", "gpt-", "gemini", "o1", "o3", "o4")  # other vendors' names, without the maker in front
_FORCES_NO_TOOL = ("meta", "cohere", "deepseek", "ai21")  # `toolChoice` other than auto is refused
_MIXES_NO_BLOCKS = ("meta", "cohere", "ai21")  # text beside tool blocks is refused


class BedrockModel(msgspec.Struct, frozen=True, kw_only=True):
    maker: str  # `anthropic`, `amazon`, `meta` …; empty for names nobody knows
    name: str  # the maker's own, like `claude-opus-5-5`
    traits: Traits
    forces_tools: bool
    mixes_blocks: bool


def bedrock_model(model_id: str) -> BedrockModel | None:
    """None: it cannot be a model's id."""
    found = _ID.fullmatch(model_id)
    if found is None or model_id.startswith(_UNPREFIXED):
        return None
    name = _REGION.sub("", found.group("arn") or found.group("id"), count=1)
    maker, dot, rest = name.partition(".")
    if not dot:
        maker, rest = "", name
    if maker == "anthropic":
        rest = _VERSION.sub("", rest)
    traits = traits_of(rest if maker == "anthropic" else "")
    return BedrockModel(
        maker=maker,
        name=rest,
        traits=traits,
        forces_tools=maker not in _FORCES_NO_TOOL and traits.forced_tools,
        mixes_blocks=maker not in _MIXES_NO_BLOCKS,
    )
