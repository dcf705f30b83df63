"""Responses through a whole gateway, with the simulated vendors behind it: who is asked, in which dialect, and what is accounted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound, UsageSource
from pulse_gateway.config import AliasConfig, LimitsConfig, ProviderConfig, RetriesConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.wire.sse import SSEDecoder

CLAUDE, GPT, ASTRA = "anthropic:claude-opus-5", "openai:gpt-5.2", "openai:gpt-6-astra"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}


class Asking:
    """One gateway, and what it has written down."""

    def __init__(self, url: str, ledger: MemoryLedger, gateway: Gateway) -> None:
        self.url, self.ledger, self.gateway = url, ledger, gateway

    async def __call__(self, dialect: str = "openai.responses", **body: Any) -> tuple[dict[str, str], bytes]:
        inbound = Inbound(
            dialect=dialect, body=msgspec.json.encode(body), principal=self.gateway.principal("u1"), request_id="req_1"
        )
        async with await self.gateway.handle(inbound) as reply:
            return dict(reply.headers), reply.body or b"".join([piece async for piece in reply])

    async def answer(self, dialect: str = "openai.responses", **body: Any) -> tuple[str, dict[str, Any]]:
        headers, whole = await self(dialect, **body)
        return headers["x-pulse-provider"], msgspec.json.decode(whole)

    async def refusal(self, dialect: str = "openai.responses", **body: Any) -> dict[str, Any]:
        _, whole = await self(dialect, **body)
        error: dict[str, Any] = msgspec.json.decode(whole)["error"]
        return error

    @property
    def entry(self) -> Any:
        return self.ledger.entries[-1]


@pytest.fixture
async def ask() -> AsyncIterator[Asking]:
    ledger = MemoryLedger()
    async with Simulator(seed=1) as running:
        config = Config(
            providers={
                "openai": ProviderConfig(key="x", base_url=f"{running.url}/v1"),
                "anthropic": ProviderConfig(key="x", base_url=running.url),
                "ollama": ProviderConfig(key="x", base_url=f"{running.url}/as/ollama/v1"),
                "mistral": ProviderConfig(key="x", base_url=f"{running.url}/as/mistral/v1"),
            },
            models={"both": AliasConfig(targets=[CLAUDE, GPT], strategy="ordered")},
            retries=RetriesConfig(attempts=1),
            limits=LimitsConfig(requests="off"),
        )
        async with Gateway(config, ledger=ledger, observers=()) as gateway:
            yield Asking(running.url, ledger, gateway)


async def test_a_stored_conversation_goes_on_where_it_is_stored_whoever_would_have_been_asked_first(
    ask: Asking,
) -> None:
    provider, first = await ask.answer(model="both", input="My name is Layla.")
    assert (provider, first["store"]) == ("anthropic", False)
    provider, first = await ask.answer(model="both", input="My name is Layla.", store=True)
    assert (provider, first["store"]) == ("openai", True)
    provider, second = await ask.answer(model="both", input="And?", previous_response_id=first["id"])
    assert (provider, second["previous_response_id"]) == ("openai", first["id"])
    assert ask.entry.usage.input_total == second["usage"]["input_tokens"] > first["usage"]["input_tokens"]


async def test_where_nobody_remembers_the_member_and_the_target_are_named(ask: Asking) -> None:
    for model in (CLAUDE, "mistral:mistral-small", "ollama:llama3.2"):
        error = await ask.refusal(model=model, input="And?", previous_response_id="resp_1")
        assert (error["code"], error["param"]) == ("unsupported_parameter", "previous_response_id")
        assert model in error["message"]
    provider, answer = await ask.answer(model="ollama:llama3.2", input="Hello", store=False)
    assert (provider, answer["object"]) == ("ollama", "response")


async def test_an_id_that_the_vendor_does_not_know_is_the_callers_error(ask: Asking) -> None:
    error = await ask.refusal(model=GPT, input="And?", previous_response_id="resp_0000")
    assert (error["code"], error["param"]) == ("upstream_rejected", "previous_response_id")
    assert "resp_0000" in error["message"]


async def test_what_is_taken_on_responses_alone_is_asked_there_and_thinking_goes_on_from_turn_to_turn(
    ask: Asking,
) -> None:
    """The simulator takes back only reasoning that it has sealed itself, and counts what it thinks apart."""
    asked: dict[str, Any] = {"model": ASTRA, "tools": [TOOL], "reasoning_effort": "low"}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "weather, please"}]
    provider, answer = await ask.answer("openai.chat", messages=messages, **asked)
    message = answer["choices"][0]["message"]
    assert (provider, answer["object"], answer["choices"][0]["finish_reason"]) == (
        "openai",
        "chat.completion",
        "tool_calls",
    )
    assert message["reasoning_details"][0]["signature"].startswith("openai:rs_")
    assert ask.entry.usage.reasoning_tokens == answer["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    messages += [message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sunny"}]
    headers, whole = await ask("openai.chat", messages=messages, **asked)
    assert "x-pulse-dropped" not in headers
    assert "sunny" in msgspec.json.decode(whole)["choices"][0]["message"]["content"]


async def test_a_history_made_by_one_vendor_goes_on_at_another(ask: Asking) -> None:
    """The simulated OpenAI refuses items that it has not made and members that it does not know."""
    asked: dict[str, Any] = {
        "tools": [{"type": "function", **TOOL["function"]}],
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    history: list[dict[str, Any]] = [{"role": "user", "content": "weather, please"}]
    _, answer = await ask.answer(model=CLAUDE, input=history, **asked)
    assert "reasoning" in [item["type"] for item in answer["output"]]
    (call,) = [item for item in answer["output"] if item["type"] == "function_call"]
    history += [*answer["output"], {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}]
    headers, whole = await ask(model=GPT, input=history, **asked)
    assert (headers["x-pulse-provider"], headers["x-pulse-dropped"]) == ("openai", "input[].summary")
    assert "sunny" in whole.decode()


async def test_a_request_that_cannot_be_said_on_responses_is_refused_by_the_clients_own_name(ask: Asking) -> None:
    asked = {"messages": [{"role": "user", "content": "q"}], "tools": [TOOL], "stop": "END"}
    error = await ask.refusal("openai.chat", model=ASTRA, **asked)
    assert (error["code"], error["param"]) == ("unsupported_parameter", "stop")


@pytest.mark.parametrize("model", [GPT, CLAUDE])
async def test_a_stream_ends_with_the_usage_that_is_written_down(ask: Asking, model: str) -> None:
    _, stream = await ask(model=model, input="Tell me a story.", stream=True)
    last = msgspec.json.decode(SSEDecoder().feed(stream)[-1].data)
    assert last["type"] == "response.completed"
    assert ask.entry.usage.total == last["response"]["usage"]["total_tokens"] > 0
    assert ask.entry.source is UsageSource.PROVIDER


@pytest.mark.parametrize("model", [GPT, CLAUDE])
@pytest.mark.parametrize("fault", ["error=5,code=overloaded", "cut=5"])
async def test_a_stream_that_breaks_off_ends_with_one_error_event(ask: Asking, model: str, fault: str) -> None:
    _, stream = await ask(model=f"{model}+{fault}", input="Tell me a story.", stream=True)
    events = [msgspec.json.decode(frame.data) for frame in SSEDecoder().feed(stream)]
    assert [event["type"] for event in events].count("error") == 1
    assert events[-1]["type"] == "error"
    assert events[0]["type"] == "response.created"
