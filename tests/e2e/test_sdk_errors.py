"""What goes wrong, as users of the official SDKs meet it: the exception of their own SDK, with status, code and request id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from pulse_process import Pulse

# A vendor of another dialect, so that its errors are said in the client's.
OVER = {"chat": "claude-opus-5", "responses": "gemini-3.8-flash", "messages": "gpt-5.2", "gemini": "claude-opus-5"}
Ask = Callable[[str, bool], Awaitable[Any]]  # (model, streamed)


@asynccontextmanager
async def asking(url: str, key: str, dialect: str) -> AsyncIterator[Ask]:
    async with (
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as one,
        anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0) as two,
        genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url)).aio as three,
    ):
        yield asks_of(one, two, three.models, dialect)


def asks_of(one: openai.AsyncOpenAI, two: anthropic.AsyncAnthropic, three: Any, dialect: str) -> Ask:
    async def chat(model: str, stream: bool) -> Any:
        made: Any = await one.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}], stream=stream
        )
        return [event async for event in made] if stream else made

    async def responses(model: str, stream: bool) -> Any:
        made: Any = await one.responses.create(model=model, input="hi", stream=stream)
        return [event async for event in made] if stream else made

    async def messages(model: str, stream: bool) -> Any:
        made: Any = await two.beta.messages.create(
            model=model, messages=[{"role": "user", "content": "hi"}], max_tokens=100, stream=stream
        )
        return [event async for event in made] if stream else made

    async def gemini(model: str, stream: bool) -> Any:
        if stream:
            return [chunk async for chunk in await three.generate_content_stream(model=model, contents="hi")]
        return await three.generate_content(model=model, contents="hi")

    return {"chat": chat, "responses": responses, "messages": messages, "gemini": gemini}[dialect]


async def caught(ask: Ask, model: str, *, stream: bool = False) -> Any:
    with pytest.raises((openai.APIError, anthropic.APIError, genai.errors.APIError)) as found:
        await ask(model, stream)
    return found.value


PLACES = {"chat": 0, "responses": 0, "messages": 1, "gemini": 2}


def told(dialect: str, error: Any) -> tuple[str, str]:
    """The exception's name, and what its SDK says to switch on."""
    if dialect == "gemini":
        return type(error).__name__, error.status
    assert error.request_id
    return type(error).__name__, error.type if dialect == "messages" else error.code


# fault of the vendor → OpenAI's exception and code · Anthropic's exception and type · Google's exception and status
KINDS: dict[str, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    "status=400": (
        ("BadRequestError", "upstream_rejected"),
        ("BadRequestError", "invalid_request_error"),
        ("ClientError", "INVALID_ARGUMENT"),
    ),
    "status=404": (
        ("NotFoundError", "model_not_found"),
        ("NotFoundError", "not_found_error"),
        ("ClientError", "NOT_FOUND"),
    ),
    "status=401": (
        ("InternalServerError", "upstream_unauthorized"),
        ("InternalServerError", "api_error"),
        ("ServerError", "UNAVAILABLE"),
    ),
    "status=429,retry-after-ms=5": (
        ("RateLimitError", "upstream_rate_limited"),
        ("RateLimitError", "rate_limit_error"),
        ("ClientError", "RESOURCE_EXHAUSTED"),
    ),
}


@pytest.mark.parametrize("dialect", OVER)
async def test_a_vendors_errors_are_exceptions_of_the_clients_sdk(pulse: Pulse, dialect: str) -> None:
    async with asking(pulse.url, pulse.key, dialect) as ask:
        errors = await asyncio.gather(*(caught(ask, f"{OVER[dialect]}+{fault}") for fault in KINDS))
    for error, kinds in zip(errors, KINDS.values(), strict=True):
        assert told(dialect, error) == kinds[PLACES[dialect]], error


@pytest.mark.parametrize(
    ("dialect", "kind"), [("chat", "APIError"), ("messages", "APIStatusError"), ("gemini", "ServerError")]
)
async def test_a_stream_that_fails_in_the_middle_raises_and_so_does_one_that_breaks_off(
    pulse: Pulse, dialect: str, kind: str
) -> None:
    async with asking(pulse.url, pulse.key, dialect) as ask:
        errors = await asyncio.gather(
            *(caught(ask, f"{OVER[dialect]}+{fault}=4", stream=True) for fault in ("error", "cut"))
        )
    for error in errors:
        assert type(error).__name__ == kind, error


async def test_in_responses_it_is_an_event_for_that_is_what_openais_sdk_makes_of_it(pulse: Pulse) -> None:
    async with asking(pulse.url, pulse.key, "responses") as ask:
        streams = await asyncio.gather(*(ask(f"{OVER['responses']}+{fault}=4", True) for fault in ("error", "cut")))
    for events in streams:
        assert events[-1].type in {"error", "response.failed"}


@pytest.mark.parametrize("dialect", OVER)
async def test_a_wrong_key_is_the_callers_own_and_never_repeated(pulse: Pulse, dialect: str) -> None:
    async with asking(pulse.url, "pls-not-a-key", dialect) as ask:
        error = await caught(ask, OVER[dialect])
    assert (error.code if dialect == "gemini" else error.status_code) == 401
    assert "pls-not-a-key" not in str(error)


async def test_several_choices_in_a_stream_are_told_apart(pulse: Pulse) -> None:
    async with openai.AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=0) as client:
        hello: Any = [{"role": "user", "content": "hi"}]
        async with client.chat.completions.stream(model="gpt-5.2", messages=hello, n=2) as stream:
            whole = await stream.get_final_completion()
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert all(choice.message.content and choice.finish_reason == "stop" for choice in whole.choices)
