"""A client's Messages request → `ChatRequest`.

What has no neutral form stands in `extra` under its path, to be refused by name elsewhere: server tools, files by id,
citations, containers, and every field this module has never heard of. Only `cache_control` and `eager_input_streaming` are
hints: they change cost and pace, never the answer.

Source: anthropic 2.12.0, type `MessageCreateParams` (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import ChatRequest, ReasoningControl, ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.anthropic_messages.client_messages import MessageReader
from pulse_gateway.wire.anthropic_messages.envelope import MAX_TOKENS
from pulse_gateway.wire.anthropic_messages.members import Leftovers, Members, decode

__all__ = ["decode_request"]

_ANY = msgspec.json.Decoder()
_Effort = Literal["low", "medium", "high", "xhigh", "max"]
_EFFORTS: dict[str, _Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_SUMMARY = {"summarized": True, "omitted": False}


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
    """`model` and `stream` are for hosts that keep them outside the body.

    Raises: InvalidRequest, `param` naming the path of the bad field.
    """
    top = Members(decode(_ANY, body), "")
    leftovers = Leftovers()
    turns = MessageReader(body, leftovers)
    named, streamed = top.take("model", str), top.take("stream", bool)
    if not (model or named):
        raise InvalidRequest("the field 'model' is required", param="model")
    messages = turns.system(top.take_any("system")) + turns.messages(top.need("messages", list))
    tool_choice, parallel_tool_calls = _tool_choice(top, leftovers)
    reasoning, response_format = _output(top, leftovers)
    request = ChatRequest(
        model=model or named or "",
        messages=tuple(messages),
        stream=bool(streamed) if stream is None else stream,
        include_usage=True,
        max_output_tokens=_max_tokens(top, leftovers),
        temperature=top.take("temperature", float),
        top_p=top.take("top_p", float),
        top_k=top.take("top_k", int),
        stop=_stop(top),
        tools=_tools(top, leftovers),
        tool_choice=tool_choice,
        parallel_tool_calls=parallel_tool_calls,
        response_format=response_format,
        reasoning=reasoning,
        user=_user(top, leftovers),
        extra=leftovers.extra,
        hints=leftovers.hints,
    )
    top.skip("service_tier", "auto")
    top.skip("speed", "standard")
    leftovers.close(top)
    return request


def _max_tokens(top: Members, leftovers: Leftovers) -> int | None:
    limit = top.need("max_tokens", int)
    if not 0 <= limit <= MAX_TOKENS:
        raise InvalidRequest(f"the limit is between 0 and {MAX_TOKENS}", param=top.at("max_tokens"))
    if limit == 0:  # warms this vendor's prompt cache and asks for no answer
        leftovers.extra[top.at("max_tokens")] = 0
        return None
    return limit


def _stop(top: Members) -> tuple[str, ...]:
    sequences = top.take("stop_sequences", list) or []
    for number, sequence in enumerate(sequences):
        if not isinstance(sequence, str):
            raise InvalidRequest("expected a string", param=f"{top.at('stop_sequences')}[{number}]")
    return tuple(sequences)


def _user(top: Members, leftovers: Leftovers) -> str | None:
    value = top.take("metadata", dict)
    if value is None:
        return None
    metadata = Members(value, top.at("metadata"))
    user = metadata.take("user_id", str)
    leftovers.close(metadata)
    return user


def _tools(top: Members, leftovers: Leftovers) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for number, value in enumerate(top.take("tools", list) or []):
        tool = Members(value, f"{top.at('tools')}[{number}]")
        if (tool.take("type", str) or "custom") != "custom":  # a tool that runs at this vendor
            leftovers.extra[tool.path] = value
            continue
        schema = tool.need("input_schema", dict)
        tools.append(Tool(tool.need("name", str), tool.take("description", str), schema, tool.take("strict", bool)))
        tool.skip("defer_loading", False)
        tool.skip("allowed_callers", ["direct"])
        tool.skip("input_examples", [])
        eager = tool.take("eager_input_streaming", bool)
        if eager is not None:
            leftovers.hints[tool.at("eager_input_streaming")] = eager
        leftovers.close(tool)
    return tuple(tools)


def _tool_choice(top: Members, leftovers: Leftovers) -> tuple[ToolChoice | None, bool | None]:
    value = top.take("tool_choice", dict)
    if value is None:
        return None, None
    choice = Members(value, top.at("tool_choice"))
    match choice.need("type", str):
        case "auto":
            neutral = ToolChoice("auto")
        case "any":
            neutral = ToolChoice("required")
        case "tool":
            neutral = ToolChoice("required", (choice.need("name", str),))
        case "none":
            neutral = ToolChoice("none")
        case _:
            raise InvalidRequest("the type is one of 'auto', 'any', 'tool' and 'none'", param=choice.at("type"))
    single = choice.take("disable_parallel_tool_use", bool)
    leftovers.close(choice)
    return neutral, False if single else None


def _output(top: Members, leftovers: Leftovers) -> tuple[ReasoningControl | None, ResponseFormat | None]:
    output = Members(top.take("output_config", dict) or {}, top.at("output_config"))
    effort = output.take("effort", str)
    form = output.take("format", dict)
    leftovers.close(output)
    if effort is not None and effort not in _EFFORTS:
        leftovers.extra[output.at("effort")] = effort
        effort = None
    thinking = top.take("thinking", dict)
    return (
        _reasoning(thinking, top.at("thinking"), _EFFORTS[effort] if effort else None, output.at("effort"), leftovers),
        None if form is None else _response_format(Members(form, output.at("format")), leftovers),
    )


def _reasoning(
    value: dict[str, Any] | None, path: str, effort: _Effort | None, effort_path: str, leftovers: Leftovers
) -> ReasoningControl | None:
    if value is None:
        return ReasoningControl(effort=effort) if effort else None
    thinking = Members(value, path)
    display = thinking.take("display", str)
    if display is not None and display not in _SUMMARY:
        leftovers.extra[thinking.at("display")] = display
    summary = _SUMMARY.get(display or "")
    match thinking.need("type", str):
        case "enabled":
            budget_tokens = thinking.need("budget_tokens", int)
            if budget_tokens < 1:
                raise InvalidRequest("the budget must be positive", param=thinking.at("budget_tokens"))
            control = ReasoningControl(effort, budget_tokens, summary=summary)
        case "adaptive":
            control = ReasoningControl(effort, adaptive=True, summary=summary)
        case "disabled":
            if effort is not None:  # here effort is about the answer alone, which the neutral form does not know
                leftovers.extra[effort_path] = effort
            control = ReasoningControl("none")
        case _:
            leftovers.extra[path] = value
            return None
    leftovers.close(thinking)
    return control


def _response_format(form: Members, leftovers: Leftovers) -> ResponseFormat | None:
    kind = form.need("type", str)
    if kind != "json_schema":
        leftovers.extra[form.at("type")] = kind
        return None
    schema = form.need("schema", dict)
    leftovers.close(form)
    return ResponseFormat("json_schema", schema)
