"""Chat Completions, by OpenAI's SDK."""

from __future__ import annotations

import json
from typing import Any

import openai

from .asking import Ask, Call, Seen, b64

__all__ = ["OpenAIChat"]


class OpenAIChat:
    def __init__(self, sdk: openai.AsyncOpenAI) -> None:
        self._sdk = sdk

    async def ask(self, ask: Ask) -> tuple[Seen, Any]:
        fields = _fields(ask)
        if ask.stream:
            async with self._sdk.chat.completions.stream(**fields, stream_options={"include_usage": True}) as stream:
                try:
                    async for _ in stream:
                        pass
                    raw: Any = await stream.get_final_completion()
                except openai.LengthFinishReasonError as cut:  # the SDK's helper calls a cut answer an error
                    raw = cut.completion
        else:
            raw = await self._sdk.chat.completions.create(**fields)
        choice, usage = raw.choices[0], raw.usage
        details = usage and usage.completion_tokens_details
        told = ("reasoning_content", "reasoning", "reasoning_details")
        shown = any(getattr(choice.message, name, None) for name in told)
        seen = Seen(
            text=choice.message.content or "",
            calls=[
                Call(call.id, call.function.name, json.loads(call.function.arguments))
                for call in choice.message.tool_calls or []
            ],
            finish=choice.finish_reason,
            input_tokens=usage and usage.prompt_tokens,
            output_tokens=usage and usage.completion_tokens,
            thought=bool(details and details.reasoning_tokens) or shown,
            shown=shown,
        )
        return seen, raw


def _fields(ask: Ask) -> dict[str, Any]:
    messages: list[Any] = [{"role": "system", "content": ask.system}] if ask.system else []
    messages += [{"role": role, "content": text} for role, text in ask.history]
    parts: list[Any] = []
    if ask.image is not None:
        parts.append({"type": "image_url", "image_url": {"url": "data:image/png;base64," + b64(ask.image)}})
    if ask.document is not None:
        file = {"filename": "paper.pdf", "file_data": "data:application/pdf;base64," + b64(ask.document)}
        parts.append({"type": "file", "file": file})
    content = [{"type": "text", "text": ask.text}, *parts] if parts else ask.text
    messages.append({"role": "user", "content": content})
    if ask.previous is not None:
        said = ask.previous.choices[0].message
        messages.append(said.model_dump(exclude_none=True, exclude={"parsed"}) | {"tool_calls": _calls(said)})
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": ask.results[call.function.name]}
            for call in said.tool_calls
        ]
    fields: dict[str, Any] = {"model": ask.model, "messages": messages, "max_completion_tokens": ask.max_tokens}
    if ask.tools:
        fields["tools"] = [
            {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
            for name, about, schema in ask.tools
        ]
    if ask.schema is not None:
        fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": ask.schema}}
    if ask.effort is not None:
        fields["reasoning_effort"] = ask.effort
    return {**fields, "extra_headers": ask.headers}


def _calls(said: Any) -> list[dict[str, Any]]:
    """As they came, but for what the SDK's own helper for streams has added to them."""
    calls = [call.model_dump(exclude_none=True) for call in said.tool_calls]
    for call in calls:
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    return calls
