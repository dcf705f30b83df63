"""A Chat Completions request → the neutral form, for models that speak another dialect.

Source: `openai/types/chat/completion_create_params.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import (
    ChatRequest,
    Message,
    Part,
    ReasoningControl,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.wire.openai_chat.members import Members
from pulse_gateway.wire.openai_chat.parts import decode_assistant_part, decode_text_part, decode_user_part
from pulse_gateway.wire.openai_chat.schema import decode_request_object

__all__ = ["decode_request"]

# Pure hints: an answer without them is the answer that was asked for.
_HINTS = ("prediction", "prompt_cache_key", "metadata")
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
_EFFORTS = {
    control.effort: control
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
        if members.peek(name) in values:
            members.take(name)
    hints = {name: value for name in _HINTS if (value := members.take(name)) is not None}
    in_body = members.take_text("model")
    name = model or in_body or ""
    if not name:
        raise members.wrong("model", "is required")
    streamed = members.take_flag("stream")
    tools = tuple(tool for entry in members.take_objects("tools") if (tool := _tool(entry)) is not None)
    logprobs, top_logprobs = _logprobs(members)
    seed = members.take_integer("seed")
    n = members.take_integer("n", least=1)
    return ChatRequest(
        model=name,
        messages=_messages(members),
        stream=bool(streamed) if stream is None else stream,
        include_usage=_include_usage(members, hints),
        max_output_tokens=_max_output_tokens(members),
        temperature=members.take_number("temperature"),
        top_p=members.take_number("top_p"),
        stop=_stop(members),
        n=None if n == 1 else n,
        seed=seed,
        presence_penalty=members.take_number("presence_penalty") or None,
        frequency_penalty=members.take_number("frequency_penalty") or None,
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        tools=tools,
        tool_choice=_tool_choice(members, tools),
        parallel_tool_calls=False if members.take_flag("parallel_tool_calls") is False else None,
        response_format=_response_format(members),
        reasoning=_reasoning(members),
        user=_user(members, hints),
        extra=members.leftovers,
        hints=hints,
    )


# ── parameters ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _include_usage(members: Members, hints: dict[str, Any]) -> bool:
    options = members.take_object("stream_options")
    if options is None:
        return False
    if (obfuscation := options.take_flag("include_obfuscation")) is not None:
        hints[options.at("include_obfuscation")] = obfuscation
    return options.take_flag("include_usage") is True


def _max_output_tokens(members: Members) -> int | None:
    current = members.take_integer("max_completion_tokens", least=1)
    legacy = members.take_integer("max_tokens", least=1)
    if current is not None and legacy is not None and current != legacy:
        raise members.wrong("max_tokens", "contradicts max_completion_tokens")
    return legacy if current is None else current


def _stop(members: Members) -> tuple[str, ...]:
    match members.take("stop"):
        case None:
            return ()
        case str(only):
            return (only,)
        case [*several] if all(isinstance(entry, str) for entry in several):
            return tuple(several)
        case _:
            raise members.wrong("stop", "expected a string or a list of strings")


def _logprobs(members: Members) -> tuple[bool | None, int | None]:
    wanted = members.take_flag("logprobs") or None
    top = members.take_integer("top_logprobs", least=0) or None
    if top and not wanted:
        raise members.wrong("top_logprobs", "needs logprobs: true")
    return wanted, top


def _tool(entry: Members) -> Tool | None:
    """None for a custom or hosted tool: it is left over, and refused by its path."""
    if entry.peek("type") != "function":
        entry.required("type")
        return None
    entry.take("type")
    function = entry.take_required_object("function")
    return Tool(
        name=function.take_required_text("name"),
        description=function.take_text("description"),
        parameters=function.take_schema("parameters"),
        strict=function.take_flag("strict") or None,
    )


def _tool_choice(members: Members, tools: tuple[Tool, ...]) -> ToolChoice | None:
    word = members.peek("tool_choice")
    if word is None:
        return None
    if isinstance(word, str):
        members.take("tool_choice")
        if word not in _MODES:
            raise members.wrong("tool_choice", "has an unknown value")
        if word == "required" and not tools:
            raise members.wrong("tool_choice", "needs tools")
        return _MODES[word] if tools else None
    if isinstance(word, dict) and word.get("type") == "custom":
        return None  # left over
    choice = members.take_required_object("tool_choice")
    match choice.take_required_text("type"):
        case "function":
            function = choice.take_required_object("function")
            return ToolChoice("required", (_declared(function, tools),))
        case "allowed_tools":
            return _allowed_tools(choice.take_required_object("allowed_tools"), tools)
        case _:
            raise choice.wrong("type", "has an unknown value")


def _allowed_tools(allowed: Members, tools: tuple[Tool, ...]) -> ToolChoice:
    mode = allowed.take_required_text("mode")
    names: list[str] = []
    for entry in allowed.take_objects("tools"):
        if entry.take_required_text("type") != "function":
            raise entry.wrong("type", "only functions may be allowed here")
        names.append(_declared(entry.take_required_object("function"), tools))
    if not names:
        raise allowed.wrong("tools", "names no tool")
    if mode == "auto":
        return ToolChoice("auto", tuple(names))
    if mode == "required":
        return ToolChoice("required", tuple(names))
    raise allowed.wrong("mode", "has an unknown value")


def _declared(function: Members, tools: tuple[Tool, ...]) -> str:
    name = function.take_required_text("name")
    if all(tool.name != name for tool in tools):
        raise function.wrong("name", "names no tool of this request")
    return name


def _response_format(members: Members) -> ResponseFormat | None:
    """None for plain text, and for a type that only some vendor knows: that one is left over."""
    told = members.peek("response_format")
    if isinstance(told, dict) and told.get("type") not in (None, "text", "json_object", "json_schema"):
        return None
    wanted = members.take_object("response_format")
    kind = wanted.take_required_text("type") if wanted else None
    if kind == "json_object":
        return ResponseFormat("json_object")
    if wanted is None or kind != "json_schema":
        return None
    schema = wanted.take_required_object("json_schema")
    return ResponseFormat(
        "json_schema",
        schema=schema.take_schema("schema") or {},
        name=schema.take_required_text("name"),
        description=schema.take_text("description"),
        strict=schema.take_flag("strict") or None,
    )


def _reasoning(members: Members) -> ReasoningControl | None:
    effort = members.take_text("reasoning_effort")
    if effort is None:
        return None
    if effort not in _EFFORTS:
        raise members.wrong("reasoning_effort", "has an unknown value")
    return _EFFORTS[effort]


def _user(members: Members, hints: dict[str, Any]) -> str | None:
    """`safety_identifier` is what OpenAI now calls the legacy `user`; two different ones have one place."""
    user, identifier = members.take_text("user"), members.take_text("safety_identifier")
    if user is not None and identifier is not None and user != identifier:
        hints["safety_identifier"] = identifier
    return identifier if user is None else user


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _messages(members: Members) -> tuple[Message, ...]:
    entries = members.take_objects("messages")
    if not entries:
        raise members.wrong("messages", "expected at least one message")
    calls: set[str] = set()
    messages: list[Message] = []
    for entry in entries:
        entry.required("role")
        match entry.peek("role"):
            case "system" | "developer":
                entry.take("role")
                parts: tuple[Part, ...] = tuple(_content(entry, decode_text_part))
                messages.append(Message("system", parts, name=entry.take_text("name"), path=entry.path))
            case "user":
                entry.take("role")
                parts = tuple(_content(entry, decode_user_part))
                messages.append(Message("user", parts, name=entry.take_text("name"), path=entry.path))
            case "assistant":
                entry.take("role")
                parts = tuple(_assistant(entry, calls))
                messages.append(Message("assistant", parts, name=entry.take_text("name"), path=entry.path))
            case "tool":
                entry.take("role")
                messages.append(Message("tool", (_tool_result(entry, calls),), path=entry.path))
            case "function":
                continue  # the predecessor of `tool` has no call ids: left over, and refused by its path
            case _:
                raise entry.wrong("role", "has an unknown value")
    return tuple(messages)


def _content(entry: Members, decode: Any) -> list[Any]:
    """The content of a message that must have some. Each list entry goes through `decode`; None is left over."""
    entry.required("content")
    if isinstance(entry.peek("content"), str):
        return [TextPart(entry.take_required_text("content"))]
    if entry.peek("content") == []:
        raise entry.wrong("content", "expected at least one part")
    return [part for piece in entry.take_objects("content") if (part := decode(piece)) is not None]


def _assistant(entry: Members, calls: set[str]) -> list[Part]:
    """Reasoning first, then what was said, then the calls: the order in which a model makes them. Their ids join `calls`."""
    parts: list[Part] = []
    if reasoning := _reasoning_text(entry):
        parts.append(ReasoningPart(reasoning))
    content = entry.peek("content")
    if isinstance(content, str):
        entry.take("content")
        if content:
            parts.append(TextPart(content))
    else:
        parts += [decode_assistant_part(piece) for piece in entry.take_objects("content")]
    if refusal := entry.take_text("refusal"):
        parts.append(RefusalPart(refusal))
    for position, call in enumerate(entry.take_objects("tool_calls")):
        call.required("id")
        calls.add(call.peek("id"))
        if (part := _tool_call(call, position)) is not None:
            parts.append(part)
    if entry.peek("annotations") == []:
        entry.take("annotations")
    return parts


def _reasoning_text(entry: Members) -> str | None:
    """Two vendors' names for one text; where they differ the second is left over."""
    text = entry.take_text("reasoning_content")
    if text is None or entry.peek("reasoning") == text:
        return entry.take_text("reasoning") or text
    return text


def _tool_call(call: Members, position: int) -> ToolCallPart | None:
    """None for a custom tool's call, which is left over. `index`, a trace of streaming, says nothing new."""
    if call.peek("type") not in (None, "function"):
        return None
    call.take("type")
    if call.peek("index") == position:
        call.take("index")
    function = call.take_required_object("function")
    return ToolCallPart(
        id=call.take_required_text("id"),
        name=function.take_required_text("name"),
        arguments=function.take_text("arguments") or "",
        signature=_thought_signature(call),
    )


def _thought_signature(call: Members) -> str | None:
    content = call.take_object("extra_content")
    google = content.take_object("google") if content else None
    return google.take_text("thought_signature") if google else None


def _tool_result(entry: Members, calls: set[str]) -> ToolResultPart:
    call_id = entry.take_required_text("tool_call_id")
    if call_id not in calls:
        path = entry.at("tool_call_id")
        raise InvalidRequest(f"{path}: no earlier assistant message makes this call", param=path)
    return ToolResultPart(call_id, tuple(_content(entry, decode_text_part)), name=entry.take_text("name"))
