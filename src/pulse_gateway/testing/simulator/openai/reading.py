"""From a valid request to a prompt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulse_gateway.testing.simulator.openai.intake import Intake
from pulse_gateway.testing.simulator.openai.models import Traits
from pulse_gateway.testing.simulator.openai.rules import tool_name
from pulse_gateway.testing.simulator.openai.schema import (
    AssistantMessage,
    AudioPart,
    ChatRequest,
    ChosenAllowed,
    ChosenCustom,
    ChosenFunction,
    CustomTool,
    DeveloperMessage,
    FilePart,
    FunctionCall,
    FunctionChoice,
    FunctionMessage,
    FunctionTool,
    ImagePart,
    JsonObject,
    JsonSchemaFormat,
    RefusalPart,
    SystemMessage,
    TextOnly,
    TextPart,
    ToolMessage,
    UserMessage,
)
from pulse_gateway.testing.simulator.prompt import Prompt, Tool, ToolResult
from pulse_gateway.testing.simulator.tokens import Tally

__all__ = ["REASONING_TOKENS", "Reader"]

REASONING_TOKENS = {"none": 0, "minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 96, "max": 128}


class Reader(Intake):
    """Reads the messages once, counting as it goes; `text` is what they said."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self._system: list[str] = []
        self._last_user = ""
        self._names: dict[str, str] = {}  # tool call id → tool name
        self._results: list[ToolResult] = []

    def messages(self, request: ChatRequest) -> str:
        """Everything said, lower-case.

        Raises: Refusal for an image, clip or file whose bytes are not what they should be.
        """
        for at, message in enumerate(request.messages):
            if isinstance(message, ToolMessage):
                text = self._content(message.content, at)
                self._results.append(ToolResult(self._names[message.tool_call_id], text))
            elif isinstance(message, FunctionMessage):
                self._results.append(ToolResult(message.name, self._content(message.content, at)))
            elif isinstance(message, AssistantMessage):
                self._results = []
                self._assistant(message, at)
            else:
                text = self._content(message.content, at)
                if isinstance(message, SystemMessage | DeveloperMessage):
                    self._system.append(text)
                elif isinstance(message, UserMessage):
                    self._last_user = text
                    self._results = []
        return self.said

    def prompt(self, request: ChatRequest, traits: Traits) -> Prompt:
        """The rest of the request, once the rules have passed it."""
        tools, must_call, parallel = self._tools(request)
        answer_format = request.response_format
        stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
        effort = request.reasoning_effort or traits.default_effort
        limit = request.max_completion_tokens if request.max_tokens is None else request.max_tokens
        schema = answer_format.json_schema.schema if isinstance(answer_format, JsonSchemaFormat) else None
        return Prompt(
            digest=self._tally.digest,
            system="\n".join(self._system),
            text=self._last_user,
            media=self._media,
            tools=tools,
            must_call=must_call,
            parallel_calls=parallel,
            results=self._results,
            schema=schema if isinstance(schema, dict) else None,
            json_object=isinstance(answer_format, JsonObject),
            stop=stop,
            max_tokens=limit,
            choices=request.n or 1,
            reasoning_tokens=REASONING_TOKENS[effort],
            input_tokens=self._tally.tokens,
            marked_tokens=self._tally.marked_tokens,
        )

    def _assistant(self, message: AssistantMessage, at: int) -> None:
        self._content(message.content, at)
        if message.refusal:
            self._say(message.refusal)
        for call in message.tool_calls or ():
            if isinstance(call, FunctionCall):
                self._names[call.id] = call.function.name
                self._say(call.function.name + call.function.arguments)
            else:
                self._names[call.id] = call.custom.name
                self._say(call.custom.name + call.custom.input)
        if message.function_call is not None:
            self._say(message.function_call.name + message.function_call.arguments)

    def _content(self, content: str | Iterable[Any] | None, at: int) -> str:
        """What a message says; its parts are counted and, if they are no text, looked into."""
        if content is None:
            return ""
        if isinstance(content, str):
            self._say(content)
            return content
        texts: list[str] = []
        for index, part in enumerate(content):
            path = f"messages[{at}].content[{index}]"
            if isinstance(part, TextPart | TextOnly):
                self._say(part.text)
                texts.append(part.text)
            elif isinstance(part, RefusalPart):
                self._say(part.refusal)
            elif isinstance(part, ImagePart):
                self._image(part.image_url.url, f"{path}.image_url.url")
            elif isinstance(part, AudioPart):
                self._audio(part.input_audio.data, part.input_audio.format, f"{path}.input_audio.data")
            elif isinstance(part, FilePart):
                self._file(part.file.file_data or None, part.file.file_id or None, f"{path}.file")
            if getattr(part, "prompt_cache_breakpoint", None):
                self._tally.mark()
        return "\n".join(texts)

    def _tools(self, request: ChatRequest) -> tuple[list[Tool], bool, bool]:
        """The tools that may be called, whether one must be, and whether several may."""
        tools: list[Tool] = []
        for tool in request.tools or ():
            if isinstance(tool, FunctionTool):
                parameters = tool.function.parameters
                tools.append(self._tool(tool.function, parameters if isinstance(parameters, dict) else {}))
            elif isinstance(tool, CustomTool):
                tools.append(self._tool(tool.custom, None))
        if request.functions:
            return self._functions(request)
        parallel = request.parallel_tool_calls is not False
        match request.tool_choice:
            case "none":
                return [], False, parallel
            case "required":
                return tools, True, parallel
            case ChosenFunction() | ChosenCustom() as chosen:
                return [tool for tool in tools if tool.name == tool_name(chosen)], True, parallel
            case ChosenAllowed(allowed_tools=allowed):
                names = {tool_name(tool) for tool in allowed.tools}
                return [tool for tool in tools if tool.name in names], allowed.mode == "required", parallel
        return tools, False, parallel

    def _functions(self, request: ChatRequest) -> tuple[list[Tool], bool, bool]:
        """The same for the deprecated `functions`, of which one is called at a time."""
        functions = request.functions or []
        tools = [self._tool(each, each.parameters if isinstance(each.parameters, dict) else {}) for each in functions]
        if request.function_call == "none":
            return [], False, False
        if isinstance(request.function_call, FunctionChoice):
            return [tool for tool in tools if tool.name == request.function_call.name], True, False
        return tools, False, False

    def _tool(self, definition: Any, schema: dict[str, Any] | None) -> Tool:
        self._tally.text(definition.name + (definition.description or ""))
        if schema:
            self._tally.json(schema)
        return Tool(definition.name, schema or {}, custom=schema is None)
