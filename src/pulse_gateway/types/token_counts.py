"""How many tokens a chat's prompt is. The request is a `ChatRequest`."""

from __future__ import annotations

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = ["NOTHING_USED", "TokenCount"]

NOTHING_USED = Usage(input_tokens=0, output_tokens=0)


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """`cached_tokens` are those of `input_tokens` that stand in a cache. `estimated`: counted here, since the vendor does not count.

    Counting is free with every vendor: `usage` is zero.
    """

    input_tokens: int
    cached_tokens: int | None = None
    estimated: bool = False
    usage: Usage = NOTHING_USED
