"""What the Responses API refuses although the shape is right, and which tools may be called.

Source: https://developers.openai.com/api/docs/api-reference/responses/create and /guides/reasoning (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.testing.simulator.openai.body import converted
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.models import Traits
from pulse_gateway.testing.simulator.openai.responses.schema import (
    HOSTED_TOOLS,
    CountRequest,
    CustomTool,
    FunctionTool,
    JsonObject,
    JsonSchemaFormat,
    ResponseRequest,
)
from pulse_gateway.testing.simulator.openai.rules import (
    check_effort,
    check_metadata,
    check_parameters,
    schema_trouble,
)

__all__ = ["allowed", "check", "check_format", "parse_tools"]

_CHOICES = ("none", "auto", "required")


def check(request: ResponseRequest, model: str, traits: Traits) -> None:
    """Raises: Refusal."""
    settings = request.reasoning
    effort = settings.effort if settings else None
    check_effort(effort, "reasoning.effort", model, traits)
    if not traits.efforts:
        if settings is not None and (settings.summary or settings.generate_summary):
            raise _unsupported("reasoning.summary")
        if "reasoning.encrypted_content" in (request.include or ()):
            raise refuse("Encrypted content is not supported with this model.", param="include")
    if traits.strict_sampling and (effort or traits.default_effort) != "none":
        for name in ("temperature", "top_p"):
            value = getattr(request, name)
            if value is not None and value != 1:
                raise _unsupported(name)
        if request.top_logprobs:
            raise _unsupported("top_logprobs")
        if "message.output_text.logprobs" in (request.include or ()):
            raise refuse("logprobs are not supported with reasoning models.", param="include")
    if request.stream_options is not None and not request.stream:
        raise refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    if request.background and request.store is False:
        raise refuse("Background mode requires 'store' to be true.", param="background")
    check_metadata(request.metadata)


def check_format(request: ResponseRequest | CountRequest, said: str) -> None:
    """`said`: all that the model reads, lower-case.

    Raises: Refusal.
    """
    wanted = request.text.format if request.text else None
    if isinstance(wanted, JsonObject) and "json" not in said:
        raise refuse(
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'.",
            param="input",
        )
    if isinstance(wanted, JsonSchemaFormat):
        if wanted.schema.get("type") != "object":
            problem: str | None = (
                f"schema must be a JSON Schema of 'type: \"object\"', got {wanted.schema.get('type')!r}."
            )
        else:
            problem = schema_trouble(wanted.schema, strict=bool(wanted.strict))
        if problem:
            raise refuse(
                f"Invalid schema for response_format '{wanted.name}': {problem}",
                code="invalid_json_schema",
                param="text.format.schema",
            )


def parse_tools(given: list[dict[str, Any]] | None) -> list[FunctionTool | CustomTool]:
    """Those that the caller runs; hosted ones are passed over.

    Raises: Refusal.
    """
    tools: list[FunctionTool | CustomTool] = []
    for at, raw in enumerate(given or ()):
        kind = raw.get("type")
        path = f"tools[{at}]"
        if kind == "function":
            function = converted(raw, FunctionTool, path)
            check_parameters(function.name, function.parameters, f"{path}.parameters", strict=function.strict is True)
            tools.append(function)
        elif kind == "custom":
            tools.append(converted(raw, CustomTool, path))
        elif not isinstance(kind, str):
            raise refuse(
                f"Missing required parameter: '{path}.type'.", code="missing_required_parameter", param=f"{path}.type"
            )
        elif kind not in HOSTED_TOOLS:
            supported = ", ".join(f"'{each}'" for each in ("function", "custom", *sorted(HOSTED_TOOLS)))
            raise refuse(
                f"Invalid value: '{kind}'. Supported values are: {supported}.",
                code="invalid_value",
                param=f"{path}.type",
            )
    names = [tool.name for tool in tools]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise refuse(f"Duplicate tool name '{twice}'.", code="invalid_value", param="tools")
    return tools


def allowed(request: ResponseRequest | CountRequest, tools: list[FunctionTool | CustomTool]) -> tuple[set[str], bool]:
    """The names that `tool_choice` permits, and whether one of them must be called.

    Raises: Refusal.
    """
    choice = request.tool_choice
    names = {tool.name for tool in tools}
    if choice is None:
        return names, False
    if isinstance(choice, str):
        if choice not in _CHOICES:
            raise _wrong_choice(f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.")
        if choice == "required" and not request.tools:
            raise _wrong_choice("Tool choice 'required' must be specified with 'tools' parameter.")
        return (set() if choice == "none" else names), choice == "required"
    match choice:
        case {"type": "function" | "custom" as kind, "name": str(name), **rest} if not rest:
            return {_present(name, kind, tools)}, True
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(listed), **rest} if not rest:
            chosen = {
                _present(str(each.get("name")), str(each.get("type")), tools)
                for each in listed
                if isinstance(each, dict) and each.get("type") in ("function", "custom")
            }
            return chosen, mode == "required"
        case {"type": str(kind)} if kind in {"mcp", "computer_use", *HOSTED_TOOLS}:
            return set(), False
    raise _wrong_choice("Invalid 'tool_choice'.")


def _present(name: str, kind: str, tools: list[FunctionTool | CustomTool]) -> str:
    if not any(tool.name == name and tool.type == kind for tool in tools):
        raise _wrong_choice(f"Tool choice '{name}' not found in 'tools' parameter.")
    return name


def _wrong_choice(message: str) -> Exception:
    return refuse(message, code="invalid_value", param="tool_choice")


def _unsupported(name: str) -> Exception:
    return refuse(
        f"Unsupported parameter: '{name}' is not supported with this model.", code="unsupported_parameter", param=name
    )
