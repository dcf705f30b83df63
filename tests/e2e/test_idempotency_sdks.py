"""The official SDKs repeat a request by themselves when it takes too long: with a key that is still one call and one charge."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types as genai_types
from pulse_process import PAUSE_S, Pulse, Simulation

SLOW = "delay=1"  # before anything of an answer comes
PATIENCE_S = 0.3
RETRIES = 10


async def with_openai(pulse: Pulse, key: str, stream: bool) -> str:
    async with openai.AsyncOpenAI(
        base_url=f"{pulse.url}/v1", api_key=pulse.key, timeout=PATIENCE_S, max_retries=RETRIES
    ) as client:
        asked: dict[str, Any] = {
            "model": f"gpt-5.2+{SLOW}",
            "messages": [{"role": "user", "content": key}],
            "extra_headers": {"Idempotency-Key": key},
        }
        if not stream:
            return (await client.chat.completions.create(**asked)).choices[0].message.content or ""
        text = ""
        async for chunk in await client.chat.completions.create(stream=True, **asked):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        return text


async def with_anthropic(pulse: Pulse, key: str, stream: bool) -> str:
    async with anthropic.AsyncAnthropic(
        base_url=pulse.url, api_key=pulse.key, timeout=PATIENCE_S, max_retries=RETRIES
    ) as client:
        asked: dict[str, Any] = {
            "model": f"claude-opus-5+{SLOW}",
            "max_tokens": 500,
            "messages": [{"role": "user", "content": key}],
            "extra_headers": {"Idempotency-Key": key},
        }
        if not stream:
            message = await client.messages.create(**asked)
            return "".join(block.text for block in message.content if block.type == "text")
        text = ""
        async with client.messages.stream(**asked) as events:
            async for piece in events.text_stream:
                text += piece
        return text


async def with_google(pulse: Pulse, key: str, stream: bool) -> str:
    retries = genai_types.HttpRetryOptions(attempts=RETRIES, initial_delay=0.2, exp_base=1, jitter=0)
    options = genai_types.HttpOptions(
        base_url=pulse.url,
        timeout=int(PATIENCE_S * 1000),
        retry_options=retries,
        headers={"Idempotency-Key": key},
    )
    client = genai.Client(api_key=pulse.key, http_options=options)
    try:
        asked: dict[str, Any] = {"model": f"google:gemini-3.8-flash+{SLOW}", "contents": key}
        if not stream:
            return (await client.aio.models.generate_content(**asked)).text or ""
        text = ""
        async for chunk in await client.aio.models.generate_content_stream(**asked):
            text += chunk.text or ""
        return text
    finally:
        await client.aio.aclose()
        client.close()


Asking = Callable[[Pulse, str, bool], Awaitable[str]]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("asking", [with_openai, with_anthropic, with_google], ids=["openai", "anthropic", "google"])
async def test_the_retries_of_an_sdk_join_the_request_they_repeat(
    pulse: Pulse, simulation: Simulation, asking: Asking, stream: bool
) -> None:
    key = f"key-{uuid.uuid4()}"
    simulation.reset()
    before = len(pulse.log_lines())
    text = await asking(pulse, key, stream)
    assert key[:20] in text  # the simulator quotes what it was asked
    (call,) = simulation.stats()["requests"]
    assert call["outcome"] == "completed"
    entries = [entry for entry in await pulse.entries() if entry["request_id"] == call["caller_request_id"]]
    assert len(entries) == 1
    async with asyncio.timeout(10):  # the SDK has asked again
        while len(lines := pulse.log_lines()[before:]) < 2:
            await asyncio.sleep(PAUSE_S)
    assert [line["request_id"] for line in lines if line["attempts"]] == [call["caller_request_id"]]


async def test_an_sdk_does_not_retry_a_conflict(pulse: Pulse) -> None:
    key = f"key-{uuid.uuid4()}"
    async with openai.AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=5) as client:
        for text in ("one", "another"):
            asked = client.chat.completions.create(
                model="echo",
                messages=[{"role": "user", "content": text}],
                extra_headers={"Idempotency-Key": key, "x-request-id": f"{key}-{text}"},
            )
            if text == "one":
                await asked
            else:
                with pytest.raises(openai.ConflictError) as caught:
                    await asked
                assert caught.value.code == "idempotency_conflict"
    pulse.exchange(f"{key}-another")  # had it asked several times, earlier ones would be told of before this
    assert len([line for line in pulse.log_lines() if line["request_id"] == f"{key}-another"]) == 1
