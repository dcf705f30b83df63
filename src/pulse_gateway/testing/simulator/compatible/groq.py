"""Groq.

Source: https://console.groq.com/docs/openai and /docs/errors (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, ClassVar

from pulse_gateway.testing.simulator.compatible.base import Chunk, Compatible, Told
from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.openai.errors import injected, refuse
from pulse_gateway.testing.simulator.vendor import Refusal, Target

__all__ = ["Groq"]

_NATIVE_SCHEMAS = ("openai/gpt-oss",)


class Groq(Compatible):
    """`reasoning` beside the content, usage in `x_groq`, and 498 when the flex tier is full."""

    name = "groq"
    offers = frozenset({"responses", "speech", "transcription", "translation"})
    extras = frozenset(
        {
            "compound_custom",
            "disable_tool_validation",
            "documents",
            "include_reasoning",
            "reasoning_format",
            "search_settings",
        }
    )
    reasoners = r"gpt-oss|qwen3|deepseek-r1"
    reasoning_field = "reasoning"
    listed: ClassVar[tuple[str, ...]] = (
        "openai/gpt-oss-120b",
        "openai/gpt-oss-20b",
        "qwen/qwen3.8-27b",
        "whisper-large-v3",
    )

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        for name in ("logprobs", "logit_bias", "top_logprobs"):
            if body.get(name):
                raise refuse(f"property '{name}' is unsupported", param=name)
        if (body.get("n") or 1) > 1:
            raise refuse("'n' : number must be at most 1", param="n")
        for at, message in enumerate(messages):
            if "name" in message:
                raise refuse(f"'messages.{at}' : property 'name' is unsupported", param=f"messages.{at}")
        wanted = body.get("response_format")
        wants_schema = isinstance(wanted, dict) and wanted.get("type") == "json_schema"
        native = str(body.get("model")).startswith(_NATIVE_SCHEMAS)
        if wants_schema and not native and (body.get("tools") or body.get("stream")):
            raise refuse(
                "json_schema cannot be combined with tools or streaming on this model", param="response_format"
            )

    def shows_reasoning(self, body: dict[str, Any]) -> bool:
        return body.get("reasoning_format") != "hidden" and body.get("include_reasoning") is not False

    def usage(self, usage: dict[str, Any], told: Told) -> None:
        usage |= {"queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.1, "total_time": 0.12}

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        reply["x_groq"] = {"id": identifier("req_", told.answer.digest, "groq")}

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        """The usage comes with the last chunk that has a choice; a chunk of its own only if asked for."""
        own = identifier("req_", told.answer.digest, "groq")
        chunks[0].data["x_groq"] = {"id": own}
        last = next(chunk for chunk in reversed(chunks) if chunk.data["choices"])
        usage = told.answer.usage
        if not told.faults.no_usage:
            output = usage.output + usage.reasoning
            counted = {
                "prompt_tokens": usage.input_total,
                "completion_tokens": output,
                "total_tokens": usage.input_total + output,
                "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
            }
            if usage.cached:
                counted["prompt_tokens_details"] = {"cached_tokens": usage.cached}
            self.usage(counted, told)
            last.data["x_groq"] = {"id": own, "usage": counted}

    def injected(self, faults: Faults) -> Refusal:
        refusal = injected(faults)
        if refusal.status == 498:
            refusal.error = {
                "message": "Flex tier capacity exceeded. Please try again later.",
                "type": "flex_capacity_exceeded",
                "code": "capacity_exceeded",
            }
        return refusal

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        refusal.error = {**refusal.error, "status_code": refusal.status}
        return super().error_frame(refusal, request_id, target, is_first=is_first)

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """Requests are counted by the day, tokens by the minute."""
        return (
            ("x-request-id", request_id),
            ("x-groq-region", "dls"),
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-remaining-requests", "14370"),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-limit-tokens", "18000"),
            ("x-ratelimit-remaining-tokens", "17997"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        )
