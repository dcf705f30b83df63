"""A `generateContent` body → the neutral request.

Called only for a client whose request goes to another dialect. Whatever has no neutral form ends in `extra` or `hints`.

Source: https://ai.google.dev/api/generate-content (read 2026-11-24); `types.GenerateContentConfig` of google-genai 3.4.
"""

from __future__ import annotations

from typing import Any, Literal

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import ChatRequest, ReasoningControl, ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.codec import MAX_COUNT
from pulse_gateway.wire.gemini.decode_contents import ContentsDecoder
from pulse_gateway.wire.gemini.fields import Fields, decode_object
from pulse_gateway.wire.gemini.json_schema import json_schema
from pulse_gateway.wire.gemini.thinking import decode_thinking

__all__ = ["decode_request"]

# Pure hints wherever they stand: the fineness of media, and labels that no model sees.
_HINTS = frozenset({"mediaResolution", "partMetadata", "displayName"})
_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "AUTO": "auto",
    "ANY": "required",
    "NONE": "none",
    "VALIDATED": "auto",
    "MODE_UNSPECIFIED": "auto",
}


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
    """Raises: InvalidRequest (param: the camelCase path)."""
    if not model:
        raise InvalidRequest("the path names no model", param="model")
    try:
        return _request(decode_object(body), body, model, stream=bool(stream))
    except RecursionError as error:
        raise InvalidRequest("a schema is nested too deeply") from error


def _request(request: Fields, body: bytes, model: str, *, stream: bool) -> ChatRequest:
    hints: dict[str, Any] = {}
    request.take("model")  # the path names it
    decoder = ContentsDecoder(body, hints)
    system = request.child("systemInstruction")
    messages = [] if system is None else decoder.system(system)
    contents = request.children("contents")
    if not contents:
        raise request.wrong("contents", "expected at least one content")
    messages += decoder.contents(contents)
    tools = tuple(
        _function(function, hints)
        for tool in request.children("tools")
        for function in tool.children("functionDeclarations")
    )
    if labels := request.object("labels"):
        hints["labels"] = labels
    request.skip("serviceTier", "standard", "unspecified")
    fields = {
        "tool_choice": _tool_choice(request, hints),
        **_generation(request.child("generationConfig") or Fields({}, "generationConfig")),
    }
    extra, more_hints = request.leftovers(_HINTS)
    return ChatRequest(
        model=model,
        messages=tuple(messages),
        stream=stream,
        include_usage=True,
        tools=tools,
        extra=extra,
        hints=hints | more_hints,
        **fields,
    )


def _generation(config: Fields) -> dict[str, Any]:
    """`generationConfig` as fields of the request."""
    candidates = config.integer("candidateCount", least=1, most=MAX_COUNT)
    logprobs, top_logprobs = _logprobs(config)
    config.skip("mediaResolution", "MEDIA_RESOLUTION_UNSPECIFIED")
    if _is_text_alone(config.peek("responseModalities")):
        config.take("responseModalities")
    return {
        "max_output_tokens": config.integer("maxOutputTokens", least=1, most=MAX_COUNT),
        "temperature": config.number("temperature"),
        "top_p": config.number("topP"),
        "top_k": config.integer("topK"),
        "stop": config.strings("stopSequences"),
        "n": None if candidates == 1 else candidates,
        "seed": config.integer("seed"),
        "presence_penalty": config.number("presencePenalty") or None,
        "frequency_penalty": config.number("frequencyPenalty") or None,
        "logprobs": logprobs,
        "top_logprobs": top_logprobs,
        "response_format": _response_format(config),
        "reasoning": _reasoning(config),
    }


def _is_text_alone(modalities: Any) -> bool:
    return isinstance(modalities, list) and all(isinstance(word, str) and word.upper() == "TEXT" for word in modalities)


def _logprobs(config: Fields) -> tuple[bool | None, int | None]:
    wanted = config.flag("responseLogprobs") or None
    top = config.integer("logprobs", least=0) or None
    if top and not wanted:
        raise config.wrong("logprobs", "needs responseLogprobs: true")
    return wanted, top


def _reasoning(config: Fields) -> ReasoningControl | None:
    thinking = config.child("thinkingConfig")
    return None if thinking is None else decode_thinking(thinking)


def _response_format(config: Fields) -> ResponseFormat | None:
    """None for plain text, and for a media type of the vendor's own: that one is left over."""
    media_type = config.word("responseMimeType", ("text/plain", "application/json"))
    if config.peek("responseMimeType") is not None:
        return None
    openapi, schema = config.object("responseSchema"), config.object("responseJsonSchema")
    name = "responseJsonSchema" if openapi is None else "responseSchema"
    if openapi is not None and schema is not None:
        raise config.wrong("responseJsonSchema", "is a second schema beside responseSchema")
    written = schema if openapi is None else openapi
    if media_type != "application/json":
        if written is not None:
            raise config.wrong(name, "needs the responseMimeType application/json")
        return None
    if written is None:
        return ResponseFormat("json_object")
    return ResponseFormat("json_schema", written if openapi is None else json_schema(openapi, config.at(name)))


def _function(function: Fields, hints: dict[str, Any]) -> Tool:
    name = function.need_text("name")
    openapi, schema = function.object("parameters"), function.object("parametersJsonSchema")
    if openapi is not None and schema is not None:
        raise function.wrong("parametersJsonSchema", "is a second schema beside parameters")
    for result in ("response", "responseJsonSchema"):  # tells what the function returns; the SDK adds it by itself
        if (described := function.take(result)) is not None:
            hints[function.at(result)] = described
    function.skip("behavior", "UNSPECIFIED", "BLOCKING")
    description = function.text("description")
    return Tool(name, description, schema if openapi is None else json_schema(openapi, function.at("parameters")))


def _tool_choice(request: Fields, hints: dict[str, Any]) -> ToolChoice | None:
    """VALIDATED is AUTO with a promise about schemas, which is left to the other vendor's own habit. An unknown mode is left over."""
    config = request.child("toolConfig")
    calling = config.child("functionCallingConfig") if config else None
    if calling is None:
        return None
    mode = calling.word("mode", _MODES) or "MODE_UNSPECIFIED"
    names = calling.strings("allowedFunctionNames")
    if mode == "VALIDATED":
        hints[calling.at("mode")] = mode
    if mode == "NONE":
        names = ()
    if mode == "MODE_UNSPECIFIED" and not names:
        return None
    return ToolChoice(_MODES[mode], names)
