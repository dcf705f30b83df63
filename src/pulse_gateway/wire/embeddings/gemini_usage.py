"""Token counts of embeddings: `usageMetadata` ⇄ `Usage`.

| Usage              | usageMetadata                                           |
| ------------------ | ------------------------------------------------------- |
| image_input_tokens | promptTokensDetails[IMAGE]                              |
| audio_input_tokens | promptTokensDetails[AUDIO]                              |
| video_input_tokens | promptTokensDetails[VIDEO]                              |
| input_tokens       | promptTokenCount − the three above                      |

Each modality has a price of its own.
Source: `types.UsageMetadata` of google-genai 3.4; https://ai.google.dev/gemini-api/docs/pricing (read 2026-11-24).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = ["UsageMetadata", "decode_usage", "encode_usage"]


class _ModalityCount(msgspec.Struct, rename="camel"):
    modality: str | None = None
    token_count: int | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_ModalityCount] | None = None


def decode_usage(counts: UsageMetadata | None) -> Usage | None:
    """None where nothing is counted."""
    if counts is None:
        return None
    total = counts.total_token_count if counts.prompt_token_count is None else counts.prompt_token_count
    if total is None:
        return None
    apart = {name: _of(counts.prompt_tokens_details, name) for name in ("IMAGE", "AUDIO", "VIDEO")}
    return Usage(
        input_tokens=max(0, total - sum(count or 0 for count in apart.values())),
        image_input_tokens=apart["IMAGE"],
        audio_input_tokens=apart["AUDIO"],
        video_input_tokens=apart["VIDEO"],
    )


def encode_usage(usage: Usage) -> dict[str, Any]:
    total = usage.input_total
    return {"promptTokenCount": total, "totalTokenCount": total}


def _of(details: list[_ModalityCount] | None, modality: str) -> int | None:
    """The tokens of one modality; None where it is not listed."""
    counted = [detail.token_count or 0 for detail in details or () if detail.modality == modality]
    return sum(counted) if counted else None
