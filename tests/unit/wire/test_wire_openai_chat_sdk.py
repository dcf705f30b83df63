"""The official SDK reads what our encoder writes, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import openai
import pytest
from openai.types.chat import ChatCompletion

from pulse_gateway.errors import InvalidRequest, StreamInterrupted
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    Logprob,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.types.events import (
    Ended,
    Event,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
USAGE = Usage(input_tokens=5, cached_input_tokens=3, output_tokens=4, reasoning_tokens=2)
MESSAGES = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def serving(
    body: bytes, *, status: int = 200, kind: str = "text/event-stream"
) -> AsyncIterator[openai.AsyncOpenAI]:
    """An SDK client of a server that gives everybody this answer, cut into small TCP writes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        writer.write(f"HTTP/1.1 {status} -\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode())
        for start in range(0, len(body), 50):
            writer.write(body[start : start + 50])
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="k", max_retries=0) as client:
        yield client


def written(events: Sequence[Event], *, include_usage: bool = False) -> bytes:
    encoder = CODEC.encoder("asked", include_usage=include_usage)
    return b"".join(encoder.encode(event) for event in events)


async def completed(events: Sequence[Event], *, include_usage: bool = False) -> ChatCompletion:
    """What the SDK's own accumulator makes of the stream."""
    async with (
        serving(written(events, include_usage=include_usage)) as client,
        client.chat.completions.stream(model="m", messages=MESSAGES) as stream,  # type: ignore[arg-type]
    ):
        async for _ in stream:
            pass
        return stream.current_completion_snapshot


async def test_text() -> None:
    events = [Started("id-1", "m", 7), TextDelta("Grüß"), TextDelta(" dich"), Finished(FinishReason.STOP), Ended()]
    answer = await completed(events)
    assert (answer.id, answer.model, answer.created) == ("id-1", "m", 7)
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content == "Grüß dich"
    assert choice.finish_reason == "stop"
    assert answer.usage is None


async def test_usage_when_asked_for() -> None:
    events = [Started("id-1", "m", 7), TextDelta("x"), Finished(FinishReason.STOP), UsageReported(USAGE), Ended()]
    async with serving(written(events, include_usage=True)) as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)  # type: ignore[arg-type]
        chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks[:-1])
    assert all("usage" in chunk.model_fields_set for chunk in chunks)
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (8, 6, 14)
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 3
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 2


async def test_tool_calls_with_split_arguments() -> None:
    answer = await completed(
        [
            Started("id-1", "m", 7),
            TextDelta("Looking."),
            ToolCallStarted(0, "c0", "weather"),
            ToolArgumentsDelta(0, '{"city":'),
            ToolCallStarted(1, "c1", "time", "c2ln"),
            ToolArgumentsDelta(0, '"Bern"}'),
            ToolArgumentsDelta(1, "{}"),
            Finished(FinishReason.TOOL_CALLS),
            Ended(),
        ]
    )
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Looking."
    calls = choice.message.tool_calls
    assert calls is not None
    assert [(call.id, call.type, call.function.name, call.function.arguments) for call in calls] == [  # type: ignore[union-attr]
        ("c0", "function", "weather", '{"city":"Bern"}'),
        ("c1", "function", "time", "{}"),
    ]
    assert calls[1].model_extra == {"index": 1, "extra_content": {"google": {"thought_signature": "c2ln"}}}


async def test_two_choices_that_interleave() -> None:
    answer = await completed(
        [
            Started("id-1", "m", 7),
            TextDelta("a", 0),
            TextDelta("b", 1),
            TextDelta("c", 0),
            Finished(FinishReason.LENGTH, choice=1),
            Finished(FinishReason.STOP, choice=0),
            Ended(),
        ]
    )
    told = [
        (choice.index, choice.message.role, choice.message.content, choice.finish_reason) for choice in answer.choices
    ]
    assert told == [(0, "assistant", "ac", "stop"), (1, "assistant", "b", "length")]


async def test_refusal_reasoning_and_logprobs() -> None:
    answer = await completed(
        [
            Started("id-1", "m", 7),
            ReasoningDelta("h"),
            ReasoningDelta("m"),
            TextDelta("a"),
            LogprobsDelta((Logprob("a", -1.0, (("b", -2.0),)),)),
            RefusalDelta("No."),
            Finished(FinishReason.CONTENT_FILTER),
            Ended(),
        ]
    )
    (choice,) = answer.choices
    assert choice.message.refusal == "No."
    assert choice.message.model_extra is not None
    assert choice.message.model_extra["reasoning_content"] == "hm"
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    (entry,) = choice.logprobs.content
    assert (entry.token, entry.bytes, entry.top_logprobs[0].token) == ("a", [97], "b")


async def test_an_error_inside_the_stream_is_raised() -> None:
    encoder = CODEC.encoder("asked", include_usage=False)
    begun = encoder.encode(Started("id-1", "m", 7)) + encoder.encode(TextDelta("a"))
    failure = encoder.error(StreamInterrupted("the provider's stream ended before it was complete"), "req-1")
    async with serving(begun + failure) as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)  # type: ignore[arg-type]
        texts: list[str | None] = []
        with pytest.raises(openai.APIError) as caught:
            async for chunk in stream:
                texts.append(chunk.choices[0].delta.content)  # noqa: PERF401  # what came before the error is wanted
    assert texts == ["", "a"]
    assert caught.value.code == "upstream_interrupted"
    assert caught.value.type == "upstream_error"


async def test_keep_alive_comments_pass_unnoticed() -> None:
    assert CODEC.keep_alive is not None
    events = [Started("id-1", "m", 7), TextDelta("a"), Finished(FinishReason.STOP), Ended()]
    frames = written(events).split(b"\n\n")
    async with serving((b"\n\n" + CODEC.keep_alive).join(frames)) as client:
        stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)  # type: ignore[arg-type]
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["", "a", None]


async def test_a_whole_answer() -> None:
    parts = (ReasoningPart("hm"), TextPart("x"), ToolCallPart("c", "f", "{}"))
    reply = ChatReply(
        id="id-1",
        model="m",
        created=7,
        choices=(
            Choice(index=0, parts=parts, finish_reason=FinishReason.TOOL_CALLS),
            Choice(index=1, parts=(RefusalPart("No."),), finish_reason=FinishReason.STOP),
        ),
        usage=USAGE,
    )
    async with serving(CODEC.encode_reply(reply), kind="application/json") as client:
        answer = await client.chat.completions.create(model="m", messages=MESSAGES)  # type: ignore[arg-type]
    first, second = answer.choices
    assert first.message.content == "x"
    assert first.message.tool_calls is not None
    assert first.message.tool_calls[0].id == "c"
    assert first.message.model_extra == {"reasoning_content": "hm"}
    assert (second.message.content, second.message.refusal) == (None, "No.")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 14
    ChatCompletion.model_validate(answer.model_dump())  # every member has the type that the SDK declares


async def test_an_error_answer() -> None:
    body = CODEC.encode_error(InvalidRequest("n: expected an integer", param="n"), "req-1")
    async with serving(body, status=400, kind="application/json") as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="m", messages=MESSAGES)  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.type, caught.value.param) == (
        "invalid_request",
        "invalid_request_error",
        "n",
    )
