"""Gemini, as its own SDK sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from pulse_gateway.testing.simulator import Simulator

MODEL = "gemini-3.8-flash"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="Weather of a city.",
    parameters_json_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
)
TIME = types.FunctionDeclaration(
    name="get_time",
    parameters=types.Schema(
        type=types.Type.OBJECT,
        properties={"time_zone": types.Schema(type=types.Type.STRING, enum=["Asia/Baghdad", "UTC"])},
        required=["time_zone"],
    ),
)


def tools(**options: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER, TIME])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        **options,
    )


async def test_text_quotes_the_prompt_and_the_system_prompt(gemini_client: Any) -> None:
    reply = await gemini_client.models.generate_content(
        model=MODEL,
        contents="Tell me of Bagdad",
        config=types.GenerateContentConfig(system_instruction="You are a helpful pirate."),
    )
    assert reply.text.startswith("[system:You are a helpfu] ")
    assert "Tell me of Bagdad" in reply.text
    assert reply.candidates[0].finish_reason is types.FinishReason.STOP
    assert reply.model_version == MODEL
    assert reply.response_id


async def test_usage_keeps_thoughts_apart_and_cached_tokens_inside(gemini_client: Any) -> None:
    reply = await gemini_client.models.generate_content(
        model=f"{MODEL}+cached=5,reasoning=11,tokens=30", contents="x" * 32
    )
    usage = reply.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (8, 5)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (30, 11)
    assert usage.total_token_count == 8 + 30 + 11


async def test_a_stream_adds_up_to_the_reply(gemini_client: Any) -> None:
    config = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
    whole = await gemini_client.models.generate_content(model=MODEL, contents="سلام hello 🙂", config=config)
    stream = await gemini_client.models.generate_content_stream(model=MODEL, contents="سلام hello 🙂", config=config)
    chunks = [chunk async for chunk in stream]
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text for part in parts if not part.thought) == whole.text
    assert "".join(part.text for part in parts if part.thought) == whole.candidates[0].content.parts[0].text
    assert chunks[-1].usage_metadata == whole.usage_metadata
    reasons = [chunk.candidates[0].finish_reason for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + [types.FinishReason.STOP]
    assert {chunk.response_id for chunk in chunks} == {whole.response_id}
    assert len(chunks) > 10


async def test_tools_are_called_whole_and_the_first_call_is_signed(gemini_client: Any) -> None:
    whole = await gemini_client.models.generate_content(model=MODEL, contents="weather?", config=tools())
    first, second = whole.candidates[0].content.parts
    assert first.function_call.name == "get_weather"
    assert isinstance(first.function_call.args["days"], int)
    assert second.function_call.args["time_zone"] in {"Asia/Baghdad", "UTC"}
    assert first.thought_signature
    assert second.thought_signature is None
    assert whole.candidates[0].finish_reason is types.FinishReason.STOP
    stream = await gemini_client.models.generate_content_stream(model=MODEL, contents="weather?", config=tools())
    parts = [part for chunk in [chunk async for chunk in stream] for part in chunk.candidates[0].content.parts]
    assert [part for part in parts if part.function_call] == [first, second]


async def test_a_tool_round_trip_is_answered_with_the_results(gemini_client: Any) -> None:
    first = await gemini_client.models.generate_content(model=MODEL, contents="weather?", config=tools())
    contents = [
        types.Content(role="user", parts=[types.Part(text="weather?")]),
        first.candidates[0].content,
        types.Content(
            role="user",
            parts=[
                types.Part(
                    function_response=types.FunctionResponse(
                        id=call.id, name=call.name, response={"output": f"حار {call.name}"}
                    )
                )
                for call in first.function_calls
            ],
        ),
    ]
    second = await gemini_client.models.generate_content(model=MODEL, contents=contents, config=tools())
    assert '[result:get_weather {"output":"حار get_weather"}]' in second.text


async def test_tool_choice_is_obeyed(gemini_client: Any) -> None:
    async def called(mode: str, names: list[str] | None = None) -> list[str]:
        calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode(mode), allowed_function_names=names)
        reply = await gemini_client.models.generate_content(
            model=MODEL, contents="go", config=tools(tool_config=types.ToolConfig(function_calling_config=calling))
        )
        return [call.name for call in reply.function_calls or ()]

    assert await called("AUTO") == ["get_weather", "get_time"]
    assert await called("NONE") == []
    assert await called("ANY", ["get_time"]) == ["get_time"]


async def test_images_arrive_from_url_safe_base64_and_by_address(gemini_client: Any) -> None:
    reply = await gemini_client.models.generate_content(
        model=MODEL,
        contents=[
            "look",
            types.Part.from_bytes(data=PNG + b"\xff\xfe\xfb", mime_type="image/png"),
            types.Part.from_uri(file_uri="https://example.com/cat.jpg", mime_type="image/jpeg"),
        ],
    )
    assert "[image:2 image/png 71 bytes, https://example.com/cat.jpg]" in reply.text
    assert reply.usage_metadata.prompt_token_count == 1 + 2 * 258


class Person(BaseModel):
    name: str
    age: int
    friends: list[str]


@pytest.mark.parametrize("field", ["response_schema", "response_json_schema"])
async def test_a_json_schema_is_met(gemini_client: Any, field: str) -> None:
    schema: Any = Person if field == "response_schema" else Person.model_json_schema()
    reply = await gemini_client.models.generate_content(
        model=MODEL,
        contents="who?",
        config=types.GenerateContentConfig(response_mime_type="application/json", **{field: schema}),
    )
    assert Person.model_validate_json(reply.text).friends


async def test_json_without_a_schema_is_an_object(gemini_client: Any) -> None:
    config = types.GenerateContentConfig(response_mime_type="application/json")
    reply = await gemini_client.models.generate_content(model=MODEL, contents="hi", config=config)
    assert isinstance(json.loads(reply.text), dict)


async def test_stop_sequences_and_token_limits_cut_the_text(gemini_client: Any) -> None:
    stopped = await gemini_client.models.generate_content(
        model=MODEL, contents="alpha STOP beta", config=types.GenerateContentConfig(stop_sequences=["STOP"])
    )
    assert stopped.text == "You said: “alpha "
    assert stopped.candidates[0].finish_reason is types.FinishReason.STOP
    cut = await gemini_client.models.generate_content(
        model=MODEL, contents="hi", config=types.GenerateContentConfig(max_output_tokens=10)
    )
    assert cut.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS
    assert cut.usage_metadata.candidates_token_count + cut.usage_metadata.thoughts_token_count == 10


async def test_several_candidates_differ(gemini_client: Any) -> None:
    config = types.GenerateContentConfig(candidate_count=2)
    reply = await gemini_client.models.generate_content(model=MODEL, contents="hi", config=config)
    first, second = (candidate.content.parts[0].text for candidate in reply.candidates)
    assert first != second


async def test_blocked_prompts_and_refusals_on_demand(gemini_client: Any) -> None:
    blocked = await gemini_client.models.generate_content(model=f"{MODEL}+blocked", contents="hi")
    assert blocked.candidates is None
    assert blocked.prompt_feedback.block_reason is types.BlockedReason.SAFETY
    stream = await gemini_client.models.generate_content_stream(model=f"{MODEL}+blocked=JAILBREAK", contents="hi")
    (chunk,) = [chunk async for chunk in stream]
    assert chunk.prompt_feedback.block_reason is types.BlockedReason.JAILBREAK
    refused = await gemini_client.models.generate_content(model=f"{MODEL}+refusal", contents="hi")
    assert refused.candidates[0].finish_reason is types.FinishReason.SAFETY
    odd = await gemini_client.models.generate_content(model=f"{MODEL}+finish=RECITATION", contents="hi")
    assert odd.candidates[0].finish_reason is types.FinishReason.RECITATION


async def test_models_are_listed(gemini_client: Any) -> None:
    pager = await gemini_client.models.list()
    assert f"models/{MODEL}" in [model.name async for model in pager]
    assert (await gemini_client.models.get(model=MODEL)).input_token_limit == 1_048_576


@pytest.mark.parametrize(
    ("status", "name", "error"),
    [
        (400, "INVALID_ARGUMENT", errors.ClientError),
        (401, "UNAUTHENTICATED", errors.ClientError),
        (403, "PERMISSION_DENIED", errors.ClientError),
        (404, "NOT_FOUND", errors.ClientError),
        (429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (499, "CANCELLED", errors.ClientError),
        (500, "INTERNAL", errors.ServerError),
        (503, "UNAVAILABLE", errors.ServerError),
        (504, "DEADLINE_EXCEEDED", errors.ServerError),
    ],
)
async def test_injected_errors_raise_the_right_exception(
    gemini_client: Any, status: int, name: str, error: type[errors.APIError]
) -> None:
    with pytest.raises(error) as caught:
        await gemini_client.models.generate_content(model=f"{MODEL}+status={status}", contents="hi")
    assert (caught.value.code, caught.value.status) == (status, name)
    assert caught.value.message


async def test_the_time_to_wait_is_in_the_details(gemini_client: Any) -> None:
    with pytest.raises(errors.ClientError) as caught:
        await gemini_client.models.generate_content(model=f"{MODEL}+status=429,retry-after=46", contents="hi")
    details = {detail["@type"].rpartition(".")[2]: detail for detail in caught.value.details["error"]["details"]}
    assert details["RetryInfo"]["retryDelay"] == "46s"
    assert details["QuotaFailure"]["violations"][0]["quotaId"].endswith("PerModel")
    assert "retry-after" not in caught.value.response.headers


async def test_a_daily_quota_is_named(gemini_client: Any) -> None:
    with pytest.raises(errors.ClientError) as caught:
        await gemini_client.models.generate_content(model=f"{MODEL}+code=GenerateRequestsPerDay", contents="hi")
    violation = caught.value.details["error"]["details"][0]["violations"][0]
    assert (caught.value.code, violation["quotaId"]) == (429, "GenerateRequestsPerDay")


async def test_an_error_inside_the_stream_is_raised(gemini_client: Any) -> None:
    stream = await gemini_client.models.generate_content_stream(model=f"{MODEL}+error=3", contents="hi")
    seen = 0
    with pytest.raises(errors.ServerError) as caught:
        async for _ in stream:
            seen += 1
    assert seen == 3
    assert (caught.value.code, caught.value.status) == (503, "UNAVAILABLE")


async def test_a_bad_key_is_a_400(simulator: Simulator) -> None:
    client = genai.Client(api_key="wrong", http_options=types.HttpOptions(base_url=simulator.url))
    with pytest.raises(errors.ClientError) as caught:
        await client.aio.models.generate_content(model=MODEL, contents="hi")
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert caught.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    await client.aio.aclose()
    client.close()
