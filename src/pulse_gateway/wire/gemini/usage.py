"""Token counts: `usageMetadata` ⇄ `Usage`.

| Usage                | usageMetadata                                                                       |
| -------------------- | ----------------------------------------------------------------------------------- |
| cached_input_tokens  | cachedContentTokenCount (a part of the prompt)                                      |
| audio_input_tokens   | promptTokensDetails[AUDIO] − cacheTokensDetails[AUDIO]                              |
| image_, video_input… | the same of [IMAGE] and [VIDEO]                                                     |
| input_tokens         | promptTokenCount + toolUsePromptTokenCount − all of these                           |
| reasoning_tokens     | thoughtsTokenCount                                                                  |
| audio_, image_, video_output… | candidatesTokensDetails[AUDIO], [IMAGE], [VIDEO]                           |
| output_tokens        | candidatesTokenCount − these, and − thoughts where it includes them                 |
| searches             | groundingMetadata.webSearchQueries, of all candidates, each once                   |

The vendor does not count writes to its cache; storage is billed by the hour.

Source: `types.GenerateContentResponseUsageMetadata` of google-genai 3.4; https://ai.google.dev/api/generate-content#UsageMetadata
(read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.gemini.schema import ModalityCount, UsageMetadata
from pulse_gateway.wire.token_classes import apart, without

__all__ = ["decode_usage", "encode_usage"]

_MEDIA = ("AUDIO", "IMAGE", "VIDEO")


def decode_usage(counts: UsageMetadata, searches: Set[str] = frozenset()) -> Usage:
    """`searches` are the queries that the answer has named."""
    prompt, tools, cached = (
        counts.prompt_token_count,
        counts.tool_use_prompt_token_count,
        counts.cached_content_token_count,
    )
    candidates, thoughts = counts.candidates_token_count, counts.thoughts_token_count
    fresh = audio_in = image_in = video_in = audio_out = image_out = video_out = None
    if prompt is not None or tools is not None:
        fresh = without((prompt or 0) + (tools or 0), cached)
        if _has_media(counts.prompt_tokens_details):
            fresh, audio_in, image_in, video_in = apart(fresh, *[_fresh_of(counts, medium) for medium in _MEDIA])
    # Some models count their thoughts among the candidates: then the total adds up without them.
    counted_twice = bool(thoughts) and counts.total_token_count == (prompt or 0) + (tools or 0) + (candidates or 0)
    visible = without(candidates, thoughts if counted_twice else None)
    if _has_media(counts.candidates_tokens_details):
        made = [_of(counts.candidates_tokens_details, medium) for medium in _MEDIA]
        visible, audio_out, image_out, video_out = apart(visible, *made)
    return Usage(
        input_tokens=fresh,
        cached_input_tokens=cached,
        audio_input_tokens=audio_in,
        image_input_tokens=image_in,
        video_input_tokens=video_in,
        output_tokens=visible,
        reasoning_tokens=thoughts,
        audio_output_tokens=audio_out,
        image_output_tokens=image_out,
        video_output_tokens=video_out,
        searches=len(searches) or None,
    )


def encode_usage(usage: Usage) -> dict[str, Any]:
    """`usageMetadata`; what is unknown is left out."""
    counts: dict[str, Any] = {
        "promptTokenCount": usage.input_total or usage.input_tokens,
        "cachedContentTokenCount": usage.cached_input_tokens,
        "candidatesTokenCount": (usage.output_total - (usage.reasoning_tokens or 0)) or usage.output_tokens,
        "thoughtsTokenCount": usage.reasoning_tokens,
        "totalTokenCount": usage.total or None,
    }
    if details := _details(
        AUDIO=usage.audio_input_tokens, IMAGE=usage.image_input_tokens, VIDEO=usage.video_input_tokens
    ):
        counts["promptTokensDetails"] = details
    if details := _details(
        AUDIO=usage.audio_output_tokens, IMAGE=usage.image_output_tokens, VIDEO=usage.video_output_tokens
    ):
        counts["candidatesTokensDetails"] = details
    return {name: count for name, count in counts.items() if count is not None}


def _has_media(details: list[ModalityCount] | None) -> bool:
    """Whether anything but text is listed: nearly always it is not, and there is nothing to take apart."""
    if details is not None:
        for detail in details:
            if detail.modality in _MEDIA:
                return True
    return False


def _fresh_of(counts: UsageMetadata, medium: str) -> int | None:
    """What was read of one modality and not from the cache."""
    return without(_of(counts.prompt_tokens_details, medium), _of(counts.cache_tokens_details, medium))


def _of(details: list[ModalityCount] | None, modality: str) -> int | None:
    """The tokens of one modality; None where it is not listed."""
    counted = [detail.token_count or 0 for detail in details or () if detail.modality == modality]
    return sum(counted) if counted else None


def _details(**counts: int | None) -> list[dict[str, Any]]:
    return [{"modality": name, "tokenCount": count} for name, count in counts.items() if count is not None]
