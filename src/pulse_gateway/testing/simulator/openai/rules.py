"""What OpenAI refuses although the shape is right.

Source: https://developers.openai.com/api/docs/api-reference/chat/create, /guides/function-calling and
/guides/structured-outputs (read 2026-11-24); the wording follows answers of the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.models import Traits
from pulse_gateway.testing.simulator.openai.schema import (
    AssistantMessage,
    ChatRequest,
    ChosenAllowed,
    ChosenCustom,
    ChosenFunction,
    FunctionTool,
    JsonObject,
    JsonSchemaFormat,
    Message,
    ToolMessage,
)
from pulse_gateway.testing.simulator.schema_shape import schema_problem

__all__ = [
    "check",
    "check_effort",
    "check_messages",
    "check_metadata",
    "check_parameters",
    "schema_trouble",
    "tool_name",
]


def check(request: ChatRequest, model: str, traits: Traits, text: str) -> None:
    """`text` is everything the messages say, lower-case.

    Raises: Refusal.
    """
    _check_tokens(request, traits)
    _check_sampling(request, traits)
    check_effort(request.reasoning_effort, "reasoning_effort", model, traits)
    _check_tools(request, model, traits)
    _check_format(request, text)
    if request.stream_options is not None and not request.stream:
        raise refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    if request.stop is not None and not traits.takes_stop:
        raise _unsupported("stop", model)
    if request.top_logprobs is not None and not request.logprobs:
        raise refuse("'top_logprobs' is only allowed when 'logprobs' is enabled.", param="top_logprobs")
    if request.modalities is not None and "audio" in request.modalities:
        raise refuse("This model does not support audio output.", code="unsupported_value", param="modalities")
    check_metadata(request.metadata)


def check_messages(messages: list[Message]) -> None:
    """Tool messages answer the assistant's calls, all of them, at once.

    Raises: Refusal.
    """
    if not messages:
        sentence = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array."
        raise refuse(sentence, code="empty_array", param="messages")
    waiting: list[str] = []
    asked_at = 0
    for at, message in enumerate(messages):
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                sentence = "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                raise refuse(sentence, param=f"messages.[{at}].role")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            break
        if isinstance(message, AssistantMessage):
            waiting = _calls(message, at)
            asked_at = at
    if waiting:
        raise refuse(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            param=f"messages.[{asked_at + 1}].role",
        )


def check_metadata(metadata: dict[str, str] | None) -> None:
    """Raises: Refusal."""
    if metadata is None:
        return
    if len(metadata) > 16:
        raise refuse("Invalid 'metadata': too many properties.", code="object_above_max_properties", param="metadata")
    if any(len(key) > 64 for key in metadata):
        raise refuse("Invalid 'metadata': key too long.", code="string_above_max_length", param="metadata")


def tool_name(tool: Any) -> str:
    """The name of a tool or of a reference to one."""
    name: str = tool.function.name if hasattr(tool, "function") else tool.custom.name
    return name


def _calls(message: AssistantMessage, at: int) -> list[str]:
    calls = message.tool_calls or []
    if message.tool_calls == []:
        path = f"messages[{at}].tool_calls"
        sentence = f"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array."
        raise refuse(sentence, code="empty_array", param=path)
    says = message.content is not None or message.refusal is not None or message.audio is not None
    if not calls and not says and message.function_call is None:
        sentence = "Invalid value for 'content': expected a string, got null."
        raise refuse(sentence, param=f"messages.[{at}].content")
    ids = [call.id for call in calls]
    if len(set(ids)) < len(ids):
        raise refuse("Duplicate tool call ids.", code="invalid_value", param=f"messages[{at}].tool_calls")
    return ids


def _check_tokens(request: ChatRequest, traits: Traits) -> None:
    if request.max_tokens is None:
        return
    if traits.reasons:
        raise refuse(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            code="unsupported_parameter",
            param="max_tokens",
        )
    if request.max_completion_tokens is not None:
        raise refuse(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
            param="max_tokens",
        )


def _check_sampling(request: ChatRequest, traits: Traits) -> None:
    if not traits.strict_sampling or (request.reasoning_effort or traits.default_effort) == "none":
        return
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None and value != 1:
            raise refuse(
                f"Unsupported value: '{name}' does not support {value} with this model. Only the default (1) is supported.",
                code="unsupported_value",
                param=name,
            )
    for name in ("logprobs", "top_logprobs"):
        if getattr(request, name):
            raise refuse(
                f"Unsupported parameter: '{name}' is not supported with this model.",
                code="unsupported_parameter",
                param=name,
            )


def check_effort(effort: str | None, param: str, model: str, traits: Traits) -> None:
    """Raises: Refusal."""
    if effort is None or effort in traits.efforts:
        return
    if not traits.efforts:
        raise _unsupported(param, model)
    supported = ", ".join(f"'{each}'" for each in traits.efforts)
    raise refuse(
        f"Unsupported value: '{param}' does not support '{effort}' with this model. Supported values are: {supported}.",
        code="unsupported_value",
        param=param,
    )


def _check_tools(request: ChatRequest, model: str, traits: Traits) -> None:
    tools = request.tools or []
    if request.tools == []:
        sentence = "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array."
        raise refuse(sentence, code="empty_array", param="tools")
    if not tools:
        for name in ("tool_choice", "parallel_tool_calls"):
            value = getattr(request, name)
            if value or value is False:
                raise refuse(f"'{name}' is only allowed when 'tools' are specified.", param=name)
        return
    if traits.tools_need_responses:
        raise refuse(
            f"Tools are not supported with {model} in /v1/chat/completions. Please use /v1/responses instead.",
            code="unsupported_parameter",
            param="tools",
        )
    if traits.tools_need_effort_none and (request.reasoning_effort or traits.default_effort) != "none":
        raise refuse(
            f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. "
            "Please use /v1/responses or set reasoning_effort to 'none'.",
            code="unsupported_parameter",
            param="reasoning_effort",
        )
    for at, tool in enumerate(tools):
        if isinstance(tool, FunctionTool):
            function = tool.function
            path = f"tools[{at}].function.parameters"
            check_parameters(function.name, function.parameters, path, strict=bool(function.strict))
    names = [tool_name(tool) for tool in tools]
    for name in _chosen(request):
        if name not in names:
            raise refuse(
                f"Invalid value for 'tool_choice': tool '{name}' is not in 'tools'.",
                code="invalid_value",
                param="tool_choice",
            )


def _chosen(request: ChatRequest) -> Iterator[str]:
    match request.tool_choice:
        case ChosenFunction() | ChosenCustom() as choice:
            yield tool_name(choice)
        case ChosenAllowed(allowed_tools=allowed):
            yield from map(tool_name, allowed.tools)


def check_parameters(name: str, schema: object, path: str, *, strict: bool) -> None:
    """Raises: Refusal."""
    if not isinstance(schema, dict):
        return
    if schema and schema.get("type") != "object":
        raise refuse(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', "
            f"got 'type: \"{schema.get('type')}\"'.",
            code="invalid_function_parameters",
            param=path,
        )
    if problem := schema_trouble(schema, strict=strict):
        raise refuse(f"Invalid schema for function '{name}': {problem}", code="invalid_function_parameters", param=path)


def schema_trouble(schema: dict[str, Any], *, strict: bool) -> str | None:
    """What is wrong with it, for strict mode if that is wanted."""
    return schema_problem(schema) or (_not_strict(schema, ()) if strict else None)


def _check_format(request: ChatRequest, text: str) -> None:
    match request.response_format:
        case JsonObject() if "json" not in text:
            raise refuse(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                param="messages",
            )
        case JsonSchemaFormat(json_schema=wanted):
            if not isinstance(wanted.schema, dict):
                raise refuse(
                    "Missing required parameter: 'response_format.json_schema.schema'.",
                    code="missing_required_parameter",
                    param="response_format.json_schema.schema",
                )
            if problem := schema_trouble(wanted.schema, strict=bool(wanted.strict)):
                raise refuse(f"Invalid schema for response_format '{wanted.name}': {problem}", param="response_format")


def _not_strict(schema: Any, path: tuple[str, ...]) -> str | None:
    """What keeps a schema from strict mode: every object is closed and requires all its properties."""
    if not isinstance(schema, dict):
        return None
    if "properties" in schema or schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return f"In context={path}, 'additionalProperties' is required to be supplied and to be false."
        names = list(schema.get("properties") or {})
        if missing := [name for name in names if name not in (schema.get("required") or ())]:
            return (
                f"In context={path}, 'required' is required to be supplied and to be an array including every key in "
                f"properties. Missing '{missing[0]}'."
            )
    for key in ("properties", "$defs", "definitions"):
        for name, inner in (schema.get(key) or {}).items():
            if problem := _not_strict(inner, (*path, key, name)):
                return problem
    for key in ("items", "anyOf"):
        inner = schema.get(key)
        for each in inner if isinstance(inner, list) else [inner]:
            if problem := _not_strict(each, (*path, key)):
                return problem
    return None


def _unsupported(name: str, model: str) -> Exception:
    return refuse(
        f"Unsupported parameter: '{name}' is not supported with {model}.", code="unsupported_parameter", param=name
    )
