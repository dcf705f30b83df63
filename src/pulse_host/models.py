"""`GET /v1/models` in the shape of whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pulse_gateway.errors import ModelNotFound
from pulse_gateway.routing.router import ListedModel

__all__ = ["dialect_of", "list_models", "show_model"]


def dialect_of(headers: dict[str, str]) -> str:
    """Anthropic's SDKs send their version, Google's their own key header."""
    if "anthropic-version" in headers:
        return "anthropic.messages"
    return "gemini" if "x-goog-api-key" in headers else "openai.chat"


def list_models(models: Sequence[ListedModel], dialect: str) -> dict[str, Any]:
    rows = [_ROWS[dialect](model) for model in models]
    if dialect == "anthropic.messages":
        first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
        return {"data": rows, "has_more": False, "first_id": first, "last_id": last}
    if dialect == "gemini":
        return {"models": rows}
    return {"object": "list", "data": rows}


def show_model(models: Sequence[ListedModel], name: str, dialect: str) -> dict[str, Any]:
    """Raises: ModelNotFound."""
    for model in models:
        if model.id == name:
            return _ROWS[dialect](model)
    raise ModelNotFound(f"the model {name!r} is not served here", param="model")


def _openai(model: ListedModel) -> dict[str, Any]:
    row: dict[str, Any] = {"id": model.id, "object": "model", "created": 0, "owned_by": model.provider}
    return row if model.shutdown is None else {**row, "shutdown_date": model.shutdown}


def _anthropic(model: ListedModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "type": "model",
        "display_name": model.id,
        "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": model.context_tokens,
        "max_tokens": model.max_output_tokens,
    }


def _gemini(model: ListedModel) -> dict[str, Any]:
    return {
        "name": f"models/{model.id}",
        "displayName": model.id,
        "inputTokenLimit": model.context_tokens,
        "outputTokenLimit": model.max_output_tokens,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    }


_ROWS = {"openai.chat": _openai, "anthropic.messages": _anthropic, "gemini": _gemini}
