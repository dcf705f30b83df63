"""Answers as they stand on the wire, and what their words mean.

Only what somebody acts on is declared: everything else is skipped, and new fields, parts and enum values harm nothing.

Source: `types.GenerateContentResponse` of google-genai 3.4; https://ai.google.dev/api/generate-content (read 2026-11-24).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.chat import FinishReason

__all__ = [
    "FAILED_FINISHES",
    "Blob",
    "Candidate",
    "Content",
    "FunctionCall",
    "GroundingMetadata",
    "LogprobsCandidate",
    "LogprobsResult",
    "ModalityCount",
    "Part",
    "PromptFeedback",
    "Reply",
    "TopCandidates",
    "UsageMetadata",
    "decode_reply_body",
    "finish_name",
    "finish_reason",
]

# The model's own output was unusable: an upstream failure, never an answer.
FAILED_FINISHES = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)

_FINISH_NAMES = {
    FinishReason.STOP: "STOP",
    FinishReason.STOP_SEQUENCE: "STOP",
    FinishReason.TOOL_CALLS: "STOP",
    FinishReason.LENGTH: "MAX_TOKENS",
    FinishReason.PAUSE: "MAX_TOKENS",  # cut short all the same, and the dialect has no other word
    FinishReason.CONTENT_FILTER: "SAFETY",
}

_LENGTH = frozenset({"MAX_TOKENS", "CONTINUATION"})
_NO_REASON = frozenset({"", "FINISH_REASON_UNSPECIFIED"}) | FAILED_FINISHES


def finish_name(reason: FinishReason, *, refused: bool) -> str:
    """Other vendors may refuse in words and call it an ordinary stop; here a refusal is a reason of its own."""
    return "SAFETY" if refused and reason is FinishReason.STOP else _FINISH_NAMES[reason]


def finish_reason(name: str | None, *, called: bool) -> FinishReason | None:
    """What `finishReason` means; `called`: the candidate holds function calls, which end with STOP too. None: not finished.

    Every reason but these few is a filter of some kind, and so is taken one that did not exist when this was written.
    """
    if name is None or name in _NO_REASON:
        return None
    if name == "STOP":
        return FinishReason.TOOL_CALLS if called else FinishReason.STOP
    return FinishReason.LENGTH if name in _LENGTH else FinishReason.CONTENT_FILTER


class Blob(msgspec.Struct):
    """Media: that they are there is enough."""


class FunctionCall(msgspec.Struct, rename="camel"):
    name: str | None = None
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw()


class Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: FunctionCall | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None


class Content(msgspec.Struct):
    parts: list[Part] | None = None


class LogprobsCandidate(msgspec.Struct, rename="camel"):
    token: str | None = None
    log_probability: float | None = None


class TopCandidates(msgspec.Struct):
    candidates: list[LogprobsCandidate] | None = None


class LogprobsResult(msgspec.Struct, rename="camel"):
    chosen_candidates: list[LogprobsCandidate] | None = None
    top_candidates: list[TopCandidates] | None = None


class GroundingMetadata(msgspec.Struct, rename="camel"):
    web_search_queries: list[str] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    index: int | None = None
    content: Content | None = None
    finish_reason: str | None = None
    logprobs_result: LogprobsResult | None = None
    grounding_metadata: GroundingMetadata | None = None

    @property
    def searches(self) -> list[str]:
        """The queries of the web that the answer rests on."""
        return (self.grounding_metadata.web_search_queries if self.grounding_metadata else None) or []


class PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class ModalityCount(msgspec.Struct, rename="camel"):
    modality: str | None = None
    token_count: int | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None


class Reply(msgspec.Struct, rename="camel"):
    """A whole answer, or one frame of a stream; an error object may stand in the place of either."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Any = None

    @property
    def blocks_prompt(self) -> bool:
        """Whether the prompt was refused: an answer without candidates."""
        return not self.candidates and self.prompt_feedback is not None and bool(self.prompt_feedback.block_reason)


decode_reply_body = msgspec.json.Decoder(Reply | list[Reply]).decode
