"""OpenAI, as its own SDK sees it."""

from __future__ import annotations

import base64
import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city"],
        },
    },
}
TIME: Any = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def test_text_quotes_the_prompt_and_the_system_prompt(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(
        model="gpt-4.1",
        messages=[{"role": "system", "content": "You are a helpful pirate."}, *user("Tell me of Bagdad")],
    )
    message = reply.choices[0].message
    assert message.content is not None
    assert message.content.startswith("[system:You are a helpfu] ")
    assert "Tell me of Bagdad" in message.content
    assert (message.role, message.refusal, reply.choices[0].finish_reason) == ("assistant", None, "stop")
    assert reply.object == "chat.completion"
    assert reply._request_id is not None


async def test_an_arabic_prompt_gets_an_arabic_answer(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("ما هي عاصمة العراق؟"))
    text = reply.choices[0].message.content or ""
    assert "ما هي عاصمة العراق؟" in text
    letters = [character for character in text if character.isalpha()]
    assert all("\u0600" <= character <= "\u06ff" for character in letters)


async def test_usage_is_inclusive(openai_client: openai.AsyncOpenAI) -> None:
    """Four bytes are a token: 8 of the prompt; cached and reasoning tokens are inside their totals."""
    reply = await openai_client.chat.completions.create(
        model="gpt-5.2+cached=5,cache-write=2,reasoning=11,tokens=30", messages=user("x" * 32)
    )
    usage = reply.usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details is not None
    assert usage.prompt_tokens == 8
    assert usage.prompt_tokens_details.cached_tokens == 5
    assert usage.prompt_tokens_details.cache_write_tokens == 2
    assert usage.completion_tokens == 41
    assert usage.completion_tokens_details.reasoning_tokens == 11
    assert usage.total_tokens == 49


async def test_reasoning_models_think_as_hard_as_they_are_told(openai_client: openai.AsyncOpenAI) -> None:
    counts = []
    for effort in ("minimal", "low", "medium", "high"):
        reply = await openai_client.chat.completions.create(
            model="gpt-5-mini", messages=user("hi"), reasoning_effort=effort
        )
        assert reply.usage is not None
        assert reply.usage.completion_tokens_details is not None
        counts.append(reply.usage.completion_tokens_details.reasoning_tokens or 0)
    assert counts == sorted(counts)
    assert counts[0] > 0


async def test_a_stream_says_what_the_reply_says(openai_client: openai.AsyncOpenAI) -> None:
    whole = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("مرحبا hello 🙂"))
    stream = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("مرحبا hello 🙂"), stream=True)
    chunks = [chunk async for chunk in stream]
    assert {chunk.id for chunk in chunks} == {whole.id}
    assert {chunk.created for chunk in chunks} == {whole.created}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert len(chunks) > 10
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)


async def test_include_usage_adds_null_everywhere_and_one_chunk_without_choices(
    openai_client: openai.AsyncOpenAI,
) -> None:
    whole = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("hi"))
    stream = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("hi"), stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = [chunk async for chunk in stream]
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set and chunk.choices for chunk in chunks)
    assert last.choices == []
    assert last.usage == whole.usage


async def test_obfuscation_is_there_unless_it_is_refused(openai_client: openai.AsyncOpenAI) -> None:
    for options, expected in (({}, True), ({"include_obfuscation": False}, False)):
        stream = await openai_client.chat.completions.create(
            model="gpt-4.1",
            messages=user("hi"),
            stream=True,
            stream_options=options,  # type: ignore[arg-type]
        )
        chunks = [chunk async for chunk in stream]
        assert all(("obfuscation" in chunk.model_fields_set) is expected for chunk in chunks)


async def test_every_offered_tool_is_called_with_valid_arguments(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("weather?"), tools=[WEATHER, TIME]
    )
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    calls: Any = choice.message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert len({call.id for call in calls}) == 2
    arguments = json.loads(calls[0].function.arguments)
    assert isinstance(arguments["city"], str)
    assert 1 <= arguments["days"] <= 7
    assert arguments["unit"] in {"celsius", "fahrenheit"}
    assert json.loads(calls[1].function.arguments) == {}


async def test_streamed_tool_calls_come_in_fragments_that_add_up(openai_client: openai.AsyncOpenAI) -> None:
    whole = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("weather?"), tools=[WEATHER, TIME]
    )
    stream = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("weather?"), tools=[WEATHER, TIME], stream=True
    )
    fragments: dict[int, list[Any]] = {}
    async for chunk in stream:
        for fragment in chunk.choices[0].delta.tool_calls or ():
            fragments.setdefault(fragment.index, []).append(fragment)
    calls: Any = whole.choices[0].message.tool_calls
    assert sorted(fragments) == [0, 1]
    for index, call in enumerate(calls):
        first, *rest = fragments[index]
        assert (first.id, first.type, first.function.name) == (call.id, "function", call.function.name)
        assert first.function.arguments == ""
        assert all(each.id is None and each.type is None and each.function.name is None for each in rest)
        assert "".join(each.function.arguments for each in rest) == call.function.arguments
    assert len(fragments[0]) > 4


async def test_parallel_calls_can_be_turned_off_and_a_tool_can_be_chosen(openai_client: openai.AsyncOpenAI) -> None:
    async def called(**options: Any) -> list[str]:
        reply = await openai_client.chat.completions.create(
            model="gpt-4.1", messages=user("go"), tools=[WEATHER, TIME], **options
        )
        calls: Any = reply.choices[0].message.tool_calls or []
        return [call.function.name for call in calls]

    assert await called(parallel_tool_calls=False) == ["get_weather"]
    assert await called(tool_choice="none") == []
    assert await called(tool_choice="required") == ["get_weather", "get_time"]
    assert await called(tool_choice={"type": "function", "function": {"name": "get_time"}}) == ["get_time"]
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "get_time"}}]}
    assert await called(tool_choice={"type": "allowed_tools", "allowed_tools": allowed}) == ["get_time"]


async def test_results_of_tools_are_quoted(openai_client: openai.AsyncOpenAI) -> None:
    first = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("weather?"), tools=[WEATHER])
    calls: Any = first.choices[0].message.tool_calls
    history: Any = [
        *user("weather?"),
        {"role": "assistant", "tool_calls": [call.model_dump() for call in calls]},
        {"role": "tool", "tool_call_id": calls[0].id, "content": "33 degrees in بغداد"},
    ]
    second = await openai_client.chat.completions.create(model="gpt-4.1", messages=history, tools=[WEATHER])
    assert second.choices[0].finish_reason == "stop"
    assert "[result:get_weather 33 degrees in بغداد]" in (second.choices[0].message.content or "")


async def test_custom_tools_get_free_text(openai_client: openai.AsyncOpenAI) -> None:
    tool: Any = {"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}}}
    reply = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("go"), tools=[tool])
    calls: Any = reply.choices[0].message.tool_calls
    assert calls[0].type == "custom"
    assert calls[0].custom.name == "sql"
    assert calls[0].custom.input


async def test_deprecated_functions_are_called_one_at_a_time(openai_client: openai.AsyncOpenAI) -> None:
    functions: Any = [WEATHER["function"], TIME["function"]]
    reply = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("go"), functions=functions)
    assert reply.choices[0].finish_reason == "function_call"
    assert reply.choices[0].message.function_call is not None
    stream = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("go"), functions=functions, stream=True
    )
    deltas = [chunk.choices[0].delta.function_call async for chunk in stream]
    said = "".join((delta.arguments or "") for delta in deltas if delta)
    assert said == reply.choices[0].message.function_call.arguments


async def test_choices_are_interleaved_and_differ(openai_client: openai.AsyncOpenAI) -> None:
    stream = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("hi"), n=3, stream=True)
    order: list[int] = []
    texts = ["", "", ""]
    async for chunk in stream:
        choice = chunk.choices[0]
        order.append(choice.index)
        texts[choice.index] += choice.delta.content or ""
    assert order[:6] == [0, 1, 2, 0, 1, 2]
    assert len(set(texts)) == 3
    whole = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("hi"), n=3)
    assert [choice.message.content for choice in whole.choices] == texts
    assert whole.usage is not None
    assert whole.usage.completion_tokens >= 3 * 40


async def test_images_arrive_with_their_size_or_address(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(
        model="gpt-4.1",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg", "detail": "low"}},
                ],
            }
        ],
    )
    assert "[image:2 image/png 68 bytes, https://example.com/cat.jpg]" in (reply.choices[0].message.content or "")
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 1 + 2 * 258


class Person(BaseModel):
    name: str
    age: int
    tags: list[str]


async def test_a_json_schema_is_met(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.parse(model="gpt-4.1", messages=user("who?"), response_format=Person)
    person = reply.choices[0].message.parsed
    assert person is not None
    assert person.name
    assert person.tags


async def test_json_object_mode_gives_an_object(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("give me json"), response_format={"type": "json_object"}
    )
    assert isinstance(json.loads(reply.choices[0].message.content or ""), dict)


async def test_stop_sequences_cut_the_text(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("alpha STOP beta"), stop=["nowhere", "STOP"]
    )
    assert reply.choices[0].message.content == "You said: “alpha "
    assert reply.choices[0].finish_reason == "stop"


async def test_token_limits_cut_the_text(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("مرحبا"), max_tokens=7)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 7
    text = (reply.choices[0].message.content or "").encode()
    assert 24 < len(text) <= 28


async def test_token_limits_include_reasoning(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(
        model="gpt-5.2+reasoning=50", messages=user("hi"), max_completion_tokens=20
    )
    assert reply.choices[0].finish_reason == "length"
    assert reply.choices[0].message.content == ""
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 20


async def test_a_limit_can_cut_a_tool_call_in_the_middle_of_its_arguments(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("weather?"), tools=[WEATHER, TIME], max_tokens=6
    )
    calls: Any = reply.choices[0].message.tool_calls
    assert reply.choices[0].finish_reason == "length"
    assert [call.function.name for call in calls] == ["get_weather"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(calls[0].function.arguments)


async def test_logprobs_come_when_asked_for(openai_client: openai.AsyncOpenAI) -> None:
    reply = await openai_client.chat.completions.create(
        model="gpt-4.1", messages=user("hi"), logprobs=True, top_logprobs=2
    )
    scores = reply.choices[0].logprobs
    assert scores is not None
    assert scores.content
    assert len(scores.content[0].top_logprobs) == 2


async def test_refusals_and_odd_finish_reasons_on_demand(openai_client: openai.AsyncOpenAI) -> None:
    refused = await openai_client.chat.completions.create(model="gpt-4.1+refusal", messages=user("hi"))
    assert refused.choices[0].message.content is None
    assert refused.choices[0].message.refusal
    stream = await openai_client.chat.completions.create(model="gpt-4.1+refusal", messages=user("hi"), stream=True)
    said = "".join([chunk.choices[0].delta.refusal or "" async for chunk in stream])
    assert said == refused.choices[0].message.refusal
    filtered = await openai_client.chat.completions.create(model="gpt-4.1+finish=content_filter", messages=user("hi"))
    assert filtered.choices[0].finish_reason == "content_filter"


async def test_service_tiers_show_what_was_used(openai_client: openai.AsyncOpenAI) -> None:
    plain = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("hi"))
    fast = await openai_client.chat.completions.create(model="gpt-4.1", messages=user("hi"), service_tier="fast")
    assert plain.service_tier is None
    assert fast.service_tier == "priority"


async def test_models_are_listed_and_found(openai_client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in openai_client.models.list()]
    assert "gpt-4.1" in names
    assert (await openai_client.models.retrieve("gpt-4.1")).id == "gpt-4.1"
    with pytest.raises(openai.NotFoundError):
        await openai_client.models.retrieve("claude-opus-5-5")


async def test_headers_are_those_of_openai(openai_client: openai.AsyncOpenAI) -> None:
    raw = await openai_client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=user("hi"))
    for name in ("x-request-id", "openai-processing-ms", "openai-version", "openai-organization"):
        assert raw.headers[name]
    for what in ("requests", "tokens"):
        assert raw.headers[f"x-ratelimit-limit-{what}"].isdigit()
        assert raw.headers[f"x-ratelimit-remaining-{what}"].isdigit()
        assert raw.headers[f"x-ratelimit-reset-{what}"] == "6ms"
