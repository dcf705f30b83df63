"""What Google refuses although the shape is right: everything but the conversation.

Source: https://ai.google.dev/api/generate-content and /gemini-api/docs/function-calling (read 2026-11-24); the wording
follows answers of the API.
"""

from __future__ import annotations

import re
from typing import Any

from pulse_gateway.testing.simulator.gemini.errors import refuse
from pulse_gateway.testing.simulator.gemini.media_rules import check_media
from pulse_gateway.testing.simulator.gemini.models import Traits
from pulse_gateway.testing.simulator.gemini.schema import FunctionDeclaration, GenerateContentRequest
from pulse_gateway.testing.simulator.schema_shape import schema_problem

__all__ = ["check", "declared"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_MIME_TYPES = frozenset({"text/plain", "application/json", "text/x.enum"})
_SCHEMA_FIELDS = frozenset(
    {
        "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
        "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
        "default", "items", "minimum", "maximum", "additionalProperties", "defs", "ref",
    }
)  # fmt: skip
_TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "TYPE_UNSPECIFIED"})


def check(request: GenerateContentRequest, model: str, traits: Traits, *, stream: bool) -> None:
    """Raises: Refusal."""
    check_media(request, model, traits)
    _check_thinking(request, traits)
    _check_format(request, traits)
    _check_functions(request)
    config = request.generation_config
    if stream and (config.candidate_count or 1) > 1:
        raise refuse("Multiple candidates is not supported in streaming requests.")
    if config.logprobs is not None and not config.response_logprobs:
        raise refuse("logprobs is only allowed when response_logprobs is enabled.")
    if request.cached_content is not None:
        raise refuse(f"CachedContent not found: {request.cached_content}", http=403, status="PERMISSION_DENIED")


def declared(request: GenerateContentRequest) -> list[FunctionDeclaration]:
    return [function for tool in request.tools for function in tool.function_declarations]


def _check_thinking(request: GenerateContentRequest, traits: Traits) -> None:
    thinking = request.generation_config.thinking_config
    if thinking.thinking_budget is not None and thinking.thinking_level is not None:
        raise refuse("You can only set one of thinking budget and thinking level.")
    if thinking.thinking_level is not None and not traits.takes_level:
        raise refuse("Thinking level is not supported for this model.")
    if thinking.thinking_level == "MINIMAL" and not traits.takes_minimal:
        raise refuse("Thinking level MINIMAL is not supported for this model. Please retry with other thinking level.")
    if thinking.thinking_budget == 0 and not traits.can_stop_thinking:
        raise refuse("Budget 0 is invalid. This model only works in thinking mode.")


def _check_format(request: GenerateContentRequest, traits: Traits) -> None:
    config = request.generation_config
    mime_type = config.response_mime_type
    if mime_type is not None and mime_type not in _MIME_TYPES:
        raise refuse(
            f"* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are "
            f"`text/plain`, `application/json` and `text/x.enum`, not `{mime_type}`."
        )
    if config.response_schema is not None and config.response_json_schema is not None:
        raise refuse("Only one of response_schema and response_json_schema may be set.")
    if config.response_schema is not None or config.response_json_schema is not None:
        if mime_type not in {"application/json", "text/x.enum"}:
            raise refuse("A response schema requires response_mime_type `application/json` or `text/x.enum`.")
        if config.response_schema is not None:
            _check_schema(config.response_schema, "generation_config.response_schema")
        _check_json_schema(config.response_json_schema, "generation_config.response_json_schema")
    if mime_type == "application/json" and declared(request) and not traits.json_with_tools:
        raise refuse("Function calling with a response mime type: 'application/json' is unsupported")


def _check_functions(request: GenerateContentRequest) -> None:
    names: set[str] = set()
    for at, function in enumerate(declared(request)):
        path = f"tools[0].function_declarations[{at}]"
        if not _NAME.fullmatch(function.name):
            raise refuse(
                f"* GenerateContentRequest.{path}.name: Invalid function name. Must start with a letter or an underscore."
            )
        if function.name in names:
            raise refuse(f"Duplicate function declaration found: {function.name}")
        names.add(function.name)
        if function.parameters is not None and function.parameters_json_schema is not None:
            raise refuse(
                f"* GenerateContentRequest.{path}: only one of parameters and parameters_json_schema may be set."
            )
        if function.parameters is not None:
            _check_schema(function.parameters, f"{path}.parameters")
            if function.parameters.get("type", "").upper() != "OBJECT":
                raise refuse(f"* GenerateContentRequest.{path}.parameters: schema should be of type OBJECT.")
        _check_json_schema(function.parameters_json_schema, f"{path}.parameters_json_schema")
    calling = request.tool_config.function_calling_config
    if calling.allowed_function_names and calling.mode not in {"ANY", "VALIDATED"}:
        raise refuse("allowed_function_names should only be set when the function calling mode is ANY or VALIDATED.")
    for name in calling.allowed_function_names:
        if name not in names:
            raise refuse(f"allowed_function_names: {name} is not a declared function.")
    if calling.mode == "ANY" and not names:
        raise refuse("Function calling mode is ANY but no function declarations are provided.")


def _check_json_schema(schema: dict[str, Any] | None, path: str) -> None:
    if problem := schema_problem(schema or {}):
        raise refuse(f"* GenerateContentRequest.{path}: {problem}")


def _check_schema(schema: Any, path: str) -> None:
    """The OpenAPI subset: JSON Schema's own keywords are unknown fields here."""
    if problem := schema_problem(schema):
        raise refuse(f"Invalid value at '{path}': {problem}")
    if not isinstance(schema, dict):
        raise refuse(f"Invalid value at '{path}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)")
    for name in schema:
        if name not in _SCHEMA_FIELDS:
            raise refuse(f"Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field.")
    kind = schema.get("type")
    if kind is not None and (not isinstance(kind, str) or kind.upper() not in _TYPES):
        raise refuse(f"Invalid value at '{path}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type)")
    if isinstance(kind, str) and kind.upper() == "ARRAY" and "items" not in schema:
        raise refuse(f"* GenerateContentRequest.{path}.items: missing field.")
    for name, inner in (schema.get("properties") or {}).items():
        _check_schema(inner, f"{path}.properties[{name}]")
    for name in schema.get("required") or ():
        if name not in (schema.get("properties") or {}):
            raise refuse(f"* GenerateContentRequest.{path}.required: property is not defined: {name}")
    if "items" in schema:
        _check_schema(schema["items"], f"{path}.items")
    for at, inner in enumerate(schema.get("anyOf") or ()):
        _check_schema(inner, f"{path}.any_of[{at}]")
