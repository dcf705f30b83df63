"""A `generateContent` body → the neutral request.

Called only for a client whose request goes to another dialect. Whatever has no neutral form ends in `extra` or `hints`.

Source: https://ai.google.dev/api/generate-content (read 2026-11-24); `types.GenerateContentConfig` of google-genai 3.4.
"""

from __future__ import annotations

from typing import Any, Literal

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import ChatRequest, ReasoningControl, ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.gemini.decode_contents import ContentsDecoder
from pulse_gateway.wire.gemini.fields import Fields, decode_object
from pulse_gateway.wire.gemini.json_schema import json_schema
from pulse_gateway.wire.gemini.thinking import decode_thinking

__all__ = ["decode_request"]

_UNSET_TIERS = (None, "standard", "unspecified")
_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "AUTO": "auto",
    "ANY": "required",
    "NONE": "none",
    "MODE_UNSPECIFIED": "auto",
}


def decode_request(body: bytes, *, model: str | None, stream: bool | None) -> ChatRequest:
    """Raises: InvalidRequest (param: the camelCase path)."""
    if not model:
        raise InvalidRequest("the path names no model", param="model")
    try:
        return _request(decode_object(body), model, stream=bool(stream))
    except RecursionError as error:
        raise InvalidRequest("a schema is nested too deeply") from error


def _request(request: Fields, model: str, *, stream: bool) -> ChatRequest:
    extra: dict[str, Any] = {}
    hints: dict[str, Any] = {}
    request.take("model")  # the path names it
    decoder = ContentsDecoder()
    system = request.message("systemInstruction")
    messages = [] if system is None else decoder.system(system)
    contents = request.messages("contents")
    if not contents:
        raise InvalidRequest("contents must hold at least one content", param="contents")
    messages += decoder.contents(contents)
    extra.update(decoder.unplaced)
    hints.update(decoder.dropped)
    tools = _tools(request.messages("tools"), extra, hints)
    choice = request.message("toolConfig")
    tool_choice = None if choice is None else _tool_choice(choice, extra)
    if labels := request.object("labels"):
        hints["labels"] = labels
    if (tier := request.text("serviceTier")) not in _UNSET_TIERS:
        extra["serviceTier"] = tier
    config = request.message("generationConfig") or Fields({}, "generationConfig")
    extra.update(request.leftovers())
    return ChatRequest(
        model=model,
        messages=tuple(messages),
        stream=stream,
        include_usage=True,
        tools=tools,
        tool_choice=tool_choice,
        extra=extra,
        hints=hints,
        **_generation(config, extra, hints),
    )


def _generation(config: Fields, extra: dict[str, Any], hints: dict[str, Any]) -> dict[str, Any]:
    """`generationConfig` as fields of the request; what remains goes to `extra` and `hints`."""
    candidates = config.integer("candidateCount", minimum=1)
    fields = {
        "max_output_tokens": config.integer("maxOutputTokens", minimum=1),
        "temperature": config.number("temperature"),
        "top_p": config.number("topP"),
        "top_k": config.integer("topK"),
        "stop": config.strings("stopSequences"),
        "n": None if candidates == 1 else candidates,
        "seed": config.integer("seed"),
        "presence_penalty": config.number("presencePenalty"),
        "frequency_penalty": config.number("frequencyPenalty"),
        "logprobs": config.flag("responseLogprobs"),
        "top_logprobs": config.integer("logprobs", minimum=0),
        "response_format": _response_format(config, extra),
        "reasoning": _reasoning(config, extra),
    }
    modalities = config.strings("responseModalities")
    if any(modality.upper() != "TEXT" for modality in modalities):
        extra[config.at("responseModalities")] = list(modalities)
    if (resolution := config.text("mediaResolution")) not in (None, "MEDIA_RESOLUTION_UNSPECIFIED"):
        hints[config.at("mediaResolution")] = resolution
    extra.update(config.leftovers())
    return fields


def _reasoning(config: Fields, extra: dict[str, Any]) -> ReasoningControl | None:
    thinking = config.message("thinkingConfig")
    return None if thinking is None else decode_thinking(thinking, extra)


def _response_format(config: Fields, extra: dict[str, Any]) -> ResponseFormat | None:
    media_type = config.text("responseMimeType") or "text/plain"
    openapi, schema = config.object("responseSchema"), config.object("responseJsonSchema")
    name = "responseJsonSchema" if openapi is None else "responseSchema"
    written = schema if openapi is None else openapi
    if media_type not in ("text/plain", "application/json"):
        extra[config.at("responseMimeType")] = media_type
        return None
    if openapi is not None and schema is not None:
        raise InvalidRequest(f"{config.path} has two response schemas", param=config.at("responseJsonSchema"))
    if media_type == "text/plain":
        if written is not None:
            raise InvalidRequest(
                f"{config.at(name)} needs the responseMimeType application/json", param=config.at(name)
            )
        return None
    if written is None:
        return ResponseFormat("json_object")
    return ResponseFormat("json_schema", written if openapi is None else json_schema(openapi, config.at(name)))


def _tools(tools: list[Fields], extra: dict[str, Any], hints: dict[str, Any]) -> tuple[Tool, ...]:
    """Functions are tools; what the vendor itself would run (search, code execution …) stays behind under its path."""
    found: list[Tool] = []
    for tool in tools:
        found += [_function(function, extra, hints) for function in tool.messages("functionDeclarations")]
        extra.update(tool.leftovers())
    return tuple(found)


def _function(function: Fields, extra: dict[str, Any], hints: dict[str, Any]) -> Tool:
    name = function.text("name")
    if not name:
        raise InvalidRequest(f"{function.at('name')} is missing", param=function.at("name"))
    openapi, schema = function.object("parameters"), function.object("parametersJsonSchema")
    if openapi is not None and schema is not None:
        raise InvalidRequest(f"{function.path} has two schemas", param=function.at("parametersJsonSchema"))
    for result in ("response", "responseJsonSchema"):  # tells what the function returns; the SDK adds it by itself
        if (described := function.take(result)) is not None:
            hints[function.at(result)] = described
    if (behavior := function.text("behavior")) not in (None, "UNSPECIFIED", "BLOCKING"):
        extra[function.at("behavior")] = behavior
    description = function.text("description")
    extra.update(function.leftovers())
    return Tool(name, description, schema if openapi is None else json_schema(openapi, function.at("parameters")))


def _tool_choice(config: Fields, extra: dict[str, Any]) -> ToolChoice | None:
    calling = config.message("functionCallingConfig")
    extra.update(config.leftovers())
    if calling is None:
        return None
    mode = calling.text("mode") or "MODE_UNSPECIFIED"
    names = calling.strings("allowedFunctionNames")
    extra.update(calling.leftovers())
    if mode not in _MODES:
        extra[calling.at("mode")] = mode
        return None
    if mode == "MODE_UNSPECIFIED" and not names:
        return None
    return ToolChoice(_MODES[mode], names)
