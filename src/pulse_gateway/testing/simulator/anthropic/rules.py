"""What Anthropic refuses although the shape is right.

Source: https://platform.claude.com/docs/en/api/messages, /api/versioning, /agents-and-tools/tool-use/overview and
/build-with-claude/thinking (read 2026-11-24); the wording follows answers of the API.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.testing.simulator.anthropic.errors import malformed, refuse
from pulse_gateway.testing.simulator.anthropic.models import Traits
from pulse_gateway.testing.simulator.anthropic.schema import (
    ChoiceAny,
    ChoiceNone,
    ChoiceTool,
    CustomTool,
    MessagesRequest,
    ThinkingAdaptive,
    ThinkingBetweenTools,
    ThinkingDisabled,
    ThinkingEnabled,
)
from pulse_gateway.testing.simulator.schema_shape import schema_problem

__all__ = ["check", "read_tools", "searches_web", "thinking_type"]

_SAMPLING = ("temperature", "top_p", "top_k")


def check(request: MessagesRequest, model: str, traits: Traits, *, new_version: bool) -> None:
    """Everything but the messages and the tools themselves.

    Raises: Refusal.
    """
    if request.max_tokens > traits.max_tokens:
        raise refuse(
            f"max_tokens: {request.max_tokens} > {traits.max_tokens}, which is the maximum allowed number of output "
            f"tokens for {model}"
        )
    _check_sampling(request, model, traits, new_version)
    _check_thinking(request, model, traits)
    for at, sequence in enumerate(request.stop_sequences or ()):
        if not sequence.strip():
            raise refuse(f"stop_sequences.{at}: each stop sequence must contain non-whitespace")
    if request.output_config and request.output_config.effort is not None:
        effort = request.output_config.effort
        if effort not in traits.efforts:
            raise refuse(f"output_config.effort: '{effort}' is not supported by {model}")
    output_format = request.output_config.format if request.output_config else None
    if output_format is not None and (problem := schema_problem(output_format.schema)):
        raise refuse(f"output_config.format.schema: JSON schema is invalid. {problem}")


def read_tools(request: MessagesRequest, traits: Traits) -> list[CustomTool]:
    """The caller's own tools, checked together with `tool_choice`; server tools are only recognised.

    Raises: Refusal.
    """
    custom: list[CustomTool] = []
    names: list[str] = []
    for at, tool in enumerate(request.tools or ()):
        kind = tool.get("type")
        if isinstance(kind, str) and kind != "custom":
            names.append(_server_tool(tool, kind, at))
            continue
        try:
            own = msgspec.convert(tool, CustomTool)
        except msgspec.ValidationError as error:
            raise malformed(error, f"tools.{at}.custom") from error
        if own.input_schema.get("type") != "object":
            raise refuse(f"tools.{at}.custom.input_schema.type: Input should be 'object'")
        if problem := schema_problem(own.input_schema):
            raise refuse(f"tools.{at}.custom.input_schema: JSON schema is invalid. {problem}")
        custom.append(own)
        names.append(own.name)
    if len(set(names)) < len(names):
        raise refuse("tools: Tool names must be unique.", error_code="tool_name_conflict")
    _check_choice(request, traits, names)
    return custom


def searches_web(request: MessagesRequest) -> bool:
    """Whether the answer begins with a web search: the tool is there, and may be used."""
    names = {tool.get("name") for tool in request.tools or () if str(tool.get("type", "")).startswith("web_search_")}
    match request.tool_choice:
        case ChoiceNone():
            return False
        case ChoiceTool(name=name):
            return name in names
        case _:
            return bool(names)


def thinking_type(request: MessagesRequest) -> str | None:
    """The word in `thinking.type`; None if there is no `thinking`."""
    match request.thinking:
        case ThinkingEnabled():
            return "enabled"
        case ThinkingAdaptive():
            return "adaptive"
        case ThinkingDisabled():
            return "disabled"
        case ThinkingBetweenTools():
            return "between_tools"
        case _:
            return None


def _check_sampling(request: MessagesRequest, model: str, traits: Traits, new_version: bool) -> None:
    given = [name for name in _SAMPLING if getattr(request, name) is not msgspec.UNSET]
    if not given:
        return
    if new_version:
        raise refuse(f"{given[0]}: Extra inputs are not permitted")
    if not traits.sampling:
        raise refuse(f"{given[0]}: not supported by {model}")
    if thinking_type(request) in {"enabled", "adaptive"} and request.temperature not in {msgspec.UNSET, 1}:
        raise refuse("`temperature` may only be set to 1 when thinking is enabled.")


def _check_thinking(request: MessagesRequest, model: str, traits: Traits) -> None:
    kind = thinking_type(request)
    if kind is not None and kind not in traits.thinking:
        allowed = ", ".join(sorted(traits.thinking))
        raise refuse(f"thinking.type: '{kind}' is not supported by {model}; use one of: {allowed}")
    thinking = request.thinking
    if isinstance(thinking, ThinkingEnabled) and thinking.budget_tokens >= request.max_tokens:
        raise refuse("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if kind in {"enabled", "adaptive"} and isinstance(request.tool_choice, ChoiceAny | ChoiceTool):
        raise refuse("Thinking may not be enabled when tool_choice forces tool use.")


def _check_choice(request: MessagesRequest, traits: Traits, names: list[str]) -> None:
    choice = request.tool_choice
    if choice is msgspec.UNSET:
        return
    if not names:
        raise refuse("tool_choice: may only be specified while providing tools")
    if isinstance(choice, ChoiceAny | ChoiceTool) and not traits.forced_tools:
        raise refuse("tool_choice: forced tool use is not supported by this model")
    if isinstance(choice, ChoiceTool) and choice.name not in names:
        raise refuse(f"Tool '{choice.name}' not found in provided tools")


def _server_tool(tool: dict[str, Any], kind: str, at: int) -> str:
    known = ("web_search_", "web_fetch_", "code_execution_", "bash_", "text_editor_", "memory_", "computer_toolset_")
    if not kind.startswith((*known, "browser_toolset_", "tool_search_tool_")):
        raise refuse(f"tools.{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    return str(tool.get("name", kind))
