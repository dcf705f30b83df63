"""The versions and forms of one dialect, from outside: Gemini's arrays and paths, Anthropic's two versions and two headers."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import pytest
from google import genai
from google.genai import types as genai_types
from pulse_process import Pulse, Simulation

GEMINI: dict[str, Any] = {"contents": [{"parts": [{"text": "قل شيئا"}]}], "generationConfig": {"maxOutputTokens": 60}}
MESSAGES: dict[str, Any] = {"max_tokens": 60, "messages": [{"role": "user", "content": "قل شيئا"}]}
NEW, OLD = "2026-10-21", "2023-06-01"


# ── Gemini ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("model", ["gemini-3.8-flash", "claude-opus-5", "gpt-4.1"])
async def test_a_stream_without_events_is_one_array_of_the_same_answers(
    http: httpx.AsyncClient, version: str, model: str
) -> None:
    path = f"/{version}/models/{model}:streamGenerateContent"
    array, events = await http.post(path, json=GEMINI), await http.post(f"{path}?alt=sse", json=GEMINI)
    assert array.status_code == events.status_code == 200
    assert array.headers["content-type"].startswith("application/json")
    frames = [json.loads(line.removeprefix("data: ")) for line in events.text.split("\r\n\r\n") if line]
    told = array.json()
    assert len(told) == len(frames) > 1
    for one, other in zip(told, frames, strict=True):  # ids of answers are counted
        assert {**one, "responseId": ""} == {**other, "responseId": ""}


async def test_the_array_within_googles_own_dialect_has_the_vendors_bytes(
    http: httpx.AsyncClient, simulation: Simulation
) -> None:
    path = "/v1beta/models/gemini-3.8-flash:streamGenerateContent"
    headers = {"x-goog-api-key": "x"}
    through = (await http.post(path, json=GEMINI)).json()
    direct = httpx.post(simulation.url + path, json=GEMINI, headers=headers, trust_env=False).json()
    assert [{**one, "responseId": ""} for one in through] == [{**one, "responseId": ""} for one in direct]


@pytest.mark.parametrize(
    ("fault", "status", "before"), [("status=400", 400, 0), ("error=3", 200, 3), ("cut=4", 200, 4), ("malformed=4", 200, 3)]
)  # fmt: skip
async def test_an_array_ends_well_formed_with_the_error_in_it(
    http: httpx.AsyncClient, fault: str, status: int, before: int
) -> None:
    for model in ("google:gemini-3.8-flash", "anthropic:claude-opus-5"):
        reply = await http.post(f"/v1beta/models/{model}+{fault}:streamGenerateContent", json=GEMINI)
        assert reply.status_code == status
        told = reply.json()
        assert "error" in told[-1], (model, told[-1])
        assert all("candidates" in frame for frame in told[:-1])
        if model.startswith("google"):
            assert len(told) == before + 1


async def test_both_spellings_mix_in_one_request_of_googles_sdk(pulse: Pulse) -> None:
    """The SDK sends camel case around snake case; over `/v1`, which it chooses by itself."""
    options = genai_types.HttpOptions(base_url=pulse.url)
    client = genai.Client(api_key=pulse.key, http_options=options)
    tool = genai_types.Tool(function_declarations=[genai_types.FunctionDeclaration(name="f", parameters_json_schema={"type": "object"})])  # fmt: skip
    config = genai_types.GenerateContentConfig(system_instruction="Be brief", max_output_tokens=80, tools=[tool])
    for model in ("gemini-3.8-flash", "claude-opus-5", "gpt-4.1"):
        reply = await client.aio.models.generate_content(model=model, contents="hi", config=config)
        assert [call.name for call in reply.function_calls or ()] == ["f"]
    await client.aio.aclose()


# ── Anthropic ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
@pytest.mark.parametrize("version", [NEW, OLD])
@pytest.mark.parametrize("model", ["claude-haiku-4-5", "gemini-3.8-flash"])
async def test_clients_of_both_versions_are_served_by_either_header(
    pulse: Pulse, header: str, version: str, model: str
) -> None:
    key = pulse.key if header == "x-api-key" else f"Bearer {pulse.key}"
    async with httpx.AsyncClient(base_url=pulse.url, trust_env=False) as client:
        reply = await client.post("/v1/messages", json={"model": model, **MESSAGES}, headers={header: key, "anthropic-version": version})  # fmt: skip
    assert (reply.status_code, reply.json()["type"]) == (200, "message")


@pytest.mark.parametrize(
    ("version", "members", "path"),
    [
        (NEW, {"temperature": 1}, "temperature"),
        (NEW, {"top_p": None}, "top_p"),
        (NEW, {"top_k": 4}, "top_k"),
        (NEW, {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", "citations": [{"type": "x"}]}]}]}, "messages[0].content[0].citations"),
        (NEW, {"messages": [*MESSAGES["messages"], {"role": "assistant", "content": [{"type": "document", "source": {}}]}, *MESSAGES["messages"]]}, "messages[1].content[0]"),
        (OLD, {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}, "messages[1].role"),
        ("2024-01-01", {}, "anthropic-version"),
    ],
)  # fmt: skip
async def test_what_a_version_does_not_have_is_refused_whoever_would_answer(
    http: httpx.AsyncClient, version: str, members: dict[str, Any], path: str
) -> None:
    for model in ("claude-haiku-4-5", "gemini-2.5-flash", "gpt-4.1"):
        for route in ("/v1/messages", "/v1/messages/count_tokens"):
            body = {"model": model, **MESSAGES, **members}
            if route.endswith("tokens"):
                del body["max_tokens"]
            reply = await http.post(route, json=body, headers={"anthropic-version": version})
            assert reply.status_code == 400, (model, route)
            error = reply.json()["error"]
            assert (error["type"], error["details"]["param"]) == ("invalid_request_error", path)


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "gemini-2.5-flash", "gpt-4.1"])
async def test_sampling_is_for_clients_of_the_older_version(http: httpx.AsyncClient, model: str) -> None:
    body = {"model": model, **MESSAGES, "temperature": 0.5}
    assert (await http.post("/v1/messages", json=body, headers={"anthropic-version": OLD})).status_code == 200
    assert (await http.post("/v1/messages", json=body)).status_code == 200  # nobody has chosen a version


async def test_server_tools_cite_and_pause_through_anthropics_sdk(pulse: Pulse) -> None:
    """Searches, what they found, what is cited of it, and a turn that goes on: within the dialect as the vendor sends it."""
    async with anthropic.AsyncAnthropic(base_url=pulse.url, api_key=pulse.key, max_retries=0) as client:
        tools: Any = [{"type": "web_search_20250305", "name": "web_search"}]
        said: Any = [{"role": "user", "content": "What is new?"}]
        model = "claude-opus-4-8"
        async with client.messages.stream(model=model, max_tokens=300, messages=said, tools=tools) as stream:
            reply = await stream.get_final_message()
        kinds = [block.type for block in reply.content]
        assert kinds[:2] == ["server_tool_use", "web_search_tool_result"]
        assert any(block.citations for block in reply.content if block.type == "text")
        assert reply.usage.server_tool_use is not None
        paused = await client.messages.create(model=f"{model}+finish=pause_turn", max_tokens=300, messages=said, tools=tools)  # fmt: skip
        assert paused.stop_reason == "pause_turn"
        on: Any = [*said, {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in paused.content]}]  # fmt: skip
        resumed = await client.messages.create(model=model, max_tokens=300, messages=on, tools=tools)
        assert resumed.stop_reason == "end_turn"
