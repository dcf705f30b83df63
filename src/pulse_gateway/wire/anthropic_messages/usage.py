"""Anthropic's token counts ⇄ `Usage`.

| Anthropic | Usage |
| --- | --- |
| `input_tokens` (cached tokens not included) | `input_tokens` |
| `cache_read_input_tokens` | `cached_input_tokens` |
| `cache_creation.ephemeral_1h_input_tokens` | `cache_write_long_tokens` |
| `cache_creation_input_tokens` less those, else `cache_creation.ephemeral_5m_input_tokens` | `cache_write_tokens` |
| `output_tokens_details.thinking_tokens` | `reasoning_tokens` |
| `output_tokens` (thinking included) less those | `output_tokens` |
| `server_tool_use.web_search_requests` | `searches` |

Source: anthropic 2.12.0, types `Usage`, `MessageDeltaUsage`, `CacheCreation`, `OutputTokensDetails`, `ServerToolUsage` (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = ["WireUsage", "encode_usage"]


class CacheCreation(msgspec.Struct, frozen=True):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct, frozen=True):
    thinking_tokens: int | None = None


class ServerToolUse(msgspec.Struct, frozen=True):
    web_search_requests: int | None = None


class WireUsage(msgspec.Struct, frozen=True):
    """A `usage` object. Those of one stream are running totals, and a member that is absent or null says nothing new."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    server_tool_use: ServerToolUse | None = None

    def updated_by(self, later: WireUsage) -> WireUsage:
        news = {name: value for name in later.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **news)

    def usage(self) -> Usage:
        split = self.cache_creation or CacheCreation()
        written, written_long = self.cache_creation_input_tokens, split.ephemeral_1h_input_tokens
        thinking = self.output_tokens_details.thinking_tokens if self.output_tokens_details else None
        return Usage(
            input_tokens=self.input_tokens,
            cached_input_tokens=self.cache_read_input_tokens,
            cache_write_tokens=split.ephemeral_5m_input_tokens if written is None else _less(written, written_long),
            cache_write_long_tokens=written_long,
            output_tokens=None if self.output_tokens is None else _less(self.output_tokens, thinking),
            reasoning_tokens=thinking,
            searches=self.server_tool_use.web_search_requests if self.server_tool_use else None,
        )


def _less(total: int, part: int | None) -> int:
    return max(0, total - (part or 0))


def encode_usage(usage: Usage | None) -> dict[str, Any]:
    """The `usage` object of a reply. Its two required counts are 0 where unknown; the other members appear where known."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    counts: dict[str, Any] = {
        "input_tokens": sum(
            tokens or 0
            for tokens in (
                usage.input_tokens,
                usage.audio_input_tokens,
                usage.image_input_tokens,
                usage.video_input_tokens,
            )
        ),
        "output_tokens": usage.output_total,
    }
    if usage.cached_input_tokens is not None:
        counts["cache_read_input_tokens"] = usage.cached_input_tokens
    short, long = usage.cache_write_tokens, usage.cache_write_long_tokens
    if short is not None or long is not None:
        counts["cache_creation_input_tokens"] = (short or 0) + (long or 0)
        counts["cache_creation"] = {"ephemeral_5m_input_tokens": short or 0, "ephemeral_1h_input_tokens": long or 0}
    if usage.reasoning_tokens is not None:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.searches is not None:
        counts["server_tool_use"] = {"web_search_requests": usage.searches}
    return counts
