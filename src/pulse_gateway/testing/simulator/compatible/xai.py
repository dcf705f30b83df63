"""xAI.

Source: https://docs.x.ai/docs/api-reference (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, ClassVar

from pulse_gateway.testing.simulator.compatible.base import Compatible, Told
from pulse_gateway.testing.simulator.compatible.pictures import xai_images
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["XAI"]


class XAI(Compatible):
    """Reasoning tokens beside the completion tokens, an empty finish reason with tool calls, errors that are a string."""

    name = "xai"
    offers = frozenset({"images", "responses"})
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

    def take(self, request: Request, target: Target) -> Work | Chat:
        if target.operation == "images":
            return xai_images(request, self._seed)
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
