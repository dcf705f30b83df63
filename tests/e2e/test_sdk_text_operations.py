"""The official SDKs embed, judge and count over HTTP, each over each capable provider."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types as genai_types
from pulse_process import Pulse

# Of a name with `gemini` in it that does not begin with this one, Google's SDK makes one vector of all texts.
EMBEDDING = ["text-embedding-3-small", "gemini-embedding-001"]
CHAT = ["gpt-5.2", "claude-opus-5", "gemini-3.8-flash"]
ARABIC = "ما هي عاصمة الأردن؟"


def google(pulse: Pulse, version: str | None = None) -> Any:
    options = genai_types.HttpOptions(base_url=pulse.url, api_version=version)
    return genai.Client(api_key=pulse.key, http_options=options)


@pytest.mark.parametrize("model", EMBEDDING)
async def test_texts_become_the_same_vectors_in_either_sdk(pulse: Pulse, model: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=0) as client:
        packed = await client.embeddings.create(model=model, input=["one", ARABIC], dimensions=64)  # as base64
        floats = await client.embeddings.create(
            model=model, input=["one", ARABIC], dimensions=64, encoding_format="float"
        )
    vectors = [each.embedding for each in packed.data]
    assert vectors == [pytest.approx(each.embedding) for each in floats.data]
    assert packed.usage.prompt_tokens > 0
    config = genai_types.EmbedContentConfig(output_dimensionality=64)
    for version in (None, "v1beta"):
        async with google(pulse, version).aio as client:
            answer = await client.models.embed_content(model=model, contents=["one", ARABIC], config=config)
        assert [each.values for each in answer.embeddings] == [pytest.approx(each) for each in vectors]


async def test_a_text_is_judged(pulse: Pulse) -> None:
    async with openai.AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=0) as client:
        verdict = await client.moderations.create(input="I will kill you")
    assert verdict.results[0].flagged
    assert verdict.results[0].categories.violence


@pytest.mark.parametrize("model", CHAT)
async def test_three_sdks_count_the_same_prompt_alike(pulse: Pulse, model: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=0) as client:
        first = await client.responses.input_tokens.count(model=model, input=ARABIC)
    async with anthropic.AsyncAnthropic(base_url=pulse.url, api_key=pulse.key, max_retries=0) as client:
        second = await client.messages.with_raw_response.count_tokens(
            model=model, messages=[{"role": "user", "content": ARABIC}]
        )
        assert second.headers["request-id"] == second.headers["x-request-id"]
    async with google(pulse).aio as client:
        third = await client.models.count_tokens(model=model, contents=ARABIC)
    assert first.input_tokens == (await second.parse()).input_tokens == third.total_tokens > 0


async def test_refusals_are_errors_of_each_sdk(pulse: Pulse, http: httpx.AsyncClient) -> None:
    async with openai.AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.embeddings.create(model=EMBEDDING[1], input=[1, 2, 3])
        assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "input")
    async with google(pulse).aio as client:
        with pytest.raises(genai.errors.ClientError) as unsaid:
            config = genai_types.EmbedContentConfig(task_type="CLUSTERING")
            await client.models.embed_content(model=EMBEDDING[0], contents="a", config=config)
        assert (unsaid.value.code, unsaid.value.status) == (400, "INVALID_ARGUMENT")
    async with anthropic.AsyncAnthropic(base_url=pulse.url, api_key=pulse.key, max_retries=0) as client:
        with pytest.raises(anthropic.BadRequestError):
            await client.messages.count_tokens(model=CHAT[0], messages=[])
    ranked = await http.post("/v1/rerank", json={"model": EMBEDDING[0], "query": "q", "documents": ["a"]})
    assert (ranked.status_code, ranked.json()["error"]["param"]) == (400, "model")
    assert ranked.json()["message"] == ranked.json()["error"]["message"]
    wrong = await http.get("/v1/rerank")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
