"""From a valid request to a prompt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.media import data_url, image_type
from pulse_gateway.testing.simulator.openai.errors import refuse
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
from pulse_gateway.testing.simulator.prompt import Media, Prompt, Tool, ToolResult
from pulse_gateway.testing.simulator.tokens import Tally

__all__ = ["Reader"]

_REASONING_TOKENS = {"none": 0, "minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 96, "max": 128}
_FORMATS = ("image/png", "image/jpeg", "image/gif", "image/webp")


class Reader:
    """Reads the messages once, counting as it goes; `text` is what they said."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._texts: list[str] = []
        self._system: list[str] = []
        self._last_user = ""
        self._media: list[Media] = []
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
        return "\n".join(self._texts).lower()

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
            reasoning_tokens=_REASONING_TOKENS[effort],
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
                self._image(part, path)
            elif isinstance(part, AudioPart):
                data = _decoded(part.input_audio.data, f"{path}.input_audio.data")
                self._see("audio", f"{part.input_audio.format} {len(data)} bytes", data)
            elif isinstance(part, FilePart):
                self._file(part, path)
            if getattr(part, "prompt_cache_breakpoint", None):
                self._tally.mark()
        return "\n".join(texts)

    def _say(self, text: str) -> None:
        self._texts.append(text)
        self._tally.text(text)

    def _see(self, kind: str, label: str, data: bytes) -> None:
        self._media.append(Media(kind, label))
        self._tally.media(data)

    def _image(self, part: ImagePart, path: str) -> None:
        url = part.image_url.url
        if url.startswith(("https://", "http://")):
            self._see("image", url, url.encode())
            return
        inline = data_url(url)
        if inline is None:
            raise refuse(
                f"Invalid '{path}.image_url.url': expected an https URL or a base64 data URL.",
                code="invalid_value",
                param=f"{path}.image_url.url",
            )
        data = _decoded(inline[1], f"{path}.image_url.url")
        found = image_type(data)
        if found not in _FORMATS:
            raise refuse(
                "You uploaded an unsupported image. Please make sure your image has one of the following formats: "
                "['png', 'jpeg', 'gif', 'webp'].",
                code="invalid_image_format",
                param=f"{path}.image_url.url",
            )
        self._see("image", f"{found} {len(data)} bytes", data)

    def _file(self, part: FilePart, path: str) -> None:
        if part.file.file_id:
            self._see("document", part.file.file_id, part.file.file_id.encode())
            return
        inline = data_url(part.file.file_data) if part.file.file_data else None
        if inline is None:
            raise refuse(
                f"Invalid '{path}.file': expected 'file_id', or 'file_data' with a base64 data URL.",
                code="invalid_value",
                param=f"{path}.file",
            )
        data = _decoded(inline[1], f"{path}.file.file_data")
        self._see("document", f"{inline[0]} {len(data)} bytes", data)

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


def _decoded(text: str, path: str) -> bytes:
    data = decode_base64(text)
    if not data:
        raise refuse(f"Invalid base64 in '{path}'.", code="invalid_base64", param=path)
    return data
