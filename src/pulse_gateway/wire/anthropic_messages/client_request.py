"""A client's Messages request → `ChatRequest`.

What has no neutral form stands in `extra` under its path, to be refused by name elsewhere: server tools, files by id,
citations that are asked for, containers, and every field this module has never heard of. Only `cache_control`,
`eager_input_streaming` and the citations of what was said are hints: they change cost and pace, never the answer.

Source: anthropic 2.12.0, type `MessageCreateParams` (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pulse_gateway.types.chat import ChatRequest, ReasoningControl, ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.anthropic_messages.client_messages import MessageReader
from pulse_gateway.wire.codec import MAX_COUNT
from pulse_gateway.wire.foreign_json import from_client
from pulse_gateway.wire.members import Members

__all__ = ["decode_request"]

_any = msgspec.json.Decoder().decode
_HINTS = frozenset({"cache_control", "eager_input_streaming"})
_Effort = Literal["low", "medium", "high", "xhigh", "max"]
_EFFORTS: dict[str, _Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_SUMMARY = {"summarized": True, "omitted": False}


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
    """`model` and `stream` are for hosts that keep them outside the body.

    Raises: InvalidRequest, `param` naming the path of the bad field.
    """
    top = Members(from_client(_any, body))
    reader = MessageReader(body)
    named, streamed = top.text("model"), top.flag("stream")
    if not (model or named):
        raise top.wrong("model", "is required")
    messages = (*reader.system(top), *reader.messages(top))
    top.skip("service_tier", "auto")
    top.skip("speed", "standard")
    tool_choice, parallel_tool_calls = _tool_choice(top)
    reasoning, response_format = _output(top)
    fields: dict[str, Any] = {
        "max_output_tokens": _max_tokens(top),
        "temperature": top.number("temperature"),
        "top_p": top.number("top_p"),
        "top_k": top.integer("top_k"),
        "stop": top.strings("stop_sequences"),
        "tools": tuple(tool for entry in top.children("tools") if (tool := _tool(entry)) is not None),
        "user": _user(top),
    }
    extra, hints = top.leftovers(_HINTS)
    return ChatRequest(
        model=model or named or "",
        messages=messages,
        stream=bool(streamed) if stream is None else stream,
        include_usage=True,
        tool_choice=tool_choice,
        parallel_tool_calls=parallel_tool_calls,
        response_format=response_format,
        reasoning=reasoning,
        extra=extra,
        hints=hints | reader.hints,
        **fields,
    )


def _max_tokens(top: Members) -> int | None:
    """0 warms this vendor's prompt cache and asks for no answer: it is left over."""
    limit = top.peek("max_tokens")
    if type(limit) is int and limit == 0:
        return None
    limit = top.integer("max_tokens", least=0, most=MAX_COUNT)
    if limit is None:
        raise top.wrong("max_tokens", "is required")
    return limit


def _user(top: Members) -> str | None:
    metadata = top.child("metadata")
    return metadata.text("user_id") if metadata else None


def _tool(entry: Members) -> Tool | None:
    """None for a tool that runs at this vendor: it is left over."""
    if (entry.text("type") or "custom") != "custom":
        entry.leave()
        return None
    schema = entry.need_object("input_schema")
    entry.skip("defer_loading", False)
    entry.skip("allowed_callers", ["direct"])
    entry.skip("input_examples", [])
    return Tool(entry.need_text("name"), entry.text("description"), schema, entry.flag("strict"))


def _tool_choice(top: Members) -> tuple[ToolChoice | None, bool | None]:
    choice = top.child("tool_choice")
    if choice is None:
        return None, None
    match choice.need_text("type"):
        case "auto":
            neutral = ToolChoice("auto")
        case "any":
            neutral = ToolChoice("required")
        case "tool":
            neutral = ToolChoice("required", (choice.need_text("name"),))
        case "none":
            neutral = ToolChoice("none")
        case _:  # yet to be invented: left over
            choice.leave()
            return None, None
    return neutral, False if choice.flag("disable_parallel_tool_use") else None


def _output(top: Members) -> tuple[ReasoningControl | None, ResponseFormat | None]:
    output = top.child("output_config") or Members({}, "output_config")
    thinking, form = top.child("thinking"), output.child("format")
    # Beside thinking that is off, effort is about the answer alone, which the neutral form does not know: it is left over.
    is_off = thinking is not None and thinking.peek("type") == "disabled"
    effort = None if is_off else _EFFORTS.get(output.word("effort", _EFFORTS) or "")
    return _reasoning(thinking, effort), None if form is None else _response_format(form)


def _reasoning(thinking: Members | None, effort: _Effort | None) -> ReasoningControl | None:
    if thinking is None:
        return ReasoningControl(effort=effort) if effort else None
    summary = _SUMMARY.get(thinking.word("display", _SUMMARY) or "")
    match thinking.need_text("type"):
        case "enabled":
            budget_tokens = thinking.integer("budget_tokens", least=1, most=MAX_COUNT)
            if budget_tokens is None:
                raise thinking.wrong("budget_tokens", "is required")
            return ReasoningControl(effort, budget_tokens, summary=summary)
        case "adaptive":
            return ReasoningControl(effort, adaptive=True, summary=summary)
        case "disabled":
            return ReasoningControl("none")
        case _:
            thinking.leave()
            return None


def _response_format(form: Members) -> ResponseFormat | None:
    """None for a format that is yet to be invented: it is left over."""
    if form.peek("type") != "json_schema":
        form.need_text("type")
        form.leave()
        return None
    form.take("type")
    return ResponseFormat("json_schema", form.need_object("schema"))
