"""`:generateContent` for media: the request's head, and an answer of inline data.

Source: `types.GenerateContentResponse` of google-genai 3.4; https://ai.google.dev/gemini-api/docs/image-generation (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pulse_gateway.errors import UpstreamFailed, UpstreamRefusedContent
from pulse_gateway.providers.offer import OfferCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, to_provider
from pulse_gateway.wire.gemini.errors import embedded_error
from pulse_gateway.wire.gemini.schema import FAILED_FINISHES, PromptFeedback, UsageMetadata
from pulse_gateway.wire.gemini.usage import decode_usage

__all__ = ["Blob", "GoogleAddress", "Said", "call_method", "read_answer"]

_ORDINARY = frozenset({"STOP", "MAX_TOKENS", "FINISH_REASON_UNSPECIFIED"})


class GoogleAddress(Protocol):
    """Where Google's models are, and how a call is signed: the Developer API, or Vertex."""

    def method_url(self, deployment: Deployment, method: str, /) -> str:
        """`…/models/{model}:{method}`."""
        ...

    def own_headers(self, call: OfferCall, /) -> Headers: ...


class Blob(msgspec.Struct, rename="camel"):
    data: str
    mime_type: str = ""


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    inline_data: Blob | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    error: Any = None


_decode = msgspec.json.Decoder(_Answer).decode


class Said(msgspec.Struct, frozen=True):
    """What the model made, its thoughts left out. `refused` is the filter that stopped it; None: none did. `cut`: it is not whole."""

    blobs: list[Blob]
    text: str
    usage: Usage
    refused: str | None
    cut: bool = False

    def refusal(self, what: str) -> UpstreamRefusedContent:
        """Why there is no `what`."""
        reason = self.refused or "it answered in words"
        return UpstreamRefusedContent(f"the model made no {what}: {reason}", upstream_code=self.refused)


def call_method(vendor: GoogleAddress, call: OfferCall, method: str, body: dict[str, Any]) -> HttpRequest:
    headers = (("content-type", "application/json"), *vendor.own_headers(call))
    return HttpRequest("POST", vendor.method_url(call.deployment, method), headers, to_provider(body))


def read_answer(body: bytes) -> Said:
    """Raises: UpstreamProtocolError, UpstreamError for an error object sent with status 200, UpstreamFailed."""
    answer = from_provider(_decode, body)
    if answer.error is not None:
        raise embedded_error(answer.error)
    usage = Usage() if answer.usage_metadata is None else decode_usage(answer.usage_metadata)
    feedback = answer.prompt_feedback
    refused = feedback.block_reason if feedback is not None else None
    blobs: list[Blob] = []
    texts: list[str] = []
    cut = False
    for candidate in (answer.candidates or ())[:1]:
        reason = candidate.finish_reason or "STOP"
        if reason in FAILED_FINISHES:
            raise UpstreamFailed(f"the model's answer is unusable: {reason}", upstream_code=reason)
        cut = reason == "MAX_TOKENS"
        refused = refused or (None if reason in _ORDINARY else reason)
        for part in (candidate.content.parts if candidate.content is not None else None) or ():
            if part.thought:
                continue
            if part.inline_data is not None:
                blobs.append(part.inline_data)
            texts.append(part.text or "")
    return Said(blobs, "".join(texts), usage, refused, cut)
