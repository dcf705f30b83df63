"""What Anthropic's models differ in, as far as a request can go wrong by it.

Source: https://platform.claude.com/docs/en/about-claude/models/overview, /build-with-claude/thinking and
/api/errors (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

__all__ = ["ANTHROPIC_FAMILY", "Traits", "traits_of"]

ANTHROPIC_FAMILY = ("claude",)
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """Names that are not Anthropic's, like `sim-…`, get these defaults, the most permissive."""

    thinking: frozenset[str] = frozenset({"enabled", "adaptive", "disabled", "between_tools"})
    always_thinks: bool = False
    omits_thinking: bool = False  # unless `display` says otherwise
    forced_tools: bool = True
    prefill: bool = True
    sampling: bool = True  # with the old API version
    efforts: frozenset[str] = _EFFORTS
    system_mid_conversation: bool = True  # with the new API version
    max_tokens: int = 128_000


def _always(forced_tools: bool) -> Traits:
    types = frozenset({"adaptive", "enabled"}) if forced_tools else frozenset({"adaptive"})
    return Traits(
        thinking=types,
        always_thinks=True,
        omits_thinking=True,
        forced_tools=forced_tools,
        prefill=False,
        sampling=False,
    )


_ADAPTIVE = Traits(thinking=frozenset({"adaptive", "enabled", "disabled"}), prefill=False, sampling=False)
_ADAPTIVE_5 = msgspec.structs.replace(_ADAPTIVE, omits_thinking=True)
_SONNET_5_5 = msgspec.structs.replace(
    _ADAPTIVE_5, thinking=frozenset({"adaptive", "between_tools"}), forced_tools=False
)
_4_7 = msgspec.structs.replace(_ADAPTIVE, system_mid_conversation=False)
_4_6 = msgspec.structs.replace(_4_7, sampling=True, efforts=_EFFORTS - {"xhigh"})
_BUDGET = Traits(
    thinking=frozenset({"enabled", "disabled"}),
    efforts=frozenset(),
    system_mid_conversation=False,
    max_tokens=64_000,
)
_OPUS_4_5 = msgspec.structs.replace(_BUDGET, efforts=frozenset({"low", "medium", "high"}))

# The longest prefix counts.
_MODELS: dict[str, Traits] = {
    "claude-": _ADAPTIVE_5,
    "claude-fable-5-1": _always(forced_tools=False),
    "claude-fable-5-2": _always(forced_tools=False),
    "claude-mythos-5-1": _always(forced_tools=False),
    "claude-mythos-5-2": _always(forced_tools=False),
    "claude-opus-5-5": _always(forced_tools=False),
    "claude-fable-5": _always(forced_tools=True),
    "claude-mythos-5": _always(forced_tools=True),
    "claude-sonnet-5-5": _SONNET_5_5,
    "claude-opus-4-8": _ADAPTIVE,
    "claude-opus-4-7": _4_7,
    "claude-opus-4-6": _4_6,
    "claude-sonnet-4-6": _4_6,
    "claude-opus-4-5": _OPUS_4_5,
    "claude-sonnet-4-5": _BUDGET,
    "claude-haiku-4-5": _BUDGET,
}
_PREFIXES = sorted(_MODELS, key=len, reverse=True)
_ANY = Traits()


def traits_of(model: str) -> Traits:
    for prefix in _PREFIXES:
        if model.startswith(prefix):
            return _MODELS[prefix]
    return _ANY
