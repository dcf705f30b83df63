"""xAI.

Source: https://docs.x.ai/docs/api-reference (read 2026-11-24); its media: `pictures.py` and `xai_media.py`.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from pulse_gateway.testing.simulator.compatible.base import Compatible, Told
from pulse_gateway.testing.simulator.compatible.clips import CLIP_PATH, Paths, clip_work, own_target
from pulse_gateway.testing.simulator.compatible.pictures import xai_edits, xai_images
from pulse_gateway.testing.simulator.compatible.xai_media import XaiVideos, xai_speech, xai_transcript
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["XAI"]

_PATHS: Paths = (
    ("POST", re.compile("videos/generations"), "videos"),
    ("GET", re.compile("videos/([0-9a-f]{32})"), "videos.get"),
    ("POST", re.compile("tts"), "speech"),
    ("POST", re.compile("stt"), "transcription"),
    ("GET", CLIP_PATH, "clip"),
)


class XAI(Compatible):
    """Reasoning tokens beside the completion tokens, an empty finish reason with tool calls, errors that are a string."""

    name = "xai"
    offers = frozenset({"images", "image_edits", "responses"})
    extras = frozenset({"deferred", "search_parameters"})
    reasoners = r"grok-(?:[4-9]|3-mini)(?!.*non-reasoning)"
    finishes: ClassVar[dict[str, str]] = {"tool_calls": ""}
    usage_in = "own"
    listed: ClassVar[tuple[str, ...]] = ("grok-4.7", "grok-4.3", "grok-3")

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        model = str(body.get("model"))
        if self._reasons.search(model):
            for name in ("presence_penalty", "frequency_penalty", "stop"):
                if body.get(name) is not None:
                    raise refuse(f"Model {model.partition('+')[0]} does not support parameter {name}.", param=name)
        for tool in body.get("tools") or ():
            if isinstance(tool, dict) and "strict" in tool.get("function", {}):
                raise refuse("Argument not supported on this tool: strict", param="tools")

    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed, config)
        self._videos = XaiVideos(seed)

    def reset(self) -> None:
        super().reset()
        self._videos.reset()

    def route(self, request: Request) -> Target | None:
        return own_target(request, self._prefix, _PATHS) or super().route(request)

    def admit(self, request: Request, target: Target) -> None:
        if target.operation != "clip":
            super().admit(request, target)

    def take(self, request: Request, target: Target) -> Work | Chat:
        match target.operation:
            case "images":
                return xai_images(request, self._seed)
            case "image_edits":
                return xai_edits(request, self._seed)
            case "videos":
                return self._videos.begin(request)
            case "videos.get":
                return self._videos.look(target.model)
            case "speech":
                return xai_speech(request)
            case "transcription":
                return xai_transcript(request, self._seed)
            case "clip":
                return clip_work(request)
        return super().take(request, target)

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        message.pop("reasoning_content", None)
        return message

    def usage(self, usage: dict[str, Any], told: Told) -> None:
        """The total has them all."""
        usage["completion_tokens"] = told.answer.usage.output
        usage["num_sources_used"] = 0

    def error_body(self, refusal: Refusal) -> Any:
        kinds = {
            400: "Client specified an invalid argument",
            401: "Unauthenticated",
            404: "Some requested entity was not found",
        }
        kinds |= {403: "The caller does not have permission", 429: "Some resource has been exhausted"}
        return {
            "code": kinds.get(refusal.status, "The service is currently unavailable"),
            "error": refusal.error["message"],
        }
