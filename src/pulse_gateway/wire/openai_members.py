"""What requests of OpenAI's two chat dialects say alike. Chat Completions puts into an object of its own what Responses says flat.

Source: `openai/types/chat/completion_create_params.py` and `openai/types/responses/response_create_params.py` of the `openai` SDK
3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from pulse_gateway.types.chat import ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.members import Members

__all__ = ["EFFORTS", "Effort", "read_format", "read_model", "read_stream_options", "read_tool_choice", "read_user"]

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
EFFORTS: dict[str, Effort] = {word: word for word in get_args(Effort)}
_MODES = {"auto": ToolChoice("auto"), "none": ToolChoice("none"), "required": ToolChoice("required")}


def read_model(members: Members, model: str | None) -> str:
    """Raises: InvalidRequest when neither the body nor `model` names one."""
    in_body = members.text("model")
    name = model or in_body or ""
    if not name:
        raise members.wrong("model", "is required")
    return name


def read_stream_options(members: Members, hints: dict[str, Any]) -> Members | None:
    """Whether chunks are padded changes nothing for who reads them."""
    options = members.child("stream_options")
    if options is not None and (obfuscation := options.flag("include_obfuscation")) is not None:
        hints[options.at("include_obfuscation")] = obfuscation
    return options


def read_tool_choice(members: Members, tools: tuple[Tool, ...], *, nested: bool) -> ToolChoice | None:
    """A custom or hosted tool, and a word or a type nobody here has heard of, are left over."""
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
            return ToolChoice("required", (_declared(choice, tools, nested),))
        case "allowed_tools":
            return _allowed_tools(choice.need_child("allowed_tools") if nested else choice, tools, nested)
        case _:
            choice.leave()
            return None


def _allowed_tools(allowed: Members, tools: tuple[Tool, ...], nested: bool) -> ToolChoice | None:
    mode = allowed.need_word("mode", ("auto", "required"))
    names: list[str] = []
    known = True
    for entry in allowed.children("tools"):
        if entry.need_text("type") != "function":  # a custom or hosted tool: left over, as the tool itself is
            entry.leave()
            known = False
        else:
            names.append(_declared(entry, tools, nested))
    if not known:
        return None
    if not names:
        raise allowed.wrong("tools", "names no tool")
    if mode is None:
        return None
    return ToolChoice("auto" if mode == "auto" else "required", tuple(names))


def _declared(named: Members, tools: tuple[Tool, ...], nested: bool) -> str:
    function = named.need_child("function") if nested else named
    name = function.need_text("name")
    if all(tool.name != name for tool in tools):
        raise function.wrong("name", "names no tool of this request")
    return name


def read_format(wanted: Members | None, *, nested: bool) -> ResponseFormat | None:
    """None for plain text, and for a type that only some vendor knows: that one is left over."""
    if wanted is None:
        return None
    match wanted.need_text("type"):
        case "text":
            return None
        case "json_object":
            return ResponseFormat("json_object")
        case "json_schema":
            told = wanted.need_child("json_schema") if nested else wanted
            return ResponseFormat(
                "json_schema",
                schema=(told.object("schema") or {}) if nested else told.need_object("schema"),
                name=told.need_text("name"),
                description=told.text("description"),
                strict=told.flag("strict") or None,
            )
        case _:
            wanted.leave()
            return None


def read_user(members: Members, hints: dict[str, Any]) -> str | None:
    """`safety_identifier` is what OpenAI now calls the legacy `user`; two different ones have one place."""
    user, identifier = members.text("user"), members.text("safety_identifier")
    if user is not None and identifier is not None and user != identifier:
        hints["safety_identifier"] = identifier
    return identifier if user is None else user
