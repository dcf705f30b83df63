"""Whatever a vendor counts, its classes are disjoint here and sum to its totals; unknown is not zero, and zero is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.anthropic_messages.usage import WireUsage
from pulse_gateway.wire.anthropic_messages.usage import encode_usage as encode_anthropic
from pulse_gateway.wire.bedrock_converse.usage import TokenUsage
from pulse_gateway.wire.gemini.schema import UsageMetadata
from pulse_gateway.wire.gemini.usage import decode_usage as decode_gemini
from pulse_gateway.wire.gemini.usage import encode_usage as encode_gemini
from pulse_gateway.wire.openai_chat.schema import UsageRecord as ChatUsage
from pulse_gateway.wire.openai_chat.usage import decode_usage as decode_chat
from pulse_gateway.wire.openai_chat.usage import encode_usage as encode_chat
from pulse_gateway.wire.openai_responses.schema import UsageRecord as ResponsesUsage
from pulse_gateway.wire.openai_responses.usage import decode_usage as decode_responses
from pulse_gateway.wire.openai_responses.usage import encode_usage as encode_responses

count = st.none() | st.integers(0, 50_000)
parts = st.fixed_dictionaries(
    dict.fromkeys(
        (
            "fresh",
            "cached",
            "write",
            "write_long",
            "audio",
            "image",
            "video",
            "said",
            "thought",
            "spoke",
            "drew",
            "filmed",
        ),
        count,
    )
)
Parts = dict[str, int | None]


def of(parts: Parts, *names: str) -> int:
    return sum(parts[name] or 0 for name in names)


def told(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None and value != {}}


def chat(parts: Parts) -> tuple[Usage | None, int, int]:
    read = of(parts, "fresh", "cached", "write", "audio", "image")
    made = of(parts, "said", "thought", "spoke", "drew")
    record = {
        "prompt_tokens": read,
        "completion_tokens": made,
        "total_tokens": read + made,
        "prompt_tokens_details": told(
            cached_tokens=parts["cached"],
            cache_write_tokens=parts["write"],
            audio_tokens=parts["audio"],
            image_tokens=parts["image"],
        ),
        "completion_tokens_details": told(
            reasoning_tokens=parts["thought"], audio_tokens=parts["spoke"], image_tokens=parts["drew"]
        ),
    }
    return decode_chat(msgspec.convert(record, ChatUsage)), read, made


def responses(parts: Parts) -> tuple[Usage | None, int, int]:
    read, made = of(parts, "fresh", "cached", "write", "write_long"), of(parts, "said", "thought")
    record = {
        "input_tokens": read,
        "input_tokens_details": told(
            cached_tokens=parts["cached"],
            cache_write_tokens=of(parts, "write", "write_long"),
            cache_write_tokens_details=told(ttl_30m_tokens=parts["write"], ttl_12h_tokens=parts["write_long"]),
        ),
        "output_tokens": made,
        "output_tokens_details": told(reasoning_tokens=parts["thought"]),
        "total_tokens": read + made,
    }
    return decode_responses(msgspec.convert(record, ResponsesUsage)), read, made


def anthropic(parts: Parts) -> tuple[Usage | None, int, int]:
    read, made = of(parts, "fresh", "cached", "write", "write_long"), of(parts, "said", "thought")
    record = told(
        input_tokens=of(parts, "fresh"),
        cache_read_input_tokens=parts["cached"],
        cache_creation_input_tokens=of(parts, "write", "write_long"),
        cache_creation=told(ephemeral_5m_input_tokens=parts["write"], ephemeral_1h_input_tokens=parts["write_long"]),
        output_tokens=made,
        output_tokens_details=told(thinking_tokens=parts["thought"]),
    )
    return msgspec.convert(record, WireUsage).usage(), read, made


def gemini(parts: Parts, *, thoughts_inside: bool = False) -> tuple[Usage | None, int, int]:
    read = of(parts, "fresh", "cached", "audio", "image", "video")
    candidates = of(parts, "said", "spoke", "drew", "filmed") + (of(parts, "thought") if thoughts_inside else 0)
    made = of(parts, "said", "spoke", "drew", "filmed", "thought")

    def media(**counts: int | None) -> list[dict[str, Any]]:
        return [{"modality": name, "tokenCount": value} for name, value in counts.items() if value is not None]

    tools = read // 3
    record = told(
        promptTokenCount=read - tools,
        toolUsePromptTokenCount=tools,
        cachedContentTokenCount=parts["cached"],
        candidatesTokenCount=candidates,
        thoughtsTokenCount=parts["thought"],
        totalTokenCount=read + made,
        promptTokensDetails=media(TEXT=1, AUDIO=parts["audio"], IMAGE=parts["image"], VIDEO=parts["video"]),
        candidatesTokensDetails=media(AUDIO=parts["spoke"], IMAGE=parts["drew"], VIDEO=parts["filmed"]),
    )
    return decode_gemini(msgspec.convert(record, UsageMetadata)), read, made


def gemini_with_thoughts_inside(parts: Parts) -> tuple[Usage | None, int, int]:
    return gemini(parts, thoughts_inside=True)


def bedrock(parts: Parts) -> tuple[Usage | None, int, int]:
    read, made = of(parts, "fresh", "cached", "write", "write_long"), of(parts, "said")
    record = told(
        inputTokens=of(parts, "fresh"),
        cacheReadInputTokens=parts["cached"],
        cacheWriteInputTokens=of(parts, "write", "write_long"),
        cacheDetails=[{"ttl": "1h", "inputTokens": of(parts, "write_long")}],
        outputTokens=made,
        totalTokens=read + made,
    )
    return msgspec.convert(record, TokenUsage).usage(), read, made


CLASSES = {
    "cached": "cached_input_tokens",
    "write_long": "cache_write_long_tokens",
    "audio": "audio_input_tokens",
    "image": "image_input_tokens",
    "video": "video_input_tokens",
    "thought": "reasoning_tokens",
    "spoke": "audio_output_tokens",
    "drew": "image_output_tokens",
    "filmed": "video_output_tokens",
}
TELLS = {
    chat: {"cached", "audio", "image", "thought", "spoke", "drew"},
    responses: {"cached", "write_long", "thought"},
    anthropic: {"cached", "write_long", "thought"},
    gemini: {"cached", "audio", "image", "video", "thought", "spoke", "drew", "filmed"},
    gemini_with_thoughts_inside: {"cached", "audio", "image", "video", "thought", "spoke", "drew", "filmed"},
    bedrock: {"cached"},
}


@pytest.mark.parametrize("vendor", TELLS, ids=lambda vendor: vendor.__name__)
@given(parts=parts)
@settings(deadline=None, max_examples=30)
def test_the_classes_sum_to_the_vendors_totals_and_each_is_what_was_told(vendor: Any, parts: Parts) -> None:
    usage, read, made = vendor(parts)
    assert usage is not None
    assert (usage.input_total, usage.output_total, usage.total) == (read, made, read + made)
    for name in TELLS[vendor]:
        assert getattr(usage, CLASSES[name]) == parts[name], name  # an unknown class is unknown, a zero is zero


@given(
    total=st.integers(0, 1_000), cached=st.integers(0, 1_000), audio=st.integers(0, 1_000), image=st.integers(0, 1_000)
)
@settings(deadline=None, max_examples=40)
def test_media_that_were_read_from_a_cache_are_not_counted_twice(
    total: int, cached: int, audio: int, image: int
) -> None:
    cached, audio, image = min(cached, total), min(audio, total), min(image, total)
    record = {
        "prompt_tokens": total,
        "completion_tokens": 0,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": audio, "image_tokens": image},
    }
    usage = decode_chat(msgspec.convert(record, ChatUsage))
    assert usage is not None
    assert usage.input_total == total
    assert usage.cached_input_tokens == cached


_USAGES = st.builds(Usage, **{name: count for name in Usage.__struct_fields__ if name.endswith("_tokens")})


@given(usage=_USAGES)
@settings(deadline=None, max_examples=40)
def test_what_clients_are_told_comes_to_the_same_totals(usage: Usage) -> None:
    said = encode_chat(usage)
    assert (said["prompt_tokens"], said["completion_tokens"]) == (usage.input_total, usage.output_total)
    said = encode_responses(usage) or {}
    assert (said["input_tokens"], said["output_tokens"]) == (usage.input_total, usage.output_total)
    said = encode_anthropic(usage)
    read = said["input_tokens"] + said.get("cache_read_input_tokens", 0) + said.get("cache_creation_input_tokens", 0)
    assert (read, said["output_tokens"]) == (usage.input_total, usage.output_total)
    said = encode_gemini(usage)
    assert said.get("promptTokenCount", 0) == usage.input_total
    assert said.get("candidatesTokenCount", 0) + said.get("thoughtsTokenCount", 0) == usage.output_total


@pytest.mark.parametrize("decode", [decode_chat, decode_responses])
def test_no_counts_are_no_usage(decode: Any) -> None:
    assert decode(None) is None
