"""What goes with a conversation: tools, limits, reasoning, and the form of the answer.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
/userguide/model-parameters-anthropic-claude-messages-request-response.html (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from pulse_gateway.testing.simulator.anthropic.schema import (
    ThinkingAdaptive,
    ThinkingBetweenTools,
    ThinkingDisabled,
    ThinkingEnabled,
)
from pulse_gateway.testing.simulator.bedrock.errors import refuse
from pulse_gateway.testing.simulator.bedrock.models import BedrockModel
from pulse_gateway.testing.simulator.bedrock.reading import Conversation, member
from pulse_gateway.testing.simulator.bedrock.schema import ConverseRequest, ConverseTokens, OutputConfig, ToolConfig
from pulse_gateway.testing.simulator.prompt import Prompt, Tool
from pulse_gateway.testing.simulator.schema_shape import schema_problem
from pulse_gateway.testing.simulator.tokens import Tally

__all__ = ["read_conversation", "read_prompt"]

_CLAUDE_FIELDS = frozenset(
    {"thinking", "reasoning_config", "top_k", "anthropic_beta", "output_config", "speed", "tool_choice"}
)
_THINKING_TOKENS = {"low": 16, "medium": 32, "high": 64, "xhigh": 96, "max": 128}
_NAMES_TOOLS = frozenset({"anthropic", "amazon", ""})  # the empty one: names nobody knows
_OPEN_REASONERS = ("gpt-oss", "r1", "kimi-k2-thinking", "minimax-m2")
_Thinking = ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | ThinkingBetweenTools


def read_conversation(
    request: ConverseTokens, model: BedrockModel, seed: int, name: str
) -> tuple[Conversation, Tally, list[Tool]]:
    """Everything that costs input tokens.

    Raises: Refusal.
    """
    tally = Tally(seed, "bedrock", name)
    conversation = Conversation(tally, seed, model)
    tools = _tools(request.tool_config, tally, conversation) if request.tool_config is not UNSET else []
    if request.system is not UNSET:
        conversation.read_system(request.system)
    conversation.read(request.messages if request.messages is not UNSET else [])
    if conversation.uses_tools and request.tool_config is UNSET:
        raise refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    return conversation, tally, tools


def read_prompt(request: ConverseRequest, model: BedrockModel, seed: int, name: str) -> tuple[Prompt, bool, bool]:
    """The prompt, whether thinking is shown without its text, and whether the cache is the one-hour one.

    Raises: Refusal.
    """
    conversation, tally, tools = read_conversation(request, model, seed, name)
    offered, must_call = _choose(request.tool_config, tools, model)
    max_tokens = _limits(request, model)
    thinks, omits, parallel = _reasoning(request, model, max_tokens, must_call)
    stop = request.inference_config.stop_sequences if request.inference_config is not UNSET else UNSET
    prompt = Prompt(
        digest=tally.digest,
        system="\n".join(conversation.system),
        text=conversation.last_user,
        media=conversation.media,
        tools=offered,
        must_call=must_call,
        parallel_calls=parallel,
        results=conversation.results,
        schema=_schema(request.output_config),
        stop=stop if stop is not UNSET else [],
        max_tokens=max_tokens,
        reasoning_tokens=thinks,
        shows_reasoning=thinks > 0,
        talks_while_calling=model.mixes_blocks,
        input_tokens=tally.tokens,
        marked_tokens=tally.marked_tokens,
    )
    return prompt, omits, conversation.long_cache


def _tools(config: ToolConfig, tally: Tally, conversation: Conversation) -> list[Tool]:
    tools: list[Tool] = []
    names: set[str] = set()
    for at, tool in enumerate(config.tools):
        kind, value = member(tool, f"toolConfig.tools.{at}")
        if kind == "cache_point":
            conversation.mark(value)
            continue
        if value.name in names:
            raise refuse(f"The toolConfig field contains more than one tool with the name {value.name}.")
        names.add(value.name)
        if kind == "system_tool":
            continue  # recognised, never called
        schema = value.input_schema.json
        if schema.get("type") != "object":
            raise refuse(
                "The model returned the following errors: "
                f"tools.{at}.custom.input_schema.type: Input should be 'object'"
            )
        if problem := schema_problem(schema):
            raise refuse(f"The value at toolConfig.tools.{at}.toolSpec.inputSchema.json is invalid: {problem}")
        tally.text(value.name + (value.description if value.description is not UNSET else ""))
        tally.json(schema)
        tools.append(Tool(value.name, schema))
    return tools


def _choose(config: ToolConfig | msgspec.UnsetType, tools: list[Tool], model: BedrockModel) -> tuple[list[Tool], bool]:
    """The tools that may be called, and whether one must be."""
    if config is UNSET or config.tool_choice is UNSET:
        return tools, False
    kind, value = member(config.tool_choice, "toolConfig.toolChoice")
    if kind == "auto":
        return tools, False
    if not model.forces_tools or (kind == "tool" and model.maker not in _NAMES_TOOLS):
        raise refuse(f"This model doesn't support the toolConfig.toolChoice.{kind} field. Remove it and try again.")
    if kind == "any":
        return tools, True
    chosen = [tool for tool in tools if tool.name == value.name]
    if not chosen:
        raise refuse(f"Tool '{value.name}' not found in provided tools")
    return chosen, True


def _limits(request: ConverseRequest, model: BedrockModel) -> int | None:
    config = request.inference_config
    if config is UNSET:
        return None
    claude = model.maker == "anthropic"
    for name, value in (("temperature", config.temperature), ("topP", config.top_p)):
        if claude and value is not UNSET and not model.traits.sampling:
            raise refuse(f"The model returned the following errors: {name} is not supported by this model")
    if claude and config.stop_sequences is not UNSET and not all(stop.strip() for stop in config.stop_sequences):
        raise refuse(
            "The model returned the following errors: stop_sequences: each stop sequence must contain non-whitespace"
        )
    if config.max_tokens is UNSET:
        return None
    if config.max_tokens > model.traits.max_tokens:
        raise refuse(
            f"The maximum tokens you requested exceeds the model limit of {model.traits.max_tokens}. Try again with a "
            f"maximum tokens value that is lower than {model.traits.max_tokens}."
        )
    return config.max_tokens


def _reasoning(
    request: ConverseRequest, model: BedrockModel, max_tokens: int | None, must_call: bool
) -> tuple[int, bool, bool]:
    """Reasoning tokens, whether their text is omitted, and whether tools may be called in parallel."""
    more = request.additional_model_request_fields
    fields: dict[str, Any] = more if more is not UNSET else {}
    effort = request.output_config.effort if request.output_config is not UNSET else UNSET
    if model.maker != "anthropic":
        tokens = 32 if model.name.startswith(_OPEN_REASONERS) else 0
        return tokens, False, True
    if unknown := sorted(fields.keys() - _CLAUDE_FIELDS):
        raise refuse(f"The model returned the following errors: {unknown[0]}: Extra inputs are not permitted")
    parallel = not _forbids_parallel(fields)
    thinking = _thinking(fields)
    traits = model.traits
    kind = type(thinking).__struct_config__.tag if thinking is not None else None
    if kind is not None and kind not in traits.thinking:
        raise refuse(f"The model returned the following errors: thinking.type: '{kind}' is not supported by this model")
    if isinstance(thinking, ThinkingEnabled) and max_tokens is not None and thinking.budget_tokens >= max_tokens:
        raise refuse(
            "The model returned the following errors: `max_tokens` must be greater than `thinking.budget_tokens`."
        )
    if kind in {"enabled", "adaptive"} and must_call:
        raise refuse(
            "The model returned the following errors: Thinking may not be enabled when tool_choice forces tool use."
        )
    if effort is not UNSET and effort not in traits.efforts:
        raise refuse(
            f"The model returned the following errors: output_config.effort: '{effort}' is not supported by this model"
        )
    if kind not in {"enabled", "adaptive"} and not (kind is None and traits.always_thinks):
        return 0, False, parallel
    display = thinking.display if isinstance(thinking, ThinkingEnabled | ThinkingAdaptive) else None
    omits = traits.omits_thinking if display is None else display == "omitted"
    return _THINKING_TOKENS[effort if effort is not UNSET else "high"], omits, parallel


def _forbids_parallel(fields: dict[str, Any]) -> bool:
    """The native `tool_choice` beside Converse's own, which has no such word."""
    choice = fields.get("tool_choice", {})
    if not isinstance(choice, dict) or not choice.keys() <= {"type", "disable_parallel_tool_use"}:
        raise refuse("The model returned the following errors: tool_choice: Extra inputs are not permitted")
    return choice.get("disable_parallel_tool_use") is True


def _thinking(fields: dict[str, Any]) -> _Thinking | None:
    given = fields.get("thinking", fields.get("reasoning_config"))
    if given is None:
        return None
    try:
        thinking: _Thinking = msgspec.convert(given, _Thinking)
    except msgspec.ValidationError as error:
        raise refuse(f"The model returned the following errors: thinking: {error}") from error
    return thinking


def _schema(config: OutputConfig | msgspec.UnsetType) -> dict[str, Any] | None:
    if config is UNSET or config.text_format is UNSET:
        return None
    try:
        schema = msgspec.json.decode(config.text_format.structure.json_schema.schema, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise refuse(f"outputConfig.textFormat.structure.jsonSchema.schema is not a JSON object: {error}") from error
    if problem := schema_problem(schema):
        raise refuse(f"outputConfig.textFormat.structure.jsonSchema.schema is invalid: {problem}")
    return schema
