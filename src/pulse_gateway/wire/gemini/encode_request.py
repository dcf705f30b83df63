"""The neutral request → a `generateContent` body for one model.

Source: https://ai.google.dev/api/generate-content (read 2026-11-24); `types.GenerateContentConfig` of google-genai 3.4.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.gemini.encode_contents import FUNCTION_NAME, ContentsEncoder
from pulse_gateway.wire.gemini.thinking import encode_thinking

__all__ = ["FIELD_PATHS", "encode_request"]

FIELD_PATHS = {
    "model": "model",
    "messages": "contents",
    "max_output_tokens": "generationConfig.maxOutputTokens",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "stop": "generationConfig.stopSequences",
    "n": "generationConfig.candidateCount",
    "seed": "generationConfig.seed",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "tools": "tools",
    "tool_choice": "toolConfig.functionCallingConfig",
    "response_format": "generationConfig.responseMimeType",
    "reasoning": "generationConfig.thinkingConfig",
}

_SAMPLING = ("temperature", "top_p", "top_k")
_PLAIN = {
    name: FIELD_PATHS[name].rpartition(".")[2]
    for name in (
        "max_output_tokens",
        "temperature",
        "top_p",
        "top_k",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "top_logprobs",
    )
}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_MAX_STOP_SEQUENCES = 5
_ANSWERS_WITH_IMAGES = re.compile(r"-image\b|nano-banana")


def encode_request(request: ChatRequest, model: Model) -> Encoded:
    """Raises: UnsupportedParameter with the neutral field name, or the `path` of a message; InvalidRequest for a message."""
    for param, reason in _refusals(request, model):
        raise UnsupportedParameter(reason, param=param)
    encoder = ContentsEncoder(model)
    leading = next((n for n, message in enumerate(request.messages) if message.role != "system"), len(request.messages))
    system = encoder.system(request.messages[:leading])
    contents = encoder.contents(request.messages[leading:])
    if not contents:
        raise InvalidRequest("the conversation holds nothing but instructions", param="messages")
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    dropped = encoder.dropped
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool, model) for tool in request.tools]}]
        if any(tool.strict for tool in request.tools):
            dropped["tools.strict"] = None  # the model is always held to the schema as far as it can be
    if request.tool_choice is not None:
        body["toolConfig"] = {"functionCallingConfig": _calling(request.tool_choice)}
    if generation := _generation(request, model):
        body["generationConfig"] = generation
    for name in ("name", "description", "strict"):
        if request.response_format is not None and getattr(request.response_format, name):
            dropped[f"response_format.{name}"] = None
    if request.user is not None:
        dropped["user"] = None
    try:
        return Encoded(msgspec.json.encode(body), (*dropped, *request.hints))
    except RecursionError as error:
        raise InvalidRequest("a schema is nested too deeply") from error


def _refusals(request: ChatRequest, model: Model) -> Iterator[tuple[str, str]]:
    """Field and reason of everything that is refused by its mere presence."""
    can, name = model.capabilities, model.name
    for path in request.extra:
        yield path, f"{name} has no counterpart of {path}"
    if _ANSWERS_WITH_IMAGES.search(name):
        yield "model", f"{name} answers with images, which only its own dialect carries"
    if not can.sampling:
        for field in _SAMPLING:
            if getattr(request, field) is not None:
                yield field, f"{name} takes no sampling parameters"
    if request.max_output_tokens is not None and request.max_output_tokens > (model.max_output_tokens or sys.maxsize):
        yield "max_output_tokens", f"{name} writes at most {model.max_output_tokens} tokens"
    if len(request.stop) > _MAX_STOP_SEQUENCES:
        yield "stop", f"{name} takes at most {_MAX_STOP_SEQUENCES} stop sequences"
    if request.n is not None and request.n > 1 and request.stream:
        yield "n", f"{name} streams one answer at a time"
    if request.tools and not can.tools:
        yield "tools", f"{name} calls no tools"
    if request.tool_choice is not None and request.tool_choice.mode == "required" and not can.forced_tool_choice:
        yield "tool_choice", f"{name} cannot be made to call a tool"
    if request.parallel_tool_calls is False:
        yield "parallel_tool_calls", f"{name} cannot be kept from calling several tools at once"
    if request.tools and _is_json(request.response_format) and not can.schema_with_tools:
        yield "response_format", f"{name} cannot combine JSON output with tools"
    if request.messages and request.messages[-1].role == "assistant" and not can.prefill:
        yield request.messages[-1].path or "messages", f"{name} does not go on with a started answer"


def _generation(request: ChatRequest, model: Model) -> dict[str, Any]:
    values = ((name, getattr(request, field)) for field, name in _PLAIN.items())
    config: dict[str, Any] = {name: value for name, value in values if value is not None}
    if request.stop:
        config["stopSequences"] = request.stop
    if request.n is not None and request.n > 1:
        config["candidateCount"] = request.n
    if request.response_format is not None and _is_json(request.response_format):
        config["responseMimeType"] = "application/json"
        if request.response_format.schema is not None:
            config["responseJsonSchema"] = request.response_format.schema
    if request.reasoning is not None and (thinking := encode_thinking(request.reasoning, model)):
        config["thinkingConfig"] = thinking
    return config


def _is_json(response_format: ResponseFormat | None) -> bool:
    return response_format is not None and response_format.kind != "text"


def _declaration(tool: Tool, model: Model) -> dict[str, Any]:
    if not FUNCTION_NAME.fullmatch(tool.name):
        raise UnsupportedParameter(
            f"{model.name} takes function names of at most 128 letters, digits, '_', '.', ':' and '-' that begin with a"
            f" letter or '_', not {tool.name!r}",
            param="tools",
        )
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters is not None:
        declaration["parametersJsonSchema"] = tool.parameters
    return declaration


def _calling(choice: ToolChoice) -> dict[str, Any]:
    """Names narrow a choice; with `auto` that is VALIDATED: text, or a call of one of these."""
    if not choice.names or choice.mode == "none":
        return {"mode": _MODES[choice.mode]}
    mode = "VALIDATED" if choice.mode == "auto" else _MODES[choice.mode]
    return {"mode": mode, "allowedFunctionNames": choice.names}
