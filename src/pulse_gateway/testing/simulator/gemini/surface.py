"""What the Gemini Developer API offers beside generateContent, behind the server's `Surface` face."""

from __future__ import annotations

import re

from pulse_gateway.testing.simulator.gemini.counting import count_tokens
from pulse_gateway.testing.simulator.gemini.embedding import embed
from pulse_gateway.testing.simulator.gemini.vendor import Gemini
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Request, Target

__all__ = ["GeminiSurface"]

_CALL = re.compile(r"/(?:v1|v1beta)/models/(.+):(\w+)")
_OPERATIONS = {
    "countTokens": "count_tokens",
    "embedContent": "embeddings",
    "batchEmbedContents": "embeddings",
    "predict": "images",  # retired here, as are videos
    "predictLongRunning": "videos",
}


class GeminiSurface(Gemini):
    """Source: https://ai.google.dev/api (read 2026-11-24)"""

    def route(self, request: Request) -> Target | None:
        call = _CALL.fullmatch(request.path)
        operation = _OPERATIONS.get(call.group(2)) if call else None
        if call is None or operation is None:
            return None
        return Target(operation if request.method == "POST" else "wrong method", call.group(1))

    def work(self, request: Request, target: Target) -> Work:
        match target.operation:
            case "count_tokens":
                return count_tokens(self, self._seed, request, target)
            case "embeddings":
                return embed(self, self._seed, request, target)
        raise self.not_found(target.model, request.path.rpartition(":")[2])

    def reset(self) -> None:
        """Nothing is kept."""
