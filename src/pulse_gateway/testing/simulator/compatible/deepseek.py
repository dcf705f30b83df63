"""DeepSeek.

Source: https://api-docs.deepseek.com, /quick_start/error_codes and /guides/thinking_mode (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, ClassVar

from pulse_gateway.testing.simulator.compatible.base import Compatible, Told
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.openai.errors import injected, refuse
from pulse_gateway.testing.simulator.openai.reading import REASONING_TOKENS
from pulse_gateway.testing.simulator.vendor import Refusal

__all__ = ["DeepSeek"]


class DeepSeek(Compatible):
    """`reasoning_content` that must come back with tool calls, cache hits and misses, and signs of life while it queues."""

    name = "deepseek"
    extras = frozenset({"thinking"})
    reads = frozenset()
    usage_in = "finish"
    comment = b": keep-alive\n\n: keep-alive\n\n"
    padding = b"\n\n\n"
    listed: ClassVar[tuple[str, ...]] = ("deepseek-v4-pro", "deepseek-v4-flash")

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        thinking = body.get("thinking")
        kind = thinking.get("type") if isinstance(thinking, dict) else None
        if thinking is not None and kind not in ("enabled", "disabled"):
            raise refuse("thinking.type must be 'enabled' or 'disabled'", param="thinking")
        if not self._thinks(body):
            return
        for at, message in enumerate(messages):
            if (
                message.get("role") == "assistant"
                and message.get("tool_calls")
                and not message.get("reasoning_content")
            ):
                raise refuse(f"Missing `reasoning_content` field in the assistant message at message index {at}.")

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        message.pop("reasoning_content", None)
        message.pop("prefix", None)
        return message

    def reasoning_tokens(self, body: dict[str, Any], model: str) -> int:
        if not self._thinks(body):
            return 0
        effort = str(body.get("reasoning_effort") or "medium")
        return 2 * REASONING_TOKENS["max"] if effort == "ultra" else REASONING_TOKENS.get(effort, 32)

    def usage(self, usage: dict[str, Any], told: Told) -> None:
        usage["prompt_cache_hit_tokens"] = told.answer.usage.cached
        usage["prompt_cache_miss_tokens"] = told.answer.usage.input_total - told.answer.usage.cached

    def injected(self, faults: Faults) -> Refusal:
        refusal = injected(faults)
        if refusal.status == 402:
            refusal.error = {
                "message": "Insufficient Balance",
                "type": "unknown_error",
                "param": None,
                "code": "invalid_request_error",
            }
        return refusal

    def _thinks(self, body: dict[str, Any]) -> bool:
        """If asked to, by name or by word; asking for an effort is asking."""
        kind = (body.get("thinking") or {}).get("type")
        if kind is not None:
            return bool(kind == "enabled")
        effort = body.get("reasoning_effort")
        return effort not in (None, "none") or "reasoner" in str(body.get("model"))
