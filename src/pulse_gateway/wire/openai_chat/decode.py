"""A Chat Completions request → the neutral form, for models that speak another dialect.

Source: `openai/types/chat/completion_create_params.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.chat import (
    ChatRequest,
    ReasoningControl,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from pulse_gateway.wire.codec import MAX_COUNT
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_chat.messages import decode_messages
from pulse_gateway.wire.openai_chat.schema import decode_request_object

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
_MODES = {"auto": ToolChoice("auto"), "none": ToolChoice("none"), "required": ToolChoice("required")}
_EFFORTS: dict[str, ReasoningControl] = {
    control.effort or "": control
    for control in (
        ReasoningControl(effort="none"),
        ReasoningControl(effort="minimal"),
        ReasoningControl(effort="low"),
        ReasoningControl(effort="medium"),
        ReasoningControl(effort="high"),
        ReasoningControl(effort="xhigh"),
        ReasoningControl(effort="max"),
    )
}


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
    """The request in neutral words; what has none is in `extra`, or in `hints` where it may be dropped.

    Raises: InvalidRequest, `param` naming the path of the bad member.
    """
    members = Members(decode_request_object(body))
    for name, values in _NOTHING_SPECIAL.items():
        members.skip(name, *values)
    hints = {name: value for name in _HINTS if (value := members.take(name)) is not None}
    in_body = members.text("model")
    name = model or in_body or ""
    if not name:
        raise members.wrong("model", "is required")
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
        "tool_choice": _tool_choice(members, tools),
        "parallel_tool_calls": False if members.flag("parallel_tool_calls") is False else None,
        "response_format": _response_format(members),
        "reasoning": _reasoning(members),
        "user": _user(members, hints),
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
    options = members.child("stream_options")
    if options is None:
        return False
    if (obfuscation := options.flag("include_obfuscation")) is not None:
        hints[options.at("include_obfuscation")] = obfuscation
    return options.flag("include_usage") is True


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


def _tool_choice(members: Members, tools: tuple[Tool, ...]) -> ToolChoice | None:
    """A custom tool, and a word or a type nobody here has heard of, are left over."""
    told = members.peek("tool_choice")
    if told is None:
        return None
    if isinstance(told, str):
        word = members.word("tool_choice", _MODES)
        if word == "required" and not tools:
            raise members.wrong("tool_choice", "needs tools")
        return _MODES[word] if word and tools else None
    choice = members.need_child("tool_choice")
    match choice.need_text("type"):
        case "function":
            return ToolChoice("required", (_declared(choice.need_child("function"), tools),))
        case "allowed_tools":
            return _allowed_tools(choice.need_child("allowed_tools"), tools)
        case _:
            choice.leave()
            return None


def _allowed_tools(allowed: Members, tools: tuple[Tool, ...]) -> ToolChoice | None:
    mode = allowed.need_word("mode", ("auto", "required"))
    names: list[str] = []
    known = True
    for entry in allowed.children("tools"):
        if entry.need_text("type") != "function":  # a custom or hosted tool: left over, as the tool itself is
            entry.leave()
            known = False
        else:
            names.append(_declared(entry.need_child("function"), tools))
    if not known:
        return None
    if not names:
        raise allowed.wrong("tools", "names no tool")
    if mode is None:
        return None
    return ToolChoice("auto" if mode == "auto" else "required", tuple(names))


def _declared(function: Members, tools: tuple[Tool, ...]) -> str:
    name = function.need_text("name")
    if all(tool.name != name for tool in tools):
        raise function.wrong("name", "names no tool of this request")
    return name


def _response_format(members: Members) -> ResponseFormat | None:
    """None for plain text, and for a type that only some vendor knows: that one is left over."""
    wanted = members.child("response_format")
    if wanted is None:
        return None
    match wanted.need_text("type"):
        case "text":
            return None
        case "json_object":
            return ResponseFormat("json_object")
        case "json_schema":
            schema = wanted.need_child("json_schema")
            return ResponseFormat(
                "json_schema",
                schema=schema.object("schema") or {},
                name=schema.need_text("name"),
                description=schema.text("description"),
                strict=schema.flag("strict") or None,
            )
        case _:
            wanted.leave()
            return None


def _reasoning(members: Members) -> ReasoningControl | None:
    """An effort nobody here has heard of is left over."""
    effort = members.word("reasoning_effort", _EFFORTS)
    return None if effort is None else _EFFORTS[effort]


def _user(members: Members, hints: dict[str, Any]) -> str | None:
    """`safety_identifier` is what OpenAI now calls the legacy `user`; two different ones have one place."""
    user, identifier = members.text("user"), members.text("safety_identifier")
    if user is not None and identifier is not None and user != identifier:
        hints["safety_identifier"] = identifier
    return identifier if user is None else user
