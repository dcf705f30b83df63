"""Streams from outside: what passes through, what is hidden, and every way in which a stream can break."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types as genai_types
from pulse_process import Pulse, Simulation

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "قل شيئا"}], "stream": True}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "gpt-5.2", "messages": [{"role": "user", "content": "قل شيئا"}]}),
    "anthropic": (
        "/v1/messages",
        {"model": "claude-opus-5", "max_tokens": 100, "messages": [{"role": "user", "content": "قل شيئا"}]},
    ),
    "gemini": ("/v1beta/models/gemini-3.8-flash:generateContent", {"contents": [{"parts": [{"text": "قل شيئا"}]}]}),
}
UPSTREAM_HEADERS = {
    "openai": {"authorization": "Bearer x", "content-type": "application/json"},
    "anthropic": {"x-api-key": "x", "anthropic-version": "2026-10-21", "content-type": "application/json"},
    "gemini": {"x-goog-api-key": "x", "content-type": "application/json"},
}


def request(dialect: str, *, stream: bool, include_usage: bool = False) -> tuple[str, dict[str, Any]]:
    path, body = REQUESTS[dialect]
    if not stream:
        return path, body
    if dialect == "gemini":
        return path.replace("generateContent", "streamGenerateContent") + "?alt=sse", body
    return path, {**body, "stream": True, **({"stream_options": {"include_usage": True}} if include_usage else {})}


@pytest.mark.parametrize("dialect", list(REQUESTS))
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_within_one_dialect_the_bytes_are_the_providers(
    http: httpx.AsyncClient, simulation: Simulation, dialect: str, stream: bool
) -> None:
    path, body = request(dialect, stream=stream)
    raw = json.dumps({**body, "unknown_to_pulse": None} if dialect == "openai" else body, ensure_ascii=False).encode()
    raw = raw.replace(b', "unknown_to_pulse": null', b"")
    through = await http.post(path, content=raw, headers={"anthropic-version": "2026-10-21"})
    direct = httpx.post(simulation.url + path, content=raw, headers=UPSTREAM_HEADERS[dialect], trust_env=False)
    assert through.status_code == direct.status_code == 200
    assert through.content == direct.content


@pytest.mark.parametrize("tools", [False, True])
async def test_usage_that_the_client_did_not_ask_for_is_metered_and_not_shown(
    http: httpx.AsyncClient, pulse: Pulse, simulation: Simulation, tools: bool
) -> None:
    path, body = request("openai", stream=True)
    if tools:
        body["tools"] = [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
        ]
    through = await http.post(path, json=body)
    direct = httpx.post(simulation.url + path, json=body, headers=UPSTREAM_HEADERS["openai"], trust_env=False)
    assert through.content == direct.content
    assert b'"usage"' not in through.content
    line = pulse.exchange(through.headers["x-request-id"])
    assert line["usage_source"] == "provider"
    assert line["total_tokens"] > 0


async def test_usage_that_the_client_asked_for_is_shown(http: httpx.AsyncClient, simulation: Simulation) -> None:
    path, body = request("openai", stream=True, include_usage=True)
    through = await http.post(path, json=body)
    direct = httpx.post(simulation.url + path, json=body, headers=UPSTREAM_HEADERS["openai"], trust_env=False)
    assert through.content == direct.content
    assert b'"usage":{' in through.content


FAULTS_AFTER_THE_START = ["cut=5", "reset=5", "malformed=5", "error=5"]


def simulated(model: str, fault: str) -> str:
    """The model name that asks the simulator for a fault."""
    return f"{model}+{fault}"


@pytest.mark.parametrize("fault", FAULTS_AFTER_THE_START)
@pytest.mark.parametrize("model", ["openai:gpt-5.2", "anthropic:claude-opus-5", "google:gemini-3.8-flash"])
class TestBrokenStreams:
    """Whatever breaks it, the official SDK sees an error: never a clean end that hides a cut."""

    async def test_the_openai_sdk_raises(self, pulse: Pulse, model: str, fault: str) -> None:
        client = openai.AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=0)
        async with client:
            stream = await client.chat.completions.create(
                model=simulated(model, fault), messages=[{"role": "user", "content": "hello there"}], stream=True
            )
            with pytest.raises(openai.APIError) as caught:
                async for _ in stream:
                    pass
        passed_through = model.startswith("openai:") and fault.startswith("error")  # the vendor's own event, untouched
        assert passed_through or str(caught.value.code).startswith("upstream_")

    async def test_the_anthropic_sdk_raises(self, pulse: Pulse, model: str, fault: str) -> None:
        async with anthropic.AsyncAnthropic(base_url=pulse.url, api_key=pulse.key, max_retries=0) as client:
            with pytest.raises(anthropic.APIStatusError):
                async with client.messages.stream(
                    model=simulated(model, fault), max_tokens=100, messages=[{"role": "user", "content": "hello there"}]
                ) as stream:
                    async for _ in stream:
                        pass

    async def test_the_google_sdk_raises(self, pulse: Pulse, model: str, fault: str) -> None:
        client = genai.Client(api_key=pulse.key, http_options=genai_types.HttpOptions(base_url=pulse.url))
        with pytest.raises(genai.errors.APIError):
            async for _ in await client.aio.models.generate_content_stream(
                model=simulated(model, fault), contents="hello there"
            ):
                pass
        await client.aio.aclose()
        client.close()

    async def test_it_is_recorded_as_interrupted(
        self, http: httpx.AsyncClient, pulse: Pulse, model: str, fault: str
    ) -> None:
        body = {
            "model": simulated(model, fault),
            "messages": [{"role": "user", "content": "hello there"}],
            "stream": True,
        }
        response = await http.post("/v1/chat/completions", json=body)
        line = pulse.exchange(response.headers["x-request-id"])
        assert line["outcome"] == "interrupted"
        assert line["usage_source"] in {"estimated", "provider"}
        assert line["total_tokens"] > 0
        assert b"[DONE]" not in response.content


@pytest.mark.parametrize("model", ["openai:gpt-5.2", "anthropic:claude-opus-5", "google:gemini-3.8-flash"])
class TestOddButWholeStreams:
    @pytest.mark.parametrize("fault", ["no-done", "one-byte", "split", "huge=1000000"])
    async def test_it_ends_well(self, http: httpx.AsyncClient, pulse: Pulse, model: str, fault: str) -> None:
        if fault == "no-done" and model.startswith("google:"):
            fault = "split"  # Gemini has no terminal frame to leave out
        body = {
            "model": simulated(model, fault),
            "messages": [{"role": "user", "content": "hello there"}],
            "stream": True,
        }
        response = await http.post("/v1/chat/completions", json=body)
        assert response.status_code == 200
        assert pulse.exchange(response.headers["x-request-id"])["outcome"] == "completed"
        assert b'"error"' not in response.content

    async def test_missing_usage_is_estimated_and_says_so(
        self, http: httpx.AsyncClient, pulse: Pulse, model: str
    ) -> None:
        body = {
            "model": simulated(model, "no-usage"),
            "messages": [{"role": "user", "content": "hello there"}],
            "stream": True,
        }
        response = await http.post("/v1/chat/completions", json=body)
        line = pulse.exchange(response.headers["x-request-id"])
        assert (line["outcome"], line["usage_source"]) == ("completed", "estimated")
        assert line["output_tokens"] > 0
