"""Whatever is sent, something is answered: a vendor's error or a vendor's answer, never a broken connection."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulse_gateway.testing.simulator.application import Application
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.vendor import Request

SCHEMA: Any = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
        "b": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/c"}]},
        "d": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2, "uniqueItems": True},
        "e": {"type": "string", "pattern": "^[a-z]{2}$", "minLength": 2},
        "f": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["a"],
    "$defs": {"c": {"allOf": [{"type": "string", "format": "date"}]}},
}
OPENAI: Any = {
    "model": "gpt-4.1+tokens=9",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://a"}}]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "r"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": False}}],
    "tool_choice": "required",
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "stream": True,
    "stream_options": {"include_usage": True},
    "n": 2,
    "stop": ["x"],
    "logprobs": True,
    "max_tokens": 50,
    "metadata": {"a": "b"},
}  # fmt: skip
ANTHROPIC: Any = {
    "model": "claude-opus-4-8+tokens=9",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"},
                                     {"type": "image", "source": {"type": "url", "url": "https://a"}}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "r"}]},
                                     {"type": "text", "text": "b"}]},
    ],
    "tools": [{"name": "f", "input_schema": SCHEMA}],
    "tool_choice": {"type": "any"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["x"],
    "metadata": {"user_id": "u"},
}  # fmt: skip
GEMINI: Any = {
    "contents": [
        {"role": "user", "parts": [{"text": "a"}, {"fileData": {"fileUri": "https://a", "mimeType": "image/png"}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]},
    ],
    "systemInstruction": {"parts": [{"text": "s"}]},
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": SCHEMA},
                                        {"name": "g", "parameters": {"type": "OBJECT", "properties": {
                                            "a": {"type": "ARRAY", "items": {"type": "STRING"}}}}}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA, "maxOutputTokens": 50,
                         "thinkingConfig": {"includeThoughts": True}, "stopSequences": ["x"]},
}  # fmt: skip
HEADERS = {
    "authorization": "Bearer k",
    "x-api-key": "k",
    "anthropic-version": "2026-10-21",
    "content-type": "application/json",
    "x-goog-api-key": "k",
}
VENDORS = {
    "/v1/chat/completions": OPENAI,
    "/v1/messages": ANTHROPIC,
    "/v1beta/models/sim-fast:generateContent": GEMINI,
    "/v1beta/models/gemini-4-argon+split:streamGenerateContent": GEMINI,
}

WORDS = sorted(
    {"object", "array", "string", "integer", "number", "null", "user", "text", "#", "#/properties", "$ref", "type", "a", "f",
     "required", "enum", "items", "anyOf", "minimum", "1", "content", "none", "auto", "(", "[a", ""}
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 5), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(WORDS), st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every member of `value`."""
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*at, key))
    return found


def changed(body: Any, place: tuple[Any, ...], value: Any, drop: bool) -> Any:
    """`body` with the member at `place` replaced, or gone."""
    body = copy.deepcopy(body)
    *way, last = place
    holder = body
    for key in way:
        holder = holder[key]
    if drop:
        del holder[last]
    else:
        holder[last] = value
    return body


@pytest.mark.parametrize("path", VENDORS)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_change_of_a_good_request_is_answered(path: str, data: st.DataObject) -> None:
    application = Application(0, Config())
    body = VENDORS[path]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places(body)))
        body = changed(body, place, data.draw(VALUES), data.draw(st.booleans()))
    request = Request("POST", path, {}, HEADERS, json.dumps(body).encode())
    delivery = application.answer(request)
    assert delivery.status in {200, 400, 404}
    assert delivery.frames
    if delivery.status >= 400:
        assert json.loads(delivery.frames[0].data)


@pytest.mark.parametrize("path", VENDORS)
@pytest.mark.parametrize(
    "nested", [b'{"a":%b}', b"[%b]", b'{"contents":[%b]}', b'{"tools":[{"input_schema":{"items":%b}}]}']
)
def test_depth_is_refused_and_not_fatal(path: str, nested: bytes) -> None:
    for depth in (300, 900, 5_000):
        body = b"1"
        head, _, tail = nested.partition(b"%b")
        body = head * depth + body + tail * depth
        assert Application(0, Config()).answer(Request("POST", path, {}, HEADERS, body)).status == 400


@pytest.mark.parametrize("path", VENDORS)
@settings(deadline=None, max_examples=100)
@given(body=st.binary(max_size=30))
def test_bytes_of_any_kind_are_refused(path: str, body: bytes) -> None:
    assert Application(0, Config()).answer(Request("POST", path, {}, HEADERS, body)).status == 400
