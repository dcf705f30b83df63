"""Whatever a member of a good request is replaced with, OpenAI's operations and their copies answer: never an exception."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from simulator_calls import Caller

ODD: list[Any] = [None, -1, "", "text", [], {}, [{"type": ["x"]}], {"type": {}}]
SCHEMA: Any = {"type": "object", "properties": {"a": {"type": "string"}}}
CALL = {"id": "aB3456789", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT: Any = {
    "model": "org/think-gpt-oss",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "aB3456789", "content": "r"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    "response_format": {"type": "text"},
    "stream": True,
    "stream_options": {"include_usage": True},
}
BODIES: dict[str, Any] = {
    "/v1/responses": {
        "model": "gpt-5.2",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "a"}]},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}, {"type": "custom", "name": "g"}],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "stream": True,
    },
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 4},
    "/v1/images/generations": {"model": "gpt-image-2", "prompt": "a", "size": "auto", "n": 1, "stream": True},
    "/v1/audio/speech": {"model": "tts-1", "input": "a", "voice": {"id": "voice_1"}, "speed": 1},
    "/v1/moderations": {"input": [{"type": "text", "text": "a"}]},
    "/as/plain/v1/rerank": {"model": "m", "query": "a", "documents": ["a", {"text": "b"}]},
    "/openai/deployments/gpt-4.1/chat/completions": CHAT,
    "/as/deepseek/v1/chat/completions": {**CHAT, "thinking": {"type": "disabled"}},
    "/as/openrouter/v1/chat/completions": {**CHAT, "reasoning": {"effort": "low"}},
    "/as/together/v1/chat/completions": {**CHAT, "logprobs": 1},
    **{
        f"/as/{vendor}/v1/chat/completions": CHAT
        for vendor in ("groq", "mistral", "xai", "cerebras", "ollama", "vllm", "oddities")
    },
    "/as/perplexity/v1/chat/completions": {"model": "sonar", "messages": CHAT["messages"][:1], "stream": True},
}  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every member of `value`."""
    if at:
        yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*at, key))


def changed(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    body = copy.deepcopy(body)
    holder = body
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return body


@pytest.mark.parametrize("path", BODIES)
def test_an_odd_value_anywhere_is_answered(path: str) -> None:
    caller = Caller()
    body = BODIES[path]
    assert caller.post(f"{path}?api-version=2024-10-21", body).status == 200
    for place in places(body):
        for value in ODD:
            answered = caller.post(f"{path}?api-version=2024-10-21", changed(body, place, value))
            assert answered.status in {200, 400, 404, 422}, (place, value)
            if answered.status >= 400:
                assert json.loads(answered.body)
