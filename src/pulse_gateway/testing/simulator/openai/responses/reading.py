"""From a valid Responses request to a prompt."""

from __future__ import annotations

from typing import Any

from pulse_gateway.testing.simulator.media import data_url
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.intake import Intake
from pulse_gateway.testing.simulator.openai.models import Traits
from pulse_gateway.testing.simulator.openai.reading import REASONING_TOKENS
from pulse_gateway.testing.simulator.openai.responses.items import ASKED, SAID, SHOWN, Item, content_parts
from pulse_gateway.testing.simulator.openai.responses.schema import (
    CountRequest,
    CustomCall,
    CustomCallOutput,
    CustomTool,
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    JsonObject,
    JsonSchemaFormat,
    Message,
    OutputText,
    ReasoningItem,
    RefusalPart,
    ResponseRequest,
)
from pulse_gateway.testing.simulator.prompt import Prompt, Tool, ToolResult
from pulse_gateway.testing.simulator.tokens import Tally

__all__ = ["ResponseReader"]


class ResponseReader(Intake):
    """Reads instructions and items once, counting as it goes."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self.writes_for_12_h = False  # the last cache breakpoint asked for the longer lifetime
        self._system: list[str] = []
        self._last_user = ""
        self._names: dict[str, str] = {}  # call id → tool name
        self._results: list[ToolResult] = []

    def read(self, request: ResponseRequest | CountRequest, items: list[Item], before: int) -> None:
        """`before`: how many of `items` come from earlier responses.

        Raises: Refusal for content that has no place where it stands, or whose bytes are not what they should be.
        """
        if request.instructions:
            self._say(request.instructions)
            self._system.append(request.instructions)
        for at, item in enumerate(items):
            path = f"input[{at - before}]"
            if isinstance(item, Message):
                self._message(item, path)
            elif isinstance(item, FunctionCall):
                self._called(item.call_id, item.name, item.arguments)
            elif isinstance(item, CustomCall):
                self._called(item.call_id, item.name, item.input)
            elif isinstance(item, FunctionCallOutput | CustomCallOutput):
                text = self._content(item.output, SHOWN, f"{path}.output")
                self._results.append(ToolResult(self._names[item.call_id], text))
            elif isinstance(item, ReasoningItem):
                for part in item.summary:
                    self._say(part.text)
            elif isinstance(item, dict):
                self._tally.json(item)

    def tools(self, tools: list[FunctionTool | CustomTool]) -> list[Tool]:
        """Counted as the model reads them."""
        found: list[Tool] = []
        for tool in tools:
            self._tally.text(tool.name + (tool.description or ""))
            schema = tool.parameters if isinstance(tool, FunctionTool) else None
            if schema:
                self._tally.json(schema)
            found.append(Tool(tool.name, schema or {}, custom=isinstance(tool, CustomTool)))
        return found

    def prompt(self, request: ResponseRequest, traits: Traits, tools: list[Tool], *, must_call: bool) -> Prompt:
        """`tools` are those that may be called."""
        settings = request.reasoning
        effort = (settings.effort if settings else None) or traits.default_effort
        wanted = request.text.format if request.text else None
        return Prompt(
            digest=self._tally.digest,
            system="\n".join(self._system),
            text=self._last_user,
            media=self._media,
            tools=tools,
            must_call=must_call,
            parallel_calls=request.parallel_tool_calls is not False,
            results=self._results,
            schema=wanted.schema if isinstance(wanted, JsonSchemaFormat) else None,
            json_object=isinstance(wanted, JsonObject),
            max_tokens=request.max_output_tokens,
            reasoning_tokens=REASONING_TOKENS[effort],
            shows_reasoning=settings is not None and bool(settings.summary or settings.generate_summary),
            input_tokens=self._tally.tokens,
            marked_tokens=self._tally.marked_tokens,
        )

    def _message(self, item: Message, path: str) -> None:
        kinds = SAID if item.role == "assistant" else ASKED
        text = self._content(item.content, kinds, f"{path}.content")
        if item.role in {"system", "developer"}:
            self._system.append(text)
            return
        self._results = []
        if item.role == "user":
            self._last_user = text

    def _called(self, call_id: str, name: str, arguments: str) -> None:
        self._results = []
        self._names[call_id] = name
        self._say(name + arguments)

    def _content(self, content: str | list[dict[str, Any]], kinds: tuple[str, ...], path: str) -> str:
        if isinstance(content, str):
            self._say(content)
            return content
        texts: list[str] = []
        for at, part in enumerate(content_parts(content, kinds, path)):
            where = f"{path}[{at}]"
            if isinstance(part, InputText | OutputText):
                self._say(part.text)
                texts.append(part.text)
            elif isinstance(part, RefusalPart):
                self._say(part.refusal)
            elif isinstance(part, InputImage):
                self._picture(part, where)
            elif isinstance(part, InputFile):
                self._document(part, where)
            elif isinstance(part, InputAudio):
                self._audio(part.input_audio.data, part.input_audio.format, f"{where}.input_audio.data")
            if breakpoint_ := getattr(part, "prompt_cache_breakpoint", None):
                self._tally.mark()
                self.writes_for_12_h = breakpoint_.ttl == "12h"
        return "\n".join(texts)

    def _picture(self, part: InputImage, path: str) -> None:
        if part.file_id is not None:
            self._see("image", part.file_id, part.file_id.encode())
        elif part.image_url is not None:
            self._image(part.image_url, f"{path}.image_url")
        else:
            raise refuse(
                f"Missing required parameter: '{path}.image_url'.",
                code="missing_required_parameter",
                param=f"{path}.image_url",
            )

    def _document(self, part: InputFile, path: str) -> None:
        if part.file_url:
            if not part.file_url.startswith(("https://", "http://")) or data_url(part.file_url) is not None:
                raise refuse(
                    f"Invalid '{path}.file_url': expected a URL.", code="invalid_value", param=f"{path}.file_url"
                )
            self._see("document", part.file_url, part.file_url.encode())
            return
        self._file(part.file_data or None, part.file_id, path)
