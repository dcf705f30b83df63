"""From an answer to a response object.

Source: https://developers.openai.com/api/docs/api-reference/responses/object (read 2026-11-24) and openai 3.54.0
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Answer, Choice
from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.openai.models import Traits
from pulse_gateway.testing.simulator.openai.responses.items import encrypted
from pulse_gateway.testing.simulator.openai.responses.schema import ResponseRequest
from pulse_gateway.testing.simulator.tokens import count_bytes

__all__ = ["Spoken", "cut_short", "logprobs", "output_items", "response_object"]

_INCOMPLETE = frozenset({"max_output_tokens", "max_messages", "content_filter", "steered"})
_TIERS = {"fast": "priority", "priority": "priority", "flex": "flex", "scale": "scale", "ultrafast": "ultrafast"}


class Spoken(msgspec.Struct, frozen=True, kw_only=True):
    """A request and the answer to it."""

    request: ResponseRequest
    traits: Traits
    answer: Answer
    faults: Faults
    seed: int
    ttl_12h: bool  # what was written to the cache is kept for twelve hours

    @property
    def choice(self) -> Choice:
        return self.answer.choices[0]

    @property
    def status(self) -> str:
        if self.faults.fail is not None:
            return "failed"
        return "incomplete" if self.reason is not None else "completed"

    @property
    def reason(self) -> str | None:
        """Why it is incomplete."""
        if self.faults.finish in _INCOMPLETE:
            return self.faults.finish
        return "max_output_tokens" if self.choice.finish == "length" else None

    def id(self, prefix: str, label: str = "") -> str:
        return identifier(prefix, self.answer.digest, label or prefix, 48)


def cut_short(spoken: Spoken) -> None:
    """Leave half of the text and no calls: what there was when the response failed."""
    choice, usage = spoken.choice, spoken.answer.usage
    choice.text, choice.calls, choice.finish = choice.text[: len(choice.text) // 2], [], "length"
    choice.output_tokens = usage.output = count_bytes(len(choice.text.encode()))


def output_items(spoken: Spoken) -> list[dict[str, Any]]:
    """Reasoning, then what is said, then what is called; whatever was cut is incomplete."""
    choice = spoken.choice
    whole = "incomplete" if spoken.status != "completed" else "completed"
    items: list[dict[str, Any]] = []
    if choice.reasoning_tokens:
        items.append(_reasoning(spoken))
    if choice.text or (not choice.calls and not (items and choice.finish == "length")):
        items.append(_message(spoken, "completed" if choice.calls else whole))
    for at, call in enumerate(choice.calls):
        item: dict[str, Any] = {
            "id": spoken.id("ctc_" if call.custom else "fc_", str(at)),
            "type": "custom_tool_call" if call.custom else "function_call",
            "status": "completed" if call.whole else "incomplete",
            "call_id": spoken.id("call_", str(at))[:29],
            "name": call.name,
        }
        item["input" if call.custom else "arguments"] = call.arguments
        items.append(item)
    return items


def response_object(spoken: Spoken, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    """`status` is `in_progress` or `queued` until it is the final one."""
    request, faults = spoken.request, spoken.faults
    final = status == spoken.status
    settings = request.reasoning
    effort = (settings.effort if settings else None) or (
        spoken.traits.default_effort if spoken.traits.reasons else None
    )
    created = spoken.answer.created
    return {
        "id": spoken.id("resp_"),
        "object": "response",
        "created_at": created,
        "completed_at": created + 1 if status == "completed" else None,
        "status": status,
        "background": bool(request.background),
        "error": _error(faults.fail) if final and faults.fail is not None else None,
        "incomplete_details": {"reason": spoken.reason} if status == "incomplete" else None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata or {},
        "model": request.model,
        "output": output,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {
            "effort": effort,
            "summary": (settings.summary or settings.generate_summary) if settings else None,
        },
        "safety_identifier": request.safety_identifier,
        "service_tier": _TIERS.get(request.service_tier or "", "default"),
        "store": request.store is not False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": _text_settings(request),
        "tool_choice": request.tool_choice or "auto",
        "tools": [_shown_tool(tool) for tool in request.tools or ()],
        "top_logprobs": request.top_logprobs or 0,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": request.truncation or "disabled",
        "usage": _usage(spoken) if final and not faults.no_usage else None,
        "user": request.user or None,
    }


def _reasoning(spoken: Spoken) -> dict[str, Any]:
    item_id = spoken.id("rs_")
    text = spoken.choice.reasoning
    item: dict[str, Any] = {
        "id": item_id,
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text}] if text else [],
    }
    if "reasoning.encrypted_content" in (spoken.request.include or ()):
        item["encrypted_content"] = encrypted(spoken.seed, item_id)
    return item


def _message(spoken: Spoken, status: str) -> dict[str, Any]:
    choice = spoken.choice
    part: dict[str, Any] = {"type": "refusal", "refusal": choice.text}
    if not choice.refusal:
        part = {
            "type": "output_text",
            "text": choice.text,
            "annotations": [],
            "logprobs": logprobs(spoken, choice.text),
        }
    return {"id": spoken.id("msg_"), "type": "message", "role": "assistant", "status": status, "content": [part]}


def logprobs(spoken: Spoken, text: str) -> list[dict[str, Any]]:
    """One entry for each word, if they were asked for."""
    request = spoken.request
    if "message.output_text.logprobs" not in (request.include or ()) or not text:
        return []

    def entry(word: str, rank: int) -> dict[str, Any]:
        return {"token": word, "bytes": list(word.encode()), "logprob": -0.125 * (rank + 1)}

    ranks = range(request.top_logprobs or 0)
    return [{**entry(word, 0), "top_logprobs": [entry(word, rank) for rank in ranks]} for word in text.split(" ")]


def _error(code: str) -> dict[str, str]:
    known = {"rate_limit_exceeded": "Rate limit reached. Please try again later."}
    code = "server_error" if code == "INTERNAL" else code  # what a bare `fail` says
    return {"code": code, "message": known.get(code, "The model could not finish its response.")}


def _text_settings(request: ResponseRequest) -> dict[str, Any]:
    settings = request.text
    wanted: Any = msgspec.to_builtins(settings.format) if settings and settings.format else {"type": "text"}
    if wanted["type"] == "json_schema":
        wanted = {"description": None, **wanted, "strict": bool(wanted.get("strict"))}
    return {"format": wanted, "verbosity": (settings.verbosity if settings else None) or "medium"}


def _shown_tool(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, **tool, "strict": tool.get("strict", True) is True}


def _usage(spoken: Spoken) -> dict[str, Any]:
    """Inclusive, as OpenAI counts."""
    usage = spoken.answer.usage
    output = usage.output + usage.reasoning
    details: dict[str, Any] = {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write}
    if usage.cache_write:
        longer = usage.cache_write if spoken.ttl_12h else 0
        details["cache_write_tokens_details"] = {
            "ttl_30m_tokens": usage.cache_write - longer,
            "ttl_12h_tokens": longer,
        }
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": details,
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input_total + output,
    }
