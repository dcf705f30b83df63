"""OpenAI beside chat, behind the server's `Surface` face."""

from __future__ import annotations

from pulse_gateway.testing.simulator.compatible.rerank import rerank
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.openai.body import json_body
from pulse_gateway.testing.simulator.openai.operations import Operations, broken_event, operation_error_frame
from pulse_gateway.testing.simulator.openai.vendor import OpenAI
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["OpenAISurface"]

_PREFIX = "/v1/"
_RERANK = "/v1/rerank"  # which OpenAI has not: whoever is told that this is another vendor finds it


class OpenAISurface(OpenAI):
    """Source: https://developers.openai.com/api/docs/api-reference (read 2026-11-24)"""

    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed, config)
        self._operations = Operations(seed, config)

    def route(self, request: Request) -> Target | None:
        if not request.path.startswith(_PREFIX):
            return None
        if request.path == _RERANK:
            return Target("rerank" if request.method == "POST" else "wrong method")
        return self._operations.target(request.method, request.path.removeprefix(_PREFIX))

    def work(self, request: Request, target: Target) -> Work | Chat:
        if target.operation == "rerank":
            return rerank(json_body(request, ""), self._seed)
        return self._operations.work(request, target)

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        return operation_error_frame(refusal, target.operation)

    def break_frame(self, frame: bytes) -> bytes:
        return broken_event(frame)

    def reset(self) -> None:
        self._operations.reset()
