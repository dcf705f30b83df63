"""OpenAI itself.  Source: https://developers.openai.com/api/docs, read 2026-11-24."""

from __future__ import annotations

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.providers.compatible import OpenAICompatible
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest, ReasoningControl

__all__ = ["OPENAI", "OpenAI"]

# Source: https://developers.openai.com/api/docs/guides/latest-model (read 2026-11-24)
_FIXED_WHILE_REASONING = ("temperature", "top_p", "logprobs", "top_logprobs")


class OpenAI(OpenAICompatible, frozen=True, kw_only=True):
    """Chat Completions with the limits that newer models have there; the Responses API lacks them."""

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        OpenAICompatible.check(self, request, deployment)
        capabilities = deployment.model.capabilities
        reasons = _asks_to_reason(request.reasoning)
        if request.tools and not capabilities.chat_tools:
            raise _unsupported(deployment, "tools", "on Chat Completions")
        if request.tools and reasons and not capabilities.chat_tools_with_reasoning:
            raise _unsupported(deployment, "reasoning", "together with tools on Chat Completions")
        if reasons:
            for field in _FIXED_WHILE_REASONING:
                if getattr(request, field) is not None:
                    raise _unsupported(deployment, field, "while it reasons")


def _asks_to_reason(control: ReasoningControl | None) -> bool:
    """Whether an effort will be set that is not `none`. Left to the model, it may also be none."""
    if control is None:
        return False
    if control.effort is not None:
        return control.effort != "none"
    return not control.adaptive and control.budget_tokens is not None and control.budget_tokens > 0


def _unsupported(deployment: Deployment, field: str, when: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"{deployment.name} does not support {field} {when}", param=field)


OPENAI = OpenAI(
    kind="openai",
    base_url="https://api.openai.com/v1",
    passed_headers=frozenset({"openai-organization", "openai-project", "openai-beta"}),
    operations={
        "embeddings": "openai.embeddings",
        "moderation": "openai.moderations",
        "count_tokens": "openai.responses.input_tokens",
    },
)
