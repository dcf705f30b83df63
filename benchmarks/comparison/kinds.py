"""The requests of the comparison, alike for every gateway but for what names the model."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["KINDS", "ends_with", "fields", "is_stream"]

KINDS = ("answer", "delayed", "stream", "claude", "paced", "idle", "large")
"""What the upstream does, by the name of the model; `claude` is asked for in OpenAI's dialect and answered in Anthropic's."""

_QUESTION = "What is the capital of Jordan, and how did the city come by its name?"


def is_stream(kind: str) -> bool:
    return kind not in {"answer", "delayed"}


def ends_with(kind: str) -> str:
    """The last words of a whole answer."""
    return "[DONE]" if is_stream(kind) else "}"


def fields(kind: str, model: str, image_bytes: int = 0) -> str:
    """The body of the request; with `image_bytes`, a picture inside it makes it about that long."""
    content: Any = _QUESTION
    if image_bytes:
        url = "data:image/png;base64," + "iVBORw0KGgo" + "A" * (image_bytes - 11 - (image_bytes - 11) % 4 + 1)
        content = [{"type": "text", "text": _QUESTION}, {"type": "image_url", "image_url": {"url": url}}]
    asked: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_completion_tokens": 1000,
    }
    if is_stream(kind):
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(asked)
