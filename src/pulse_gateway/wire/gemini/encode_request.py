"""The neutral request → a `generateContent` body for one model.

Source: https://ai.google.dev/api/generate-content (read 2026-11-24); `types.GenerateContentConfig` of google-genai 3.4.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.foreign_json import to_provider
from pulse_gateway.wire.gemini.encode_contents import FUNCTION_NAME, ContentsEncoder
from pulse_gateway.wire.gemini.thinking import encode_thinking
from pulse_gateway.wire.refusals import refuse_asked, refuse_extra, unsupported
from pulse_gateway.wire.tool_schemas import checked_choice, dropped_labels, object_schema

__all__ = ["encode_request"]

_SAMPLING = ("temperature", "top_p", "top_k")
_PLAIN = {
    "max_output_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
_MAX_STOP_SEQUENCES = 5
_ANSWERS_WITH_IMAGES = re.compile(r"-image\b|nano-banana")


def encode_request(request: ChatRequest, model: Model) -> Encoded:
    """Raises: UnsupportedParameter with the neutral field name, or the `path` of a message; InvalidRequest for a message."""
    refuse_extra(request.extra, model)
    if not model.capabilities.sampling:
        refuse_asked(((field, getattr(request, field) is not None) for field in _SAMPLING), model)
    for param, reason in _refusals(request, model):
        raise unsupported(model, param, reason)
    checked_choice(request, model)
    dropped: dict[str, None] = {}
    encoder = ContentsEncoder(model, dropped)
    leading = next((n for n, message in enumerate(request.messages) if message.role != "system"), len(request.messages))
    system = encoder.system(request.messages[:leading])
    contents = encoder.contents(request.messages[leading:])
    if not contents:
        raise InvalidRequest("the conversation holds nothing but instructions", param="messages")
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_declaration(tool, model) for tool in request.tools]}]
        if any(tool.strict for tool in request.tools):
            dropped["tools.strict"] = None  # the model is always held to the schema as far as it can be
        if request.tool_choice is not None:
            body["toolConfig"] = {"functionCallingConfig": _calling(request.tool_choice)}
    if generation := _generation(request, model, dropped):
        body["generationConfig"] = generation
    if request.user is not None:
        dropped["user"] = None
    return Encoded(to_provider(body), (*dropped, *request.hints))


def _refusals(request: ChatRequest, model: Model) -> Iterator[tuple[str, str]]:
    """Field and reason of everything that is refused by its mere presence."""
    can = model.capabilities
    if _ANSWERS_WITH_IMAGES.search(model.name):
        yield "model", "answers with images, which only its own dialect carries"
    if request.max_output_tokens is not None and request.max_output_tokens > (model.max_output_tokens or sys.maxsize):
        yield "max_output_tokens", f"writes at most {model.max_output_tokens} tokens"
    if len(request.stop) > _MAX_STOP_SEQUENCES:
        yield "stop", f"takes at most {_MAX_STOP_SEQUENCES} stop sequences"
    if request.n is not None and request.n > 1 and request.stream:
        yield "n", "streams one answer at a time"
    if request.tools and request.parallel_tool_calls is False:
        yield "parallel_tool_calls", "cannot be kept from calling several tools at once"
    if request.tools and _is_json(request.response_format) and not can.schema_with_tools:
        yield "response_format", "cannot combine JSON output with tools"


def _generation(request: ChatRequest, model: Model, dropped: dict[str, None]) -> dict[str, Any]:
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
        dropped |= dropped_labels(request.response_format)
    if request.reasoning is not None and (thinking := encode_thinking(request.reasoning, model, dropped)):
        config["thinkingConfig"] = thinking
    return config


def _is_json(response_format: ResponseFormat | None) -> bool:
    return response_format is not None and response_format.kind != "text"


def _declaration(tool: Tool, model: Model) -> dict[str, Any]:
    if not FUNCTION_NAME.fullmatch(tool.name):
        raise unsupported(
            model,
            "tools",
            "takes function names of at most 128 letters, digits, '_', '.', ':' and '-' that begin with a letter or '_', not"
            f" {tool.name!r}",
        )
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters is not None:
        declaration["parametersJsonSchema"] = object_schema(tool, model)
    return declaration


def _calling(choice: ToolChoice) -> dict[str, Any]:
    """Names narrow a choice; with `auto` that is VALIDATED: text, or a call of one of these."""
    if not choice.names or choice.mode == "none":
        return {"mode": _MODES[choice.mode]}
    mode = "VALIDATED" if choice.mode == "auto" else _MODES[choice.mode]
    return {"mode": mode, "allowedFunctionNames": choice.names}
