"""Chat Completions' usage object ⇄ disjoint token classes.

| ours                   | theirs                                                                                    |
| ---------------------- | ----------------------------------------------------------------------------------------- |
| `input_tokens`         | `prompt_tokens` − cached − cache writes − audio − image: `prompt_tokens` includes them all |
| `cached_input_tokens`  | `prompt_tokens_details.cached_tokens`; DeepSeek: `prompt_cache_hit_tokens`                 |
| `cache_write_tokens`   | `prompt_tokens_details.cache_write_tokens` (chat does not tell 30-minute from 12-hour ones) |
| `audio_input_tokens`   | `prompt_tokens_details.audio_tokens`, as far as they are not cached                       |
| `image_input_tokens`   | `prompt_tokens_details.image_tokens`, as far as they are not cached                       |
| `output_tokens`        | `completion_tokens` − reasoning − audio − image; rejected predictions stay in, they are billed |
| `reasoning_tokens`     | `completion_tokens_details.reasoning_tokens`                                              |
| `audio_output_tokens`  | `completion_tokens_details.audio_tokens`                                                  |
| `image_output_tokens`  | `completion_tokens_details.image_tokens`                                                  |

xAI counts reasoning beside `completion_tokens`, not in it; its `total_tokens` gives that away.

Source: `openai/types/completion_usage.py` of the `openai` SDK 3.54.0, https://api-docs.deepseek.com/api/create-chat-completion,
https://docs.x.ai/docs/guides/reasoning (read 2026-11-24).
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_chat.schema import CompletionTokensDetails, PromptTokensDetails, UsageRecord
from pulse_gateway.wire.token_classes import apart, without

__all__ = ["decode_usage", "encode_usage"]

_NO_PROMPT_DETAILS = PromptTokensDetails()
_NO_COMPLETION_DETAILS = CompletionTokensDetails()


def decode_usage(record: UsageRecord | None) -> Usage | None:
    """None when the vendor sent none, or an object without the two totals."""
    if record is None or (record.prompt_tokens is None and record.completion_tokens is None):
        return None
    prompt = record.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion = record.completion_tokens_details or _NO_COMPLETION_DETAILS
    cached = record.prompt_cache_hit_tokens if prompt.cached_tokens is None else prompt.cached_tokens
    reasoning = completion.reasoning_tokens
    inside_completion = None if reasoning and _reasoning_stands_apart(record, reasoning) else reasoning
    fresh = without(record.prompt_tokens, cached, prompt.cache_write_tokens)
    audio_in, image_in = prompt.audio_tokens, prompt.image_tokens
    if audio_in or image_in:  # nearly always there is nothing to take apart
        fresh, audio_in, image_in = apart(fresh, audio_in, image_in)
    visible = without(record.completion_tokens, inside_completion)
    audio_out, image_out = completion.audio_tokens, completion.image_tokens
    if audio_out or image_out:
        visible, audio_out, image_out = apart(visible, audio_out, image_out)
    return Usage(
        input_tokens=fresh,
        cached_input_tokens=cached,
        cache_write_tokens=prompt.cache_write_tokens,
        audio_input_tokens=audio_in,
        image_input_tokens=image_in,
        output_tokens=visible,
        reasoning_tokens=reasoning,
        audio_output_tokens=audio_out,
        image_output_tokens=image_out,
    )


def _reasoning_stands_apart(record: UsageRecord, reasoning: int) -> bool:
    if record.total_tokens is None:
        return False
    return record.total_tokens == (record.prompt_tokens or 0) + (record.completion_tokens or 0) + reasoning


def encode_usage(usage: Usage) -> dict[str, Any]:
    """The inclusive totals that OpenAI's clients expect; a class nobody counted is left out of the details."""
    written = (usage.cache_write_tokens, usage.cache_write_long_tokens)
    prompt = {
        "cached_tokens": usage.cached_input_tokens,
        "cache_write_tokens": None if written == (None, None) else sum(tokens or 0 for tokens in written),
        "audio_tokens": usage.audio_input_tokens,
        "image_tokens": usage.image_input_tokens,
    }
    completion = {
        "reasoning_tokens": usage.reasoning_tokens,
        "audio_tokens": usage.audio_output_tokens,
        "image_tokens": usage.image_output_tokens,
    }
    told: dict[str, Any] = {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.total,
    }
    for name, classes in (("prompt_tokens_details", prompt), ("completion_tokens_details", completion)):
        if known := {key: tokens for key, tokens in classes.items() if tokens is not None}:
            told[name] = known
    return told
