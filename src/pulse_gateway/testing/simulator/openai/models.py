"""What OpenAI's models differ in, as far as a request can go wrong by it.

Source: https://developers.openai.com/api/docs/models and /guides/reasoning (read 2026-11-24)
"""

from __future__ import annotations

import re

import msgspec

__all__ = ["OPENAI_FAMILY", "Traits", "is_retired", "traits_of"]

OPENAI_FAMILY = ("gpt-", "chatgpt-", "o1", "o3", "o4")
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Shut down by 2026-11-24. Source: https://developers.openai.com/api/docs/deprecations and openai 3.54.0
_RETIRED = re.compile(
    r"gpt-3\.5-turbo.*|gpt-4|gpt-4-.*|gpt-4\.1-nano.*|gpt-4o-.*(search|audio)-preview.*|gpt-5\.1-codex.*"
    r"|(gpt-5.*|chatgpt-4o)-(chat-)?latest|o1|o1-.*|o3-(mini|deep-research).*|o4-mini.*|gpt-image-1|dall-e-.*|sora-2.*"
)


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """Names that are not OpenAI's, like `sim-…`, get the most permissive ones."""

    reasons: bool = False  # refuses max_tokens; counts reasoning tokens
    efforts: tuple[str, ...] = _EFFORTS
    default_effort: str = "none"
    takes_stop: bool = True
    tools_need_effort_none: bool = False
    tools_need_responses: bool = False
    strict_sampling: bool = False  # no temperature and the like while it reasons


def _range(least: str, most: str) -> tuple[str, ...]:
    return _EFFORTS[_EFFORTS.index(least) : _EFFORTS.index(most) + 1]


_MINIMAL_HIGH = _range("minimal", "high")
_NONE_HIGH = ("none", "low", "medium", "high")
_NONE_XHIGH = (*_NONE_HIGH, "xhigh")
_NONE_MAX = (*_NONE_XHIGH, "max")
_LOW_MAX = _range("low", "max")

# The longest prefix counts.
_MODELS: dict[str, Traits] = {
    "gpt-": Traits(efforts=()),
    "chatgpt-": Traits(efforts=()),
    "o1": Traits(reasons=True, efforts=_range("low", "high"), default_effort="medium", strict_sampling=True),
    "o3": Traits(
        reasons=True, efforts=_range("low", "high"), default_effort="medium", takes_stop=False, strict_sampling=True
    ),
    "o4": Traits(
        reasons=True, efforts=_range("low", "high"), default_effort="medium", takes_stop=False, strict_sampling=True
    ),
    "gpt-5": Traits(reasons=True, efforts=_MINIMAL_HIGH, default_effort="medium", strict_sampling=True),
    "gpt-5.1": Traits(reasons=True, efforts=_NONE_HIGH, strict_sampling=True),
    "gpt-5.2": Traits(reasons=True, efforts=_NONE_XHIGH, strict_sampling=True),
    "gpt-5.3-codex": Traits(reasons=True, default_effort="medium", tools_need_responses=True, strict_sampling=True),
    "gpt-5.4": Traits(reasons=True, efforts=_NONE_XHIGH, tools_need_effort_none=True, strict_sampling=True),
    "gpt-5.5": Traits(reasons=True, efforts=_NONE_XHIGH, tools_need_effort_none=True, strict_sampling=True),
    "gpt-5.5-pro": Traits(reasons=True, default_effort="medium", tools_need_responses=True, strict_sampling=True),
    "gpt-5.6": Traits(reasons=True, efforts=_NONE_MAX, tools_need_effort_none=True, strict_sampling=True),
    "gpt-6": Traits(
        reasons=True, efforts=_NONE_MAX, default_effort="medium", tools_need_effort_none=True, strict_sampling=True
    ),
    "gpt-6-astra": Traits(
        reasons=True, efforts=_LOW_MAX, default_effort="medium", tools_need_responses=True, strict_sampling=True
    ),
    "gpt-6.1-sol": Traits(
        reasons=True, efforts=_LOW_MAX, default_effort="medium", tools_need_responses=True, strict_sampling=True
    ),
}
_PREFIXES = sorted(_MODELS, key=len, reverse=True)
_ANY = Traits()


def traits_of(model: str) -> Traits:
    for prefix in _PREFIXES:
        if model.startswith(prefix):
            return _MODELS[prefix]
    return _ANY


def is_retired(model: str) -> bool:
    """Whether OpenAI served it once and no longer does."""
    return _RETIRED.fullmatch(model) is not None
