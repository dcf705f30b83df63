"""What vendors that copied OpenAI's API lack for some models, or for some members together. Pure.

Each rule gives the neutral name of what is refused, or None.
"""

from __future__ import annotations

import re

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest

__all__ = ["groq_schemas", "xai_reasoning"]

# Source: https://docs.x.ai/docs/guides/reasoning (read 2026-11-24)
_XAI_REASONERS = re.compile(r"grok-(?:[4-9]|3-mini)(?!.*non-reasoning)")
_NOT_WHILE_IT_REASONS = ("presence_penalty", "frequency_penalty", "stop")
# Source: https://console.groq.com/docs/structured-outputs (read 2026-11-24)
_GROQ_WITH_SCHEMAS = re.compile(r"openai/gpt-oss")


def xai_reasoning(request: ChatRequest, model: Model) -> str | None:
    """Models of xAI's that reason take no penalties and no stop sequences."""
    if not _XAI_REASONERS.match(model.name):
        return None
    return next((name for name in _NOT_WHILE_IT_REASONS if getattr(request, name)), None)


def groq_schemas(request: ChatRequest, model: Model) -> str | None:
    """Models of Groq's that only imitate schemas do so without tools and without streaming."""
    form = request.response_format
    if form is None or form.kind != "json_schema" or _GROQ_WITH_SCHEMAS.match(model.name):
        return None
    return "response_format" if request.tools or request.stream else None
