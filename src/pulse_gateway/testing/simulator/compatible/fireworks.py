"""Fireworks: a copy of OpenAI's API, with workflows that make pictures and an ear of its own beside it.

Its ear is at hosts of its own; here it is behind the same prefix as the rest.
Source: https://docs.fireworks.ai/api-reference and the request types of fireworks-ai 0.15.15 (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import ClassVar

from pulse_gateway.testing.simulator.compatible.base import Compatible
from pulse_gateway.testing.simulator.compatible.fireworks_listening import hear
from pulse_gateway.testing.simulator.compatible.fireworks_pictures import Pictures
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Request, Target

__all__ = ["Fireworks"]

_PICTURES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"/as/fireworks/(?:inference/)?v1/{path}"), operation)
    for path, operation in (
        (r"image_generation/(.+)", "image_generation"),
        (r"workflows/(.+)/text_to_image", "text_to_image"),
        (r"workflows/(.+)/get_result", "get_result"),
        (r"workflows/(.+)", "kontext"),
    )
)
_LISTENING = frozenset({"transcription", "translation"})


class Fireworks(Compatible):
    """The usage in the last chunk, and names with their account in front."""

    name = "fireworks"
    offers = frozenset({"embeddings", "rerank", "responses", *_LISTENING})
    extras = frozenset(
        {
            "context_length_exceeded_behavior",
            "ignore_eos",
            "min_p",
            "mirostat_lr",
            "repetition_penalty",
            "top_k",
            "typical_p",
        }
    )
    reasoners = r"deepseek-r1|qwen3|gpt-oss"
    usage_in = "finish"
    listed: ClassVar[tuple[str, ...]] = (
        "accounts/fireworks/models/deepseek-v4-pro",
        "accounts/fireworks/models/gpt-oss-120b",
    )

    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed, config)
        self._pictures, self._models = Pictures(seed), config.models

    def route(self, request: Request) -> Target | None:
        for pattern, operation in _PICTURES:
            if found := pattern.fullmatch(request.path):
                return Target(operation if request.method == "POST" else "wrong method", found.group(1))
        return super().route(request)

    def take(self, request: Request, target: Target) -> Work | Chat:
        if target.operation in _LISTENING:
            return hear(request, target.operation, self._seed, self._models)
        if target.operation in self._pictures.operations:
            return self._pictures.work(request, target)
        return super().take(request, target)

    def reset(self) -> None:
        super().reset()
        self._pictures.reset()
