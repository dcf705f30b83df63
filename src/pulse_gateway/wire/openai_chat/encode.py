"""The neutral form → a Chat Completions request, for OpenAI and for the vendors that copy its shape.

Source: `openai/types/chat/completion_create_params.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    ChatRequest,
    DocumentPart,
    Message,
    ReasoningControl,
    ReasoningPart,
    RefusalPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.openai_chat.parts import encode_user_part, refused

__all__ = ["encode_request"]

_MAX_STOP_SEQUENCES = 4
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# The largest budget, in tokens, that each effort stands for; above them all: xhigh. A convention of gateways, not of vendors.
_BUDGETS = ((0, "none"), (1024, "low"), (2048, "medium"), (4096, "high"))
# In thinking mode with tools DeepSeek refuses a history without its own reasoning; other vendors refuse one with it.
# Source: https://api-docs.deepseek.com/guides/thinking_mode (read 2026-11-24)
_WANT_REASONING_BACK = frozenset({"deepseek"})
_encoder = msgspec.json.Encoder()


def encode_request(request: ChatRequest, model: Model) -> Encoded:
    """The body for `model`. A stream always asks for usage: the gateway needs it whether or not the client does.

    Raises: UnsupportedParameter whose `param` is a neutral field name, a message's path, or a path of `request.extra`.
    """
    return _RequestEncoder(request, model).encode()


class _RequestEncoder:
    def __init__(self, request: ChatRequest, model: Model) -> None:
        self._request = request
        self._model = model
        self._is_openai = model.provider == "openai"
        self._dropped: dict[str, None] = dict.fromkeys(request.hints)

    def encode(self) -> Encoded:
        request = self._request
        if request.extra:
            raise self._unsupported(next(iter(request.extra)))
        body: dict[str, Any] = {"model": self._model.name, "messages": self._messages()}
        self._limits(body)
        self._sampling(body)
        self._tools(body)
        self._response_format(body)
        if (effort := self._effort()) is not None:
            body["reasoning_effort"] = effort
        if request.user is not None:
            body["user"] = request.user
        if request.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return Encoded(_encoder.encode(body), tuple(self._dropped))

    def _unsupported(self, field: str, why: str = "") -> UnsupportedParameter:
        target = f"{self._model.provider}:{self._model.name}"
        return UnsupportedParameter(f"{target} does not support {field}{why}", param=field)

    # ── parameters ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _limits(self, body: dict[str, Any]) -> None:
        limit, most = self._request.max_output_tokens, self._model.max_output_tokens
        if limit is None:
            return
        if most is not None and limit > most:
            raise self._unsupported("max_output_tokens", f" above {most}")
        body["max_completion_tokens" if self._is_openai else "max_tokens"] = limit

    def _sampling(self, body: dict[str, Any]) -> None:
        request = self._request
        if request.top_k is not None:
            raise self._unsupported("top_k")
        for field in ("temperature", "top_p"):
            value = getattr(request, field)
            if value is not None and not self._model.capabilities.sampling:
                raise self._unsupported(field)
            _set(body, field, value)
        for field in ("n", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"):
            _set(body, field, getattr(request, field))
        if len(request.stop) > _MAX_STOP_SEQUENCES:
            raise self._unsupported("stop", f" with more than {_MAX_STOP_SEQUENCES} sequences")
        if request.stop:
            body["stop"] = request.stop

    def _tools(self, body: dict[str, Any]) -> None:
        request, choice = self._request, self._request.tool_choice
        if not request.tools:
            if choice is not None and choice.mode == "required":
                raise self._unsupported("tool_choice", " without tools")
            return  # `auto`, `none` and parallel calls say nothing without tools, and OpenAI refuses them then
        if not self._model.capabilities.tools:
            raise self._unsupported("tools")
        tools = request.tools
        if choice is not None:
            if choice.mode == "required" and not self._model.capabilities.forced_tool_choice:
                raise self._unsupported("tool_choice", " that forces a call")
            if not set(choice.names) <= {tool.name for tool in tools}:
                raise self._unsupported("tool_choice", " of a tool that the request does not declare")
            if choice.names and not self._is_openai:
                tools = tuple(tool for tool in tools if tool.name in choice.names)
            body["tool_choice"] = self._tool_choice()
        body["tools"] = [_tool(tool) for tool in tools]
        _set(body, "parallel_tool_calls", request.parallel_tool_calls)

    def _tool_choice(self) -> Any:
        """Compatible vendors know no `allowed_tools`: there the list of tools has been narrowed, which says the same."""
        choice = self._request.tool_choice
        if choice is None or not choice.names:
            return choice.mode if choice else None
        if choice.mode == "required" and len(choice.names) == 1:
            return {"type": "function", "function": {"name": choice.names[0]}}
        if not self._is_openai:
            return choice.mode
        allowed = [{"type": "function", "function": {"name": name}} for name in choice.names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": allowed}}

    def _response_format(self, body: dict[str, Any]) -> None:
        wanted = self._request.response_format
        if wanted is None or wanted.kind == "text":
            return
        if wanted.kind == "json_object":
            body["response_format"] = {"type": "json_object"}
            return
        if self._request.tools and not self._model.capabilities.schema_with_tools:
            raise self._unsupported("response_format", " with a schema together with tools")
        schema: dict[str, Any] = {"name": wanted.name or "response", "schema": wanted.schema or {}}
        _set(schema, "description", wanted.description)
        _set(schema, "strict", wanted.strict)
        body["response_format"] = {"type": "json_schema", "json_schema": schema}

    def _effort(self) -> str | None:
        control, capabilities = self._request.reasoning, self._model.capabilities
        if control is not None and control.summary and self._is_openai:
            self._dropped["reasoning.summary"] = None  # Chat Completions never shows OpenAI's reasoning
        effort = _wanted_effort(control, capabilities.efforts) if control is not None else None
        if effort is None:
            # Such models take tools only with reasoning off, and not all of them are off by default.
            off = self._is_openai and self._request.tools and not capabilities.chat_tools_with_reasoning
            return "none" if off and "none" in (capabilities.efforts or ("none",)) else None
        if capabilities.thinking == "none" or capabilities.efforts == ():
            if effort == "none":
                return None  # nothing to switch off
            raise self._unsupported("reasoning")
        if capabilities.efforts is not None and effort not in capabilities.efforts:
            raise self._unsupported("reasoning", f" with effort {effort}: it takes {', '.join(capabilities.efforts)}")
        return effort

    # ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _messages(self) -> list[dict[str, Any]]:
        messages = self._request.messages
        if messages and messages[-1].role == "assistant" and not self._model.capabilities.prefill:
            raise refused(messages[-1], self._model, "the beginning of its answer as a last assistant message")
        told: list[dict[str, Any]] = []
        for message in messages:
            match message.role:
                case "system":
                    told.append(self._named(message, {"role": "system", "content": self._texts(message)}))
                case "user":
                    told.append(self._named(message, {"role": "user", "content": self._user_content(message)}))
                case "assistant":
                    told.append(self._named(message, self._assistant(message)))
                case "tool":
                    told += [self._tool_result(part, message) for part in message.parts]
        return told

    def _named(self, message: Message, told: dict[str, Any]) -> dict[str, Any]:
        _set(told, "name", message.name)
        return told

    def _texts(self, message: Message) -> str | list[dict[str, Any]]:
        texts: list[str] = []
        for part in message.parts:
            if not isinstance(part, TextPart):
                raise refused(message, self._model, f"other than text in a {message.role} message")
            texts.append(part.text)
        return _content(texts)

    def _user_content(self, message: Message) -> str | list[dict[str, Any]]:
        if len(message.parts) == 1 and isinstance(message.parts[0], TextPart):
            return message.parts[0].text
        for part in message.parts:
            if isinstance(part, DocumentPart) and part.text is not None and part.title is not None:
                self._dropped[f"{message.path}.title"] = None
        return [encode_user_part(part, message, self._model) for part in message.parts] or ""

    def _assistant(self, message: Message) -> dict[str, Any]:
        texts: list[str] = []
        refusals: list[str] = []
        reasoning: list[str] = []
        calls: list[dict[str, Any]] = []
        for part in message.parts:
            match part:
                case TextPart():
                    texts.append(part.text)
                case RefusalPart():
                    (refusals if self._is_openai else texts).append(part.text)
                case ReasoningPart(text=str(text)) if text and self._model.provider in _WANT_REASONING_BACK:
                    reasoning.append(text)
                case ReasoningPart():
                    self._dropped["reasoning"] = None
                case ToolCallPart():
                    calls.append(self._tool_call(part))
                case _:
                    raise refused(message, self._model, "media in an assistant message")
        said = _content(texts) if texts else None
        told: dict[str, Any] = {"role": "assistant", "content": "" if not (said or calls or refusals) else said}
        if refusals:
            told["refusal"] = "".join(refusals)
        if reasoning:
            told["reasoning_content"] = "".join(reasoning)
        if calls:
            told["tool_calls"] = calls
        return told

    def _tool_call(self, call: ToolCallPart) -> dict[str, Any]:
        if call.signature is not None:
            self._dropped["reasoning"] = None  # a proof of thinking that only its own vendor can check
        function = {"name": call.name, "arguments": call.arguments or "{}"}
        return {"id": call.id, "type": "function", "function": function}

    def _tool_result(self, part: Any, message: Message) -> dict[str, Any]:
        if not isinstance(part, ToolResultPart):
            raise refused(message, self._model, "other than tool results in a tool message")
        texts: list[str] = []
        for piece in part.parts:
            text = piece.text if isinstance(piece, TextPart | DocumentPart) else None
            if text is None:
                raise refused(message, self._model, "images and files in a tool result")
            texts.append(text)
        return {"role": "tool", "tool_call_id": part.call_id, "content": _content(texts)}


def _set(members: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        members[name] = value


def _content(texts: list[str]) -> str | list[dict[str, Any]]:
    """A string, as every vendor takes it, unless there are several texts to keep apart."""
    if len(texts) < 2:
        return texts[0] if texts else ""
    return [{"type": "text", "text": text} for text in texts]


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    _set(function, "description", tool.description)
    _set(function, "parameters", tool.parameters)
    _set(function, "strict", tool.strict)
    return {"type": "function", "function": function}


def _wanted_effort(control: ReasoningControl, known: tuple[str, ...] | None) -> str | None:
    """None leaves it to the model. A budget is no exact wish: it steps down to an effort that the model has."""
    if control.effort is not None:
        return control.effort
    budget = control.budget_tokens
    if budget is None or budget < 0 or control.adaptive:
        return None
    effort = next((word for most, word in _BUDGETS if budget <= most), "xhigh")
    if not known or effort in known or effort == "none":
        return effort
    lower = [word for word in _EFFORTS[1 : _EFFORTS.index(effort)] if word in known]
    return lower[-1] if lower else effort
