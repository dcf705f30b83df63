"""A Chat Completions request → the neutral form, for models that speak another dialect.

Source: `openai/types/chat/completion_create_params.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.chat import ChatRequest, ReasoningControl, Tool
from pulse_gateway.wire.codec import MAX_COUNT
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_chat.messages import decode_messages
from pulse_gateway.wire.openai_chat.schema import decode_request_object
from pulse_gateway.wire.openai_members import (
    EFFORTS,
    read_format,
    read_model,
    read_stream_options,
    read_tool_choice,
    read_user,
)

__all__ = ["decode_request"]

# Pure hints: an answer without them is the answer that was asked for.
_HINTS = ("prediction", "prompt_cache_key", "metadata")
# In messages: what a search has found, and where a cache ends. They change nothing for another model.
_HINTS_INSIDE = frozenset({"annotations", "prompt_cache_breakpoint"})
# Values that ask for what happens anyway.
_NOTHING_SPECIAL: dict[str, tuple[Any, ...]] = {
    "store": (False,),
    "service_tier": ("auto", "default"),
    "modalities": (["text"],),
    "logit_bias": ({},),
    "metadata": ({},),
    "functions": ([],),
}


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
    """The request in neutral words; what has none is in `extra`, or in `hints` where it may be dropped.

    Raises: InvalidRequest, `param` naming the path of the bad member.
    """
    members = Members(decode_request_object(body))
    for name, values in _NOTHING_SPECIAL.items():
        members.skip(name, *values)
    hints = {name: value for name in _HINTS if (value := members.take(name)) is not None}
    name = read_model(members, model)
    streamed = members.flag("stream")
    tools = tuple(tool for entry in members.children("tools") if (tool := _tool(entry)) is not None)
    logprobs, top_logprobs = _logprobs(members)
    seed = members.integer("seed")
    n = members.integer("n", least=1, most=MAX_COUNT)
    fields: dict[str, Any] = {
        "messages": decode_messages(members),
        "include_usage": _include_usage(members, hints),
        "max_output_tokens": _max_output_tokens(members),
        "temperature": members.number("temperature"),
        "top_p": members.number("top_p"),
        "stop": _stop(members),
        "presence_penalty": members.number("presence_penalty") or None,
        "frequency_penalty": members.number("frequency_penalty") or None,
        "tool_choice": read_tool_choice(members, tools, nested=True),
        "parallel_tool_calls": False if members.flag("parallel_tool_calls") is False else None,
        "response_format": read_format(members.child("response_format"), nested=True),
        "reasoning": _reasoning(members),
        "user": read_user(members, hints),
    }
    extra, about = members.leftovers(_HINTS_INSIDE)
    return ChatRequest(
        model=name,
        stream=bool(streamed) if stream is None else stream,
        n=None if n == 1 else n,
        seed=seed,
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        tools=tools,
        extra=extra,
        hints=hints | about,
        **fields,
    )


def _include_usage(members: Members, hints: dict[str, Any]) -> bool:
    options = read_stream_options(members, hints)
    return options is not None and options.flag("include_usage") is True


def _max_output_tokens(members: Members) -> int | None:
    current = members.integer("max_completion_tokens", least=1, most=MAX_COUNT)
    legacy = members.integer("max_tokens", least=1, most=MAX_COUNT)
    if current is not None and legacy is not None and current != legacy:
        raise members.wrong("max_tokens", "contradicts max_completion_tokens")
    return legacy if current is None else current


def _stop(members: Members) -> tuple[str, ...]:
    if isinstance(members.peek("stop"), str):
        return (members.need_text("stop"),)
    return members.strings("stop")


def _logprobs(members: Members) -> tuple[bool | None, int | None]:
    wanted = members.flag("logprobs") or None
    top = members.integer("top_logprobs", least=0) or None
    if top and not wanted:
        raise members.wrong("top_logprobs", "needs logprobs: true")
    return wanted, top


def _tool(entry: Members) -> Tool | None:
    """None for a custom or hosted tool: it is left over, and refused by its path."""
    if entry.need_text("type") != "function":
        entry.leave()
        return None
    function = entry.need_child("function")
    return Tool(
        name=function.need_text("name"),
        description=function.text("description"),
        parameters=function.object("parameters"),
        strict=function.flag("strict") or None,
    )


def _reasoning(members: Members) -> ReasoningControl | None:
    """An effort nobody here has heard of is left over."""
    effort = members.word("reasoning_effort", EFFORTS)
    return None if effort is None else ReasoningControl(effort=EFFORTS[effort])
