"""Moderation from outside: prompts, whole answers, and streams that are held back until they are reviewed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx
import pytest
from pulse_process import API_KEY, Pulse, Simulation, open_folder

CONFIG = """
[moderation]
hold_chars = 40

[[moderation.hooks]]
name = "terms"
on = ["prompt", "answer"]
extra_terms = ["zanzibar", "برتقالة زرقاء"]
"""


@pytest.fixture(scope="module")
def moderated(simulation: Simulation) -> Iterator[Pulse]:
    environment = {**simulation.provider_environment(), "PULSE_DEV_API_KEY": API_KEY, "PULSE_RATE_LIMIT": "off"}
    with open_folder() as folder:
        (folder / "pulse.toml").write_text(CONFIG)
        with Pulse.dev(folder / "data", environment) as running:
            yield running


@pytest.fixture
async def client(moderated: Pulse) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {moderated.key}"}
    async with httpx.AsyncClient(base_url=moderated.url, headers=headers, timeout=30, trust_env=False) as made:
        yield made


def chat(text: str, model: str = "gpt-5.2", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize("text", ["Tell me of ZANZIBAR", "أريد بُرتُقـالةً زرقاء الآن", "وبرتقالة زرقاء"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_listed_prompt_is_refused_before_anything_is_sent(
    client: httpx.AsyncClient, moderated: Pulse, simulation: Simulation, text: str, stream: bool
) -> None:
    response = await client.post("/v1/chat/completions", json=chat(text, stream=stream))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "content_blocked")
    assert text not in response.text
    request_id = response.headers["x-request-id"]
    assert not [each for each in simulation.stats()["requests"] if each["caller_request_id"] == request_id]
    line = moderated.exchange(request_id)
    assert (line["outcome"], line["total_tokens"]) == ("refused", 0)


async def test_an_innocent_prompt_passes(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/chat/completions", json=chat("برتقالة وزرقاء"))).status_code == 200


async def test_a_listed_answer_is_refused_and_paid_for(client: httpx.AsyncClient, moderated: Pulse) -> None:
    """The system prompt is not looked at twice: here the word comes in through a tool's result, which the answer quotes."""
    response = await client.post("/v1/chat/completions", json=answer_with_a_listed_word(stream=False))
    assert (response.status_code, response.json()["error"]["code"]) == (400, "content_blocked")
    line = moderated.exchange(response.headers["x-request-id"])
    assert (line["outcome"], line["usage_source"]) == ("blocked", "provider")
    assert line["total_tokens"] > 0


@pytest.mark.parametrize("model", ["gpt-5.2", "claude-opus-5", "gemini-3.8-flash"])
async def test_a_listed_word_in_a_stream_never_reaches_the_client(
    client: httpx.AsyncClient, moderated: Pulse, model: str
) -> None:
    response = await client.post("/v1/chat/completions", json=answer_with_a_listed_word(stream=True, model=model))
    assert response.status_code == 200
    assert b"content_blocked" in response.content
    assert b"anzibar" not in response.content
    assert b"[DONE]" not in response.content
    line = moderated.exchange(response.headers["x-request-id"])
    assert line["outcome"] == "blocked"
    assert line["total_tokens"] > 0


async def test_an_innocent_stream_arrives_whole(client: httpx.AsyncClient, simulation: Simulation) -> None:
    body = chat("innocent words", stream=True)
    through = await client.post("/v1/chat/completions", json=body)
    headers = {"authorization": "Bearer x", "content-type": "application/json"}
    direct = httpx.post(f"{simulation.url}/v1/chat/completions", json=body, headers=headers, trust_env=False)
    assert through.content == direct.content


async def test_the_refusal_is_an_error_of_the_clients_dialect(moderated: Pulse) -> None:
    async with anthropic.AsyncAnthropic(base_url=moderated.url, api_key=moderated.key, max_retries=0) as sdk:
        with pytest.raises(anthropic.BadRequestError) as caught:
            await sdk.messages.create(
                model="claude-opus-5", max_tokens=50, messages=[{"role": "user", "content": "zanzibar"}]
            )
    assert caught.value.type == "invalid_request_error"


def answer_with_a_listed_word(*, stream: bool, model: str = "gpt-5.2") -> dict[str, Any]:
    """The simulator quotes a schema's enum, which a prompt review does not look at."""
    schema = {
        "type": "object",
        "properties": {"place": {"type": "string", "enum": ["zanzibar"]}},
        "required": ["place"],
        "additionalProperties": False,
    }
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return chat("Name a place", model, stream=stream, response_format=shape)


HOOK = """
from pulse_gateway import ALLOWED, Verdict


class NoFalcon:
    name = "no-falcon"

    async def review(self, content, /):
        return Verdict(allowed=False, category="birds") if "falcon" in content.text else ALLOWED
"""


async def test_a_hook_beside_the_configuration_is_found_and_used(simulation: Simulation) -> None:
    with open_folder() as folder:
        (folder / "hook_pkg").mkdir()
        (folder / "hook_pkg" / "mine.py").write_text(HOOK)
        (folder / "pulse.toml").write_text('[[moderation.hooks]]\nname = "hook_pkg.mine:NoFalcon"\n')
        environment = {**simulation.provider_environment(), "PULSE_DEV_API_KEY": API_KEY}
        with Pulse.dev(folder / "data", environment) as running:
            headers = {"authorization": f"Bearer {running.key}"}
            async with httpx.AsyncClient(base_url=running.url, headers=headers, trust_env=False) as client:
                refused = await client.post("/v1/chat/completions", json=chat("a falcon"))
                assert refused.json()["error"]["code"] == "content_blocked"
                assert "birds" in refused.json()["error"]["message"]
                assert (await client.post("/v1/chat/completions", json=chat("a sparrow"))).status_code == 200
