"""OpenAI itself.  Source: https://developers.openai.com/api/docs, read 2026-11-24."""

from __future__ import annotations

from collections.abc import Callable

from pulse_gateway.providers.compatible import OpenAICompatible
from pulse_gateway.types.catalog import Capabilities, Deployment
from pulse_gateway.types.chat import ChatRequest, ReasoningControl
from pulse_gateway.wire.openai_responses.encode import lacking
from pulse_gateway.wire.openai_responses.errors import RESPONSES_ERRORS
from pulse_gateway.wire.refusals import not_taken

__all__ = ["OPENAI", "OpenAI"]

# Source: https://developers.openai.com/api/docs/guides/latest-model (read 2026-11-24)
_FIXED_WHILE_REASONING = ("temperature", "top_p", "logprobs", "top_logprobs")


_CHAT, _RESPONSES = "openai.chat", "openai.responses"


class OpenAI(OpenAICompatible, frozen=True, kw_only=True):
    """Chat Completions, and Responses for clients that speak it and for what newer models take nowhere else."""

    dialects: frozenset[str] = frozenset({_CHAT, _RESPONSES})

    def dialect_of(self, client: str | None, request: Callable[[], ChatRequest], deployment: Deployment, /) -> str:
        capabilities = deployment.model.capabilities
        may_choose = client != _RESPONSES and _RESPONSES in self.dialects
        if may_choose and not capabilities.chat_completions:
            return _RESPONSES
        if may_choose and not (capabilities.chat_tools and capabilities.chat_tools_with_reasoning):
            return _RESPONSES if _is_for_responses(request(), capabilities) else _CHAT
        return OpenAICompatible.dialect_of(self, client, request, deployment)

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        OpenAICompatible.check(self, request, deployment)
        capabilities = deployment.model.capabilities
        reasons = _asks_to_reason(request.reasoning)
        if request.tools and _RESPONSES not in self.dialects:
            if not capabilities.chat_tools:
                raise not_taken(deployment.model, "tools", " on Chat Completions")
            if reasons and not capabilities.chat_tools_with_reasoning:
                raise not_taken(deployment.model, "reasoning", " together with tools on Chat Completions")
        if reasons and not capabilities.sampling_with_reasoning:
            for field in _FIXED_WHILE_REASONING:
                if getattr(request, field) is not None:
                    raise not_taken(deployment.model, field, " while it reasons")


def _is_for_responses(request: ChatRequest, capabilities: Capabilities) -> bool:
    """Whether a model that is restricted on Chat Completions takes the request on Responses alone.

    Where nothing is said of reasoning, Chat Completions may still do, with reasoning off. That is the way of requests that say what
    Responses has no word for; all others let the model reason as it would.
    """
    if not request.tools:
        return False
    if not capabilities.chat_tools or _asks_to_reason(request.reasoning):
        return True
    return not _asks_not_to_reason(request.reasoning) and lacking(request) is None


def _asks_to_reason(control: ReasoningControl | None) -> bool:
    """Whether an effort will be set that is not `none`. Left to the model, it may also be none."""
    if control is None:
        return False
    if control.effort is not None:
        return control.effort != "none"
    return not control.adaptive and control.budget_tokens is not None and control.budget_tokens > 0


def _asks_not_to_reason(control: ReasoningControl | None) -> bool:
    return control is not None and (control.effort == "none" or (control.effort is None and control.budget_tokens == 0))


OPENAI = OpenAI(
    kind="openai",
    base_url="https://api.openai.com/v1",
    passed_headers=frozenset({"openai-organization", "openai-project", "openai-beta"}),
    errors=RESPONSES_ERRORS,
    operations={
        "embeddings": "openai.embeddings",
        "moderation": "openai.moderations",
        "count_tokens": "openai.responses.input_tokens",
        "images": "openai.images.generations",
        "image_edits": "openai.images.edits",
        "speech": "openai.speech",
        "transcription": "openai.transcriptions",
        "translation": "openai.translations",
    },
)
