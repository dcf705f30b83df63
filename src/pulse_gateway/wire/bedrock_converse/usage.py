"""Bedrock's token counts → `Usage`.

| Bedrock | Usage |
| --- | --- |
| `inputTokens` | `input_tokens` |
| `cacheReadInputTokens` | `cached_input_tokens` |
| `cacheDetails[ttl=1h].inputTokens` | `cache_write_long_tokens` |
| `cacheWriteInputTokens` less those | `cache_write_tokens` |
| `outputTokens` (thinking included, not told apart) | `output_tokens` |

Cached tokens stand beside `inputTokens`. Where `totalTokens` says that a model counts them in it, they are taken out.

Source: botocore 1.44, shape `TokenUsage`; https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = ["TokenUsage"]


class _CacheDetail(msgspec.Struct, frozen=True, rename="camel"):
    ttl: str | None = None
    input_tokens: int | None = None


class TokenUsage(msgspec.Struct, frozen=True, rename="camel"):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] | None = None

    def usage(self) -> Usage:
        long = [detail.input_tokens or 0 for detail in self.cache_details or () if detail.ttl == "1h"]
        written, written_long = self.cache_write_input_tokens, sum(long) if long else None
        return Usage(
            input_tokens=self._fresh(),
            cached_input_tokens=self.cache_read_input_tokens,
            cache_write_tokens=None if written is None else max(0, written - (written_long or 0)),
            cache_write_long_tokens=written_long,
            output_tokens=self.output_tokens,
        )

    def _fresh(self) -> int | None:
        cached = (self.cache_read_input_tokens or 0) + (self.cache_write_input_tokens or 0)
        if (
            self.input_tokens is None
            or not cached
            or self.total_tokens != self.input_tokens + (self.output_tokens or 0)
        ):
            return self.input_tokens
        return max(0, self.input_tokens - cached)
