"""OpenRouter.

Once an answer has begun, HTTP says 200 whatever happens: `error=K` is such an error, in a stream and without one.
Source: https://openrouter.ai/docs/api-reference/overview, /errors, /streaming and /images (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.compatible.base import Chunk, Compatible, Told
from pulse_gateway.testing.simulator.compatible.clips import own_target
from pulse_gateway.testing.simulator.compatible.openrouter_images import openrouter_images
from pulse_gateway.testing.simulator.compatible.openrouter_media import (
    VIDEO_PATHS,
    OpenRouterVideos,
    openrouter_speech,
    openrouter_transcript,
)
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.openai.body import Strict, converted
from pulse_gateway.testing.simulator.openai.errors import injected, refuse
from pulse_gateway.testing.simulator.openai.reading import REASONING_TOKENS
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["OpenRouter"]

_NANO_USD_PER_TOKEN = 2_000
_IMAGES = re.compile(r"/as/openrouter/(?:(?:api/)?v1/)?images")


class ReasoningSettings(Strict):
    effort: str | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    exclude: bool | None = None
    enabled: bool | None = None
    summary: str | None = None


_SETTINGS: Any = ReasoningSettings | None


class OpenRouter(Compatible):
    """Comments while it waits, codes that are numbers, what it cost, and reasoning with its details."""

    name = "openrouter"
    offers = frozenset({"embeddings", "rerank", "responses", "speech", "transcription"})
    reads = frozenset({"file", "image_url", "input_audio"})
    extras = frozenset(
        {
            "include_reasoning", "min_p", "models", "plugins", "provider", "reasoning", "repetition_penalty", "route",
            "session_id", "top_a", "top_k", "trace", "transforms", "usage",
        }
    )  # fmt: skip
    reasoners = r"gpt-5|gpt-oss|deepseek-r1|grok-4|thinking|reasoner"
    reasoning_field = "reasoning"
    usage_in = "own"
    comment = b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
    listed: ClassVar[tuple[str, ...]] = ("openai/gpt-5.2", "anthropic/claude-sonnet-5.5", "deepseek/deepseek-v4-pro")

    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed, config)
        self._models, self._videos = config.models, OpenRouterVideos(seed)

    def reset(self) -> None:
        super().reset()
        self._videos.reset()

    def route(self, request: Request) -> Target | None:
        if _IMAGES.fullmatch(request.path):
            return Target("images" if request.method == "POST" else "wrong method")
        return own_target(request, self._prefix, VIDEO_PATHS) or super().route(request)

    def take(self, request: Request, target: Target) -> Work | Chat:
        match target.operation:
            case "images":
                return openrouter_images(request, self._seed)
            case "speech":
                return openrouter_speech(request, self._models)
            case "transcription":
                return openrouter_transcript(request, self._seed)
            case "videos":
                return self._videos.order(request)
            case "videos.get":
                return self._videos.look(target.model)
            case "videos.content":
                return self._videos.content(target.model)
        return super().take(request, target)

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        model = str(body.get("model"))
        if "/" not in model:
            raise refuse(f"{model} is not a valid model ID", param="model")
        settings = converted(body.get("reasoning"), _SETTINGS, "reasoning")
        for effort in (body.get("reasoning_effort"), settings.effort if settings else None):
            if effort == "max":
                raise refuse(
                    "reasoning effort must be one of none, minimal, low, medium, high, xhigh", param="reasoning"
                )

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        for name in ("reasoning", "reasoning_details"):
            message.pop(name, None)
        return message

    def reasoning_tokens(self, body: dict[str, Any], model: str) -> int:
        settings = converted(body.get("reasoning") or {}, ReasoningSettings)
        if settings.enabled is False:
            return 0
        effort = settings.effort or body.get("reasoning_effort")
        if effort is None and not settings.max_tokens and not settings.enabled:
            return super().reasoning_tokens(body, model)
        return min(REASONING_TOKENS.get(str(effort or "medium"), 32), settings.max_tokens or 1_000_000)

    def shows_reasoning(self, body: dict[str, Any]) -> bool:
        return body.get("include_reasoning") is not False and not (body.get("reasoning") or {}).get("exclude")

    def message(self, message: dict[str, Any], reasoning: str) -> None:
        message["reasoning"] = reasoning or None
        if reasoning:
            message["reasoning_details"] = [_detail(reasoning)]

    def reasoning_delta(self, piece: str) -> dict[str, Any]:
        return {"role": "assistant", "content": "", "reasoning": piece, "reasoning_details": [_detail(piece)]}

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        self._sign(reply, told)

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        for chunk in chunks:
            self._sign(chunk.data, told)

    def usage(self, usage: dict[str, Any], told: Told) -> None:
        usage["cost"] = usage["total_tokens"] * _NANO_USD_PER_TOKEN / 1_000_000_000
        usage["is_byok"] = False
        usage["cost_details"] = {"upstream_inference_cost": None}

    def injected(self, faults: Faults) -> Refusal:
        refusal = injected(faults)
        refusal.error = {**refusal.error, "code": refusal.status}
        if faults.error is not None:
            refusal.status = 200
        return refusal

    def error_body(self, refusal: Refusal) -> Any:
        error = refusal.error
        code = error.get("code")
        return {
            "error": {
                "code": code if isinstance(code, int) else refusal.status,
                "message": error.get("message"),
                "metadata": {"provider_name": "Simulated"},
            },
            "user_id": "user_simulated",
        }

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "error"}
        body = {
            "id": f"gen-{request_id}",
            "object": "chat.completion.chunk",
            "provider": "Simulated",
            **self.error_body(refusal),
            "choices": [choice],
        }
        return b"data: " + msgspec.json.encode(body) + b"\n\n"

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        return (("x-generation-id", f"gen-{request_id}"), ("cf-ray", "simulated"))

    def _sign(self, body: dict[str, Any], told: Told) -> None:
        body["id"] = body["id"].replace("chatcmpl-", "gen-")
        body["provider"] = "Simulated"
        for choice in body["choices"]:
            choice["native_finish_reason"] = choice["finish_reason"]


def _detail(text: str) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
