"""The built-in echo: offline, deterministic, and honest about what it cannot do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.transport.echo import EchoTransport
from pulse_gateway.types.http import HttpRequest, Timeouts


async def ask(**fields: Any) -> tuple[int, bytes]:
    body = msgspec.json.encode({"model": "echo", "messages": [{"role": "user", "content": "مرحبا يا عالم"}], **fields})
    answer = await EchoTransport().send(HttpRequest("POST", "echo:/chat/completions", (), body), Timeouts())
    return answer.status, b"".join([piece async for piece in answer])


async def test_it_repeats_the_last_user_message() -> None:
    status, body = await ask()
    reply = msgspec.json.decode(body)
    assert status == 200
    assert reply["choices"][0]["message"]["content"] == "مرحبا يا عالم"
    assert reply["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert await ask() == (status, body)


async def test_a_stream_says_the_same_word_by_word() -> None:
    _, body = await ask(stream=True, stream_options={"include_usage": True})
    frames = [msgspec.json.decode(frame[6:]) for frame in body.split(b"\n\n") if frame.startswith(b"data: {")]
    words = [choice["delta"].get("content", "") for frame in frames for choice in frame["choices"]]
    assert "".join(words) == "مرحبا يا عالم"
    assert frames[-1]["usage"]["total_tokens"] == 6
    assert body.endswith(b"data: [DONE]\n\n")


async def test_a_limit_cuts_it_and_says_so() -> None:
    reply = msgspec.json.decode((await ask(max_completion_tokens=2))[1])
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"stop": ["x"]}, "stop"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"a_field_of_tomorrow": 1}, "a_field_of_tomorrow"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
    ],
)
async def test_what_it_cannot_honour_is_named(fields: dict[str, Any], param: str) -> None:
    status, body = await ask(**fields)
    assert status == 400
    assert msgspec.json.decode(body)["error"]["param"] == param


@pytest.mark.parametrize(
    "fields", [{"temperature": 0.5}, {"tools": []}, {"logprobs": False}, {"n": 1}, {"stop": None}, {"user": "u"}]
)
async def test_what_changes_nothing_is_taken(fields: dict[str, Any]) -> None:
    assert (await ask(**fields))[0] == 200
