"""Cerebras and Perplexity.

Source: https://inference-docs.cerebras.ai and https://docs.perplexity.ai
(read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, ClassVar

from pulse_gateway.testing.simulator.compatible.base import Chunk, Compatible, Told
from pulse_gateway.testing.simulator.compatible.perplexity_embedding import perplexity_embeddings
from pulse_gateway.testing.simulator.openai.body import json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["Cerebras", "Perplexity"]

_SOURCE = {"title": "Simulated source", "url": "https://example.com/source", "date": "2026-11-24"}


class Cerebras(Compatible):
    """`reasoning`, times in every answer, and no penalties."""

    name = "cerebras"
    extras = frozenset({"clear_thinking", "disable_reasoning"})
    reasoners = r"gpt-oss|qwen-3|glm"
    reasoning_field = "reasoning"
    usage_in = "finish"
    listed: ClassVar[tuple[str, ...]] = ("gpt-oss-120b", "qwen-3-32b")

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        for name in ("frequency_penalty", "presence_penalty", "logit_bias"):
            if body.get(name):
                raise refuse(f"Unsupported parameter: {name}", code="wrong_api_format", param=name)

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        message.pop("reasoning", None)
        return message

    def reasoning_tokens(self, body: dict[str, Any], model: str) -> int:
        return 0 if body.get("disable_reasoning") else super().reasoning_tokens(body, model)

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        reply["time_info"] = _times(told)

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        chunks[-1].data["time_info"] = _times(told)

    def error_body(self, refusal: Refusal) -> Any:
        """Without an envelope."""
        return refusal.error


class Perplexity(Compatible):
    """Sources with every piece, a running count of tokens, the finish reason beside the last text, and no `[DONE]`."""

    name = "perplexity"
    offers = frozenset({"embeddings"})
    extras = frozenset(
        {
            "disable_search", "enable_search_classifier", "language_preference", "last_updated_after_filter", "media_response",
            "return_images", "return_related_questions", "search_domain_filter", "search_mode", "search_recency_filter",
            "top_k", "web_search_options",
        }
    )  # fmt: skip
    reasoners = "reasoning|deep-research"
    reasoning_field = None
    usage_in = "own"
    ends_with_done = False
    listed: ClassVar[tuple[str, ...]] = ("sonar", "sonar-pro", "sonar-reasoning-pro")

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        if body.get("tools"):
            raise refuse("Tool calling is not supported for this model.", param="tools")

    def take(self, request: Request, target: Target) -> Work | Chat:
        if target.operation == "embeddings":
            return perplexity_embeddings(json_body(request, ""), self._seed)
        return super().take(request, target)

    def error_body(self, refusal: Refusal) -> Any:
        return refusal.error if "detail" in refusal.error else super().error_body(refusal)

    def message(self, message: dict[str, Any], reasoning: str) -> None:
        """Reasoning is a part of the text."""
        if reasoning:
            message["content"] = f"{self.written_reasoning(reasoning)}{message['content'] or ''}"

    def written_reasoning(self, reasoning: str) -> str:
        return f"<think>\n{reasoning}\n</think>\n\n"

    def reasoning_delta(self, piece: str) -> dict[str, Any]:
        return {"content": piece}

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        self._cite(reply)

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        usage = chunks[-1].data.get("usage")
        if usage is not None:
            chunks.pop()
        if len(chunks) > 2 and chunks[-1].data["choices"][0]["delta"] == {}:
            last = chunks.pop()
            chunks[-1].data["choices"][0]["finish_reason"] = last.data["choices"][0]["finish_reason"]
            chunks[-1].output_tokens = last.output_tokens
        for chunk in chunks:
            self._cite(chunk.data)
            if usage is not None:
                sent = usage["prompt_tokens"]
                so_far = {"completion_tokens": chunk.output_tokens, "total_tokens": sent + chunk.output_tokens}
                chunk.data["usage"] = {**usage, **so_far, "cost": _perplexity_cost(0, 0, 0)}
        if usage is not None:
            chunks[-1].data["usage"] = usage

    def usage(self, usage: dict[str, Any], told: Told) -> None:
        """A search is paid for beside the tokens."""
        usage["cost"] = _perplexity_cost(usage["prompt_tokens"], usage["completion_tokens"], 1)

    def _cite(self, body: dict[str, Any]) -> None:
        body["citations"] = [_SOURCE["url"]]
        body["search_results"] = [_SOURCE]


def _times(told: Told) -> dict[str, float]:
    return {"queue_time": 0.001, "prompt_time": 0.002, "completion_time": 0.01, "total_time": 0.013}


def _perplexity_cost(sent: int, written: int, searches: int) -> dict[str, float]:
    nano_usd = {
        "input_tokens_cost": 3_000 * sent,
        "output_tokens_cost": 15_000 * written,
        "request_cost": 6_000_000 * searches,
    }
    return {
        name: amount / 1_000_000_000 for name, amount in (*nano_usd.items(), ("total_cost", sum(nano_usd.values())))
    }
