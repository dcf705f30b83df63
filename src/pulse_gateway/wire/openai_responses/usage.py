"""Responses' usage object ⇄ disjoint token classes.

| ours                      | theirs                                                                                   |
| ------------------------- | ---------------------------------------------------------------------------------------- |
| `input_tokens`            | `input_tokens` − cached − cache writes: `input_tokens` includes both                      |
| `cached_input_tokens`     | `input_tokens_details.cached_tokens`                                                     |
| `cache_write_tokens`      | `…cache_write_tokens_details.ttl_30m_tokens`; without the split `…cache_write_tokens`     |
| `cache_write_long_tokens` | `…cache_write_tokens_details.ttl_12h_tokens`                                             |
| `output_tokens`           | `output_tokens` − reasoning                                                              |
| `reasoning_tokens`        | `output_tokens_details.reasoning_tokens`                                                 |

Source: `openai/types/responses/response_usage.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_responses.schema import UsageRecord
from pulse_gateway.wire.token_classes import without

__all__ = ["decode_usage", "encode_usage"]


def decode_usage(record: UsageRecord | None) -> Usage | None:
    """None when the vendor sent none, or an object without the two totals."""
    if record is None or (record.input_tokens is None and record.output_tokens is None):
        return None
    details, thinking = record.input_tokens_details, record.output_tokens_details
    cached = written = written_long = None
    if details is not None:
        cached, written = details.cached_tokens, details.cache_write_tokens
        if (split := details.cache_write_tokens_details) is not None:
            written, written_long = split.ttl_30m_tokens, split.ttl_12h_tokens
    reasoning = thinking.reasoning_tokens if thinking is not None else None
    return Usage(
        input_tokens=without(record.input_tokens, cached, written, written_long),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        cache_write_long_tokens=written_long,
        output_tokens=without(record.output_tokens, reasoning),
        reasoning_tokens=reasoning,
    )


def encode_usage(usage: Usage | None) -> dict[str, Any] | None:
    """The inclusive totals that OpenAI's clients expect. Its types want every class told: one that nobody counted is 0."""
    if usage is None:
        return None
    short, long = usage.cache_write_tokens or 0, usage.cache_write_long_tokens
    details: dict[str, Any] = {
        "cached_tokens": usage.cached_input_tokens or 0,
        "cache_write_tokens": short + (long or 0),
    }
    if long is not None:
        details["cache_write_tokens_details"] = {"ttl_30m_tokens": short, "ttl_12h_tokens": long}
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": details,
        "output_tokens": usage.output_total,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total,
    }
