"""Responses, by OpenAI's SDK."""

from __future__ import annotations

import json
from typing import Any

import openai

from .asking import Ask, Call, Seen, b64

__all__ = ["OpenAIResponses"]


class OpenAIResponses:
    """Nothing is stored: a second turn says the whole first one again, reasoning items and all."""

    def __init__(self, sdk: openai.AsyncOpenAI) -> None:
        self._sdk = sdk

    async def ask(self, ask: Ask) -> tuple[Seen, Any]:
        fields = _fields(ask)
        if ask.stream:
            async with self._sdk.responses.stream(**fields) as stream:
                ended = None
                async for event in stream:
                    if event.type in {"response.completed", "response.incomplete"}:
                        ended = event.response
                raw: Any = ended  # the SDK's helper knows no end but `completed`
        else:
            raw = await self._sdk.responses.create(**fields)
        assert raw is not None, "the stream had no end"
        usage = raw.usage
        details = usage and usage.output_tokens_details
        seen = Seen(
            text=raw.output_text,
            calls=[
                Call(item.call_id, item.name, json.loads(item.arguments))
                for item in raw.output
                if item.type == "function_call"
            ],
            finish=raw.status if raw.incomplete_details is None else raw.incomplete_details.reason,
            input_tokens=usage and usage.input_tokens,
            output_tokens=usage and usage.output_tokens,
            thought=bool(details and details.reasoning_tokens) or any(item.type == "reasoning" for item in raw.output),
            shown=any(item.type == "reasoning" and item.summary for item in raw.output),
        )
        return seen, raw


def _fields(ask: Ask) -> dict[str, Any]:
    items: list[Any] = [{"role": role, "content": text} for role, text in ask.history]
    parts: list[Any] = [{"type": "input_text", "text": ask.text}]
    if ask.image is not None:
        url = "data:image/png;base64," + b64(ask.image)
        parts.append({"type": "input_image", "detail": "auto", "image_url": url})
    if ask.document is not None:
        data = "data:application/pdf;base64," + b64(ask.document)
        parts.append({"type": "input_file", "filename": "paper.pdf", "file_data": data})
    items.append({"role": "user", "content": parts})
    if ask.previous is not None:
        items += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in ask.previous.output]
        items += [
            {"type": "function_call_output", "call_id": item.call_id, "output": ask.results[item.name]}
            for item in ask.previous.output
            if item.type == "function_call"
        ]
    fields: dict[str, Any] = {
        "model": ask.model,
        "input": items,
        "max_output_tokens": ask.max_tokens,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    if ask.system:
        fields["instructions"] = ask.system
    if ask.tools:
        fields["tools"] = [
            {"type": "function", "name": name, "description": about, "parameters": schema, "strict": False}
            for name, about, schema in ask.tools
        ]
    if ask.schema is not None:
        fields["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": ask.schema}}
    if ask.effort is not None:
        fields["reasoning"] = {"effort": ask.effort}
    return {**fields, "extra_headers": ask.headers}
