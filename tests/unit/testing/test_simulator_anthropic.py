"""Anthropic, as its own SDK sees it."""

from __future__ import annotations

import base64
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from pulse_gateway.testing.simulator import Simulator

MODEL = "claude-sonnet-5"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()
WEATHER: Any = {
    "name": "get_weather",
    "description": "Weather of a city.",
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "when": {"type": "object", "properties": {"day": {"type": "integer"}}, "required": ["day"]},
        },
        "required": ["city"],
    },
}
TIME: Any = {"name": "get_time", "input_schema": {"type": "object", "properties": {}}}


def user(content: Any) -> Any:
    return [{"role": "user", "content": content}]


async def test_text_quotes_the_prompt_and_the_system_prompt(anthropic_client: anthropic.AsyncAnthropic) -> None:
    message = await anthropic_client.messages.create(
        model=MODEL, max_tokens=500, system="You are a helpful pirate.", messages=user("Tell me of Bagdad")
    )
    (block,) = message.content
    assert block.type == "text"
    assert block.text.startswith("[system:You are a helpfu] ")
    assert "Tell me of Bagdad" in block.text
    assert (message.role, message.stop_reason, message.stop_sequence) == ("assistant", "end_turn", None)
    assert message._request_id is not None


async def test_input_usage_is_exclusive_and_output_usage_inclusive(anthropic_client: anthropic.AsyncAnthropic) -> None:
    message = await anthropic_client.messages.create(
        model=f"{MODEL}+cached=5,cache-write=2,reasoning=11,tokens=30", max_tokens=500, messages=user("x" * 40)
    )
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (3, 5, 2)
    assert usage.output_tokens == 41
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 11


async def test_cache_breakpoints_are_written_up_to_the_last(anthropic_client: anthropic.AsyncAnthropic) -> None:
    """16 bytes of system prompt and 8 of the message are 6 tokens; the last 8 bytes come after the breakpoint."""
    mark: Any = {"type": "ephemeral", "ttl": "1h"}
    message = await anthropic_client.messages.create(
        model=MODEL,
        max_tokens=100,
        system=[{"type": "text", "text": "s" * 16}],
        messages=user([{"type": "text", "text": "m" * 8, "cache_control": mark}, {"type": "text", "text": "n" * 8}]),
    )
    assert message.usage.cache_creation_input_tokens == 6
    assert message.usage.input_tokens == 2
    assert message.usage.cache_creation is not None
    assert message.usage.cache_creation.ephemeral_1h_input_tokens == 6
    assert message.usage.cache_creation.ephemeral_5m_input_tokens == 0


async def test_a_stream_adds_up_to_the_reply(anthropic_client: anthropic.AsyncAnthropic) -> None:
    options: Any = {"model": MODEL, "max_tokens": 500, "messages": user("سلام hello 🙂"), "tools": [WEATHER, TIME]}
    whole = await anthropic_client.messages.create(**options)
    async with anthropic_client.messages.stream(**options) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_message()
    assert final.model_dump() == whole.model_dump()
    assert sum(event.type == "input_json" for event in events) > 4


async def test_the_stream_has_the_documented_order(anthropic_client: anthropic.AsyncAnthropic) -> None:
    stream = await anthropic_client.messages.create(
        model="claude-sonnet-4-6",
        max_tokens=2000,
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=user("hi"),
        tools=[WEATHER],
        stream=True,
    )
    events: list[Any] = [event async for event in stream]
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    blocks = [event.content_block.type for event in events if event.type == "content_block_start"]
    assert blocks == ["thinking", "text", "tool_use"]
    open_block = None
    for event in events:
        if event.type == "content_block_start":
            assert open_block is None
            open_block = event.index
        elif event.type in {"content_block_delta", "content_block_stop"}:
            assert event.index == open_block
            open_block = None if event.type == "content_block_stop" else open_block
    deltas = [event.delta.type for event in events if event.type == "content_block_delta" and event.index == 0]
    assert deltas[-1] == "signature_delta"
    assert set(deltas[:-1]) == {"thinking_delta"}


async def test_thinking_is_shown_when_asked_and_hidden_by_default_on_new_models(
    anthropic_client: anthropic.AsyncAnthropic,
) -> None:
    shown = await anthropic_client.messages.create(
        model="claude-opus-5-5",
        max_tokens=500,
        thinking={"type": "adaptive", "display": "summarized"},
        messages=user("hi"),
    )
    hidden = await anthropic_client.messages.create(model="claude-opus-5-5", max_tokens=500, messages=user("hi"))
    none = await anthropic_client.messages.create(model=MODEL, max_tokens=500, messages=user("hi"))
    assert shown.content[0].type == hidden.content[0].type == "thinking"
    assert shown.content[0].thinking
    assert not hidden.content[0].thinking
    assert hidden.content[0].signature
    assert hidden.usage.output_tokens_details is not None
    assert hidden.usage.output_tokens_details.thinking_tokens > 0
    assert [block.type for block in none.content] == ["text"]


async def test_a_tool_round_trip_with_thinking_is_accepted(anthropic_client: anthropic.AsyncAnthropic) -> None:
    options: Any = {"model": "claude-opus-5-5", "max_tokens": 900, "tools": [WEATHER, TIME]}
    first = await anthropic_client.messages.create(messages=user("weather?"), **options)
    assert first.stop_reason == "tool_use"
    uses = [block for block in first.content if block.type == "tool_use"]
    assert [use.name for use in uses] == ["get_weather", "get_time"]
    assert isinstance(uses[0].input["when"], dict)
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": f"حار {use.name}"} for use in uses]
    history: Any = [
        *user("weather?"),
        {"role": "assistant", "content": first.content},
        *user([*results, {"type": "text", "text": "and?"}]),
    ]
    second = await anthropic_client.messages.create(messages=history, **options)
    text = "".join(block.text for block in second.content if block.type == "text")
    assert "[result:get_weather حار get_weather] [result:get_time حار get_time]" in text
    assert second.stop_reason == "end_turn"


async def test_changed_thinking_is_refused(anthropic_client: anthropic.AsyncAnthropic) -> None:
    first: Any = await anthropic_client.messages.create(
        model=MODEL, max_tokens=500, thinking={"type": "adaptive", "display": "summarized"}, messages=user("hi")
    )
    content = [block.model_dump(exclude_none=True) for block in first.content]
    history: Any = [*user("hi"), {"role": "assistant", "content": content}, *user("go on")]
    await anthropic_client.messages.create(model=MODEL, max_tokens=9, messages=history)
    content[0]["thinking"] += "!"
    with pytest.raises(anthropic.BadRequestError, match="signature"):
        await anthropic_client.messages.create(model=MODEL, max_tokens=9, messages=history)


async def test_parallel_calls_can_be_turned_off_and_a_tool_can_be_forced(
    anthropic_client: anthropic.AsyncAnthropic,
) -> None:
    async def called(choice: Any) -> list[str]:
        message = await anthropic_client.messages.create(
            model=MODEL, max_tokens=500, messages=user("go"), tools=[WEATHER, TIME], tool_choice=choice
        )
        return [block.name for block in message.content if block.type == "tool_use"]

    assert await called({"type": "auto"}) == ["get_weather", "get_time"]
    assert await called({"type": "auto", "disable_parallel_tool_use": True}) == ["get_weather"]
    assert await called({"type": "tool", "name": "get_time"}) == ["get_time"]
    assert await called({"type": "none"}) == []


async def test_images_and_documents_arrive(anthropic_client: anthropic.AsyncAnthropic) -> None:
    pdf = base64.b64encode(b"%PDF-1.7\n%%EOF").decode()
    message: Any = await anthropic_client.messages.create(
        model=MODEL,
        max_tokens=500,
        messages=user(
            [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.jpg"}},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf}},
                {"type": "text", "text": "look"},
            ]
        ),
    )
    assert "[image:2 image/png 68 bytes, https://example.com/cat.jpg]" in message.content[0].text
    assert "[document:1 application/pdf 14 bytes]" in message.content[0].text
    assert message.usage.input_tokens == 1 + 3 * 258


class Person(BaseModel):
    name: str
    age: int


async def test_a_json_schema_is_met(anthropic_client: anthropic.AsyncAnthropic) -> None:
    message: Any = await anthropic_client.messages.create(
        model=MODEL,
        max_tokens=500,
        messages=user("who?"),
        output_config={"format": {"type": "json_schema", "schema": Person.model_json_schema()}},
    )
    assert Person.model_validate_json(message.content[0].text).name


async def test_stop_sequences_are_named(anthropic_client: anthropic.AsyncAnthropic) -> None:
    message: Any = await anthropic_client.messages.create(
        model=MODEL, max_tokens=500, messages=user("alpha STOP beta"), stop_sequences=["nowhere", "STOP"]
    )
    assert message.content[0].text == "You said: “alpha "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "STOP")


async def test_token_limits_cut_the_text_and_zero_only_warms_the_cache(
    anthropic_client: anthropic.AsyncAnthropic,
) -> None:
    message = await anthropic_client.messages.create(model=MODEL, max_tokens=7, messages=user("مرحبا"))
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 7)
    warm = await anthropic_client.messages.create(model=MODEL, max_tokens=0, messages=user("hi"))
    assert (warm.content, warm.usage.output_tokens) == ([], 0)


async def test_refusals_and_odd_stop_reasons_on_demand(anthropic_client: anthropic.AsyncAnthropic) -> None:
    refused = await anthropic_client.messages.create(model=f"{MODEL}+refusal", max_tokens=99, messages=user("hi"))
    assert refused.stop_reason == "refusal"
    assert refused.stop_details is not None
    paused = await anthropic_client.messages.create(
        model=f"{MODEL}+finish=pause_turn", max_tokens=99, messages=user("hi")
    )
    assert paused.stop_reason == "pause_turn"


async def test_a_system_message_inside_the_conversation_arrives(anthropic_client: anthropic.AsyncAnthropic) -> None:
    message: Any = await anthropic_client.messages.create(
        model=MODEL,
        max_tokens=500,
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "system", "content": "Now in verse"},
            {"role": "user", "content": "go on"},
        ],
    )
    assert "[system:Now in verse]" in message.content[0].text


async def test_models_are_listed(anthropic_client: anthropic.AsyncAnthropic) -> None:
    models = [model async for model in anthropic_client.models.list()]
    assert models[0].id == "claude-opus-5-5"
    assert models[0].capabilities is not None
    assert models[0].capabilities.thinking.types.disabled.supported is False
    assert (await anthropic_client.models.retrieve("claude-haiku-4-5")).max_tokens == 64_000


async def test_headers_are_those_of_anthropic(anthropic_client: anthropic.AsyncAnthropic) -> None:
    raw = await anthropic_client.messages.with_raw_response.create(model=MODEL, max_tokens=9, messages=user("hi"))
    assert raw.headers["request-id"].startswith("req_")
    for what in ("requests", "tokens", "input-tokens", "output-tokens"):
        assert raw.headers[f"anthropic-ratelimit-{what}-limit"].isdigit()
        assert raw.headers[f"anthropic-ratelimit-{what}-reset"].endswith("Z")


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.PaymentRequiredError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (409, anthropic.ConflictError, "conflict_error"),
        (413, anthropic.ContentTooLargeError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (504, anthropic.GatewayTimeoutError, "timeout_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
async def test_injected_errors_raise_the_right_exception(
    anthropic_client: anthropic.AsyncAnthropic, status: int, error: type[anthropic.APIStatusError], kind: str
) -> None:
    with pytest.raises(error) as caught:
        await anthropic_client.messages.create(model=f"{MODEL}+status={status}", max_tokens=9, messages=user("hi"))
    assert (caught.value.status_code, caught.value.type) == (status, kind)
    assert caught.value.request_id


async def test_error_codes_go_into_the_details(anthropic_client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.RateLimitError) as caught:
        await anthropic_client.messages.create(
            model=f"{MODEL}+code=enforced_spend_limit_reached", max_tokens=9, messages=user("hi")
        )
    assert caught.value.error_code == "enforced_spend_limit_reached"


async def test_the_sdk_retries_what_is_overloaded(simulator: Simulator) -> None:
    async with anthropic.AsyncAnthropic(base_url=simulator.url, api_key="k", max_retries=2) as client:
        await client.messages.create(
            model=f"{MODEL}+code=overloaded,retry-after-ms=10,first=2", max_tokens=9, messages=user("hi")
        )
    assert simulator.stats().providers["anthropic"].by_status == {"529": 2, "200": 1}


async def test_an_error_inside_the_stream_is_raised(anthropic_client: anthropic.AsyncAnthropic) -> None:
    stream = await anthropic_client.messages.create(
        model=f"{MODEL}+error=4", max_tokens=99, messages=user("hi"), stream=True
    )
    with pytest.raises(anthropic.APIStatusError) as caught:
        async for _ in stream:
            pass
    assert (caught.value.status_code, caught.value.type) == (200, "overloaded_error")


async def test_keys_come_in_either_header(simulator: Simulator) -> None:
    async with anthropic.AsyncAnthropic(base_url=simulator.url, auth_token="t", max_retries=0) as client:
        await client.messages.create(model=MODEL, max_tokens=9, messages=user("hi"))
    async with anthropic.AsyncAnthropic(base_url=simulator.url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model=MODEL, max_tokens=9, messages=user("hi"))
