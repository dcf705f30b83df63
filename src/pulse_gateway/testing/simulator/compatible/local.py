"""Servers that people run themselves: Ollama, vLLM, LM Studio.

Source: https://docs.ollama.com/api/openai-compatibility, https://docs.vllm.ai/en/latest/serving/openai_compatible_server and
https://lmstudio.ai/docs/developer/openai-compat (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, ClassVar

from pulse_gateway.testing.simulator.compatible.base import Chunk, Compatible, Told
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.vendor import Refusal

__all__ = ["VLLM", "LMStudio", "Ollama"]

_WINDOW_TOKENS = 4096


class Ollama(Compatible):
    """A window of 4096 tokens that cuts the prompt in silence, calls in one piece and all with index 0, nothing enforced."""

    name = "ollama"
    offers = frozenset({"embeddings", "responses", "transcription"})
    ignores_unknown = True
    needs_key = False
    reasoners = r"gpt-oss|qwen3|deepseek-r1|magistral"
    reasoning_field = "reasoning"
    listed: ClassVar[tuple[str, ...]] = ("gpt-oss:20b", "llama3.3")

    def plain(self, body: dict[str, Any]) -> dict[str, Any]:
        for name in ("tool_choice", "parallel_tool_calls", "logit_bias", "n", "user"):
            body.pop(name, None)
        return body

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        if any(tool["type"] != "function" for tool in body.get("tools") or ()):
            raise refuse("invalid tool type", param="tools")

    def usage(self, usage: dict[str, Any], told: Told) -> None:
        read = min(usage["prompt_tokens"], _WINDOW_TOKENS)
        usage["prompt_tokens"] = read
        usage["total_tokens"] = read + usage["completion_tokens"]
        for name in ("prompt_tokens_details", "completion_tokens_details"):
            usage.pop(name, None)

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        message.pop("reasoning", None)
        return message

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        """Tool calls are put together again."""
        calls = [
            call
            for chunk in chunks
            for choice in chunk.data["choices"]
            for call in choice["delta"].get("tool_calls", ())
        ]
        whole: dict[int, str] = {}
        for call in calls:
            whole[call["index"]] = whole.get(call["index"], "") + call["function"]["arguments"]
        kept: list[Chunk] = []
        for chunk in chunks:
            found = [call for choice in chunk.data["choices"] for call in choice["delta"].get("tool_calls", ())]
            if found and "id" not in found[0]:
                kept[-1].output_tokens = chunk.output_tokens
                continue
            for call in found:
                call["function"]["arguments"] = whole[call["index"]]
                call["index"] = 0
            kept.append(chunk)
        chunks[:] = kept

    def error_body(self, refusal: Refusal) -> Any:
        error = refusal.error
        kind = "api_error" if refusal.status >= 500 or refusal.status == 404 else error.get("type")
        return {"error": {"message": error.get("message"), "type": kind, "param": None, "code": None}}


class VLLM(Compatible):
    """Tools if the server was started for them, sampling extras at the top level, codes that are numbers, running usage.

    Models with `no-tools` in their names run on a server without the flags for tools; those with `older` answer with
    `reasoning_content`.
    """

    name = "vllm"
    offers = frozenset({"embeddings", "rerank", "responses", "speech", "transcription", "translation"})
    ignores_unknown = True
    needs_key = False
    reasoners = r"qwen3|Qwen3|gpt-oss|DeepSeek-R1|older"
    reasoning_field = "reasoning"
    listed: ClassVar[tuple[str, ...]] = ("Qwen/Qwen3-32B", "openai/gpt-oss-120b")

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        if body.get("tools") and "no-tools" in str(body.get("model")) and body.get("tool_choice") != "none":
            raise refuse(
                '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', param="tools"
            )

    def plain(self, body: dict[str, Any]) -> dict[str, Any]:
        options = body.get("stream_options")
        if isinstance(options, dict):
            body["stream_options"] = {"include_usage": bool(options.get("include_usage"))}
        return body

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        for name in ("reasoning", "reasoning_content"):
            message.pop(name, None)
        return message

    def message(self, message: dict[str, Any], reasoning: str) -> None:
        message["reasoning"] = reasoning or None

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        reply["prompt_logprobs"] = None
        reply["kv_transfer_params"] = None
        for choice in reply["choices"]:
            choice["stop_reason"] = None
            if _is_older(told):
                choice["message"]["reasoning_content"] = choice["message"].pop("reasoning")

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        running = bool((told.body.get("stream_options") or {}).get("continuous_usage_stats"))
        sent = told.answer.usage.input_total
        for chunk in chunks:
            for choice in chunk.data["choices"]:
                if _is_older(told) and "reasoning" in choice["delta"]:
                    choice["delta"]["reasoning_content"] = choice["delta"].pop("reasoning")
            if running and "usage" not in chunk.data:
                done = chunk.output_tokens + chunk.reasoning_tokens
                chunk.data["usage"] = {"prompt_tokens": sent, "completion_tokens": done, "total_tokens": sent + done}

    def error_body(self, refusal: Refusal) -> Any:
        kinds = {400: "BadRequestError", 401: "AuthenticationError", 404: "NotFoundError", 429: "RateLimitError"}
        error = refusal.error
        kind = kinds.get(refusal.status, "InternalServerError")
        return {
            "error": {
                "message": error.get("message"),
                "type": kind,
                "param": error.get("param"),
                "code": refusal.status,
            }
        }


class LMStudio(Compatible):
    """Statistics with every answer; takes whatever it is sent."""

    name = "lmstudio"
    offers = frozenset({"embeddings", "responses"})
    ignores_unknown = True
    needs_key = False
    reasoners = r"gpt-oss|qwen3|deepseek-r1|magistral"
    listed: ClassVar[tuple[str, ...]] = ("openai/gpt-oss-20b", "qwen3-8b")

    def plain_message(self, message: dict[str, Any]) -> dict[str, Any]:
        message.pop("reasoning_content", None)
        return message

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        reply["stats"] = {}
        for choice in reply["choices"]:
            choice["message"].setdefault("tool_calls", [])

    def error_body(self, refusal: Refusal) -> Any:
        return {"error": refusal.error.get("message")}


def _is_older(told: Told) -> bool:
    return "older" in told.chat.model
