"""OpenAI's failures, as its own SDK sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from pulse_gateway.testing.simulator import Simulator


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
async def test_injected_errors_raise_the_right_exception(
    openai_client: openai.AsyncOpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        await openai_client.chat.completions.create(model=f"gpt-4.1+status={status}", messages=user("hi"))
    assert caught.value.status_code == status
    assert caught.value.type
    assert caught.value.request_id


@pytest.mark.parametrize("code", ["insufficient_quota", "credit_balance_exhausted", "project_spend_limit_exceeded"])
async def test_billing_codes_are_429_of_another_type(openai_client: openai.AsyncOpenAI, code: str) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await openai_client.chat.completions.create(model=f"gpt-4.1+code={code}", messages=user("hi"))
    assert (caught.value.code, caught.value.type) == (code, "insufficient_quota")


async def test_the_sdk_retries_after_the_time_it_is_told(simulator: Simulator) -> None:
    async with openai.AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="k", max_retries=2) as client:
        started = asyncio.get_running_loop().time()
        reply = await client.chat.completions.create(
            model="gpt-4.1+status=429,retry-after-ms=120,first=2", messages=user("hi")
        )
        took = asyncio.get_running_loop().time() - started
    assert reply.choices[0].message.content
    assert 0.24 <= took < 1.0  # the SDK's own waits would be 1.1 s at least
    assert simulator.stats().providers["openai"].by_status == {"429": 2, "200": 1}


async def test_an_error_inside_the_stream_is_raised(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.chat.completions.create(
        model="gpt-4.1+error=3,code=server_is_overloaded", messages=user("hi"), stream=True
    )
    seen = 0
    with pytest.raises(openai.APIError) as caught:
        async for _ in stream:
            seen += 1
    assert seen == 3
    assert (caught.value.code, caught.value.type) == ("server_is_overloaded", "service_unavailable_error")


async def test_a_missing_key_and_a_wrong_one_are_401(simulator: Simulator) -> None:
    async with openai.AsyncOpenAI(base_url=f"{simulator.url}/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.chat.completions.create(model="gpt-4.1", messages=user("hi"))
        assert caught.value.code == "invalid_api_key"
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
