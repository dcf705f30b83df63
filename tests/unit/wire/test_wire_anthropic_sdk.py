"""The official SDK, over a real socket, reads what this codec writes; and this codec reads what the SDK sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from pulse_gateway.errors import InvalidRequest, PulseError, RateLimited, StreamInterrupted, UpstreamOverloaded
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    ReasoningControl,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.types.events import (
    Ended,
    Event,
    Finished,
    ReasoningDelta,
    ReasoningSigned,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec

CODEC = AnthropicMessagesCodec()
USAGE = Usage(
    input_tokens=10,
    cached_input_tokens=2,
    cache_write_tokens=3,
    cache_write_long_tokens=4,
    output_tokens=5,
    reasoning_tokens=6,
)
STREAM = (
    Started("r-1", "gpt-x"),
    ReasoningDelta("h"),
    ReasoningDelta("m"),
    ReasoningSigned("sig"),
    ReasoningSigned(redacted="XX"),
    TextDelta("Hel"),
    TextDelta("lo ب"),
    ToolCallStarted(0, "call/1", "f"),
    ToolCallStarted(1, "call_2", "g"),
    ToolArgumentsDelta(0, '{"city":'),
    ToolArgumentsDelta(1, '{"n":'),
    ToolArgumentsDelta(0, '"Doha"}'),
    ToolArgumentsDelta(1, "[1,2]}"),
    Finished(FinishReason.TOOL_CALLS),
    UsageReported(USAGE),
    Ended(),
)
REPLY = ChatReply(
    id="r-1",
    model="gpt-x",
    choices=(
        Choice(
            parts=(
                ReasoningPart("hm", signature="sig"),
                ReasoningPart(redacted="XX"),
                TextPart("Hello ب"),
                ToolCallPart("call/1", "f", '{"city":"Doha"}'),
                ToolCallPart("call_2", "g", '{"n":[1,2]}'),
            ),
            finish_reason=FinishReason.TOOL_CALLS,
        ),
    ),
    usage=USAGE,
)


class Answer:
    """What the server says to every request; `seen` is the last body it got."""

    def __init__(self, status: int, content_type: str, pieces: Iterable[bytes]) -> None:
        self.status, self.content_type, self.pieces = status, content_type, list(pieces)
        self.seen = b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line.partition(":")[2] for line in head.split("\r\n") if line.startswith("content-length:"))
        self.seen = await reader.readexactly(int(length))
        writer.write(
            f"HTTP/1.1 {self.status} X\r\ncontent-type: {self.content_type}\r\nrequest-id: req-1\r\n"
            "connection: close\r\n\r\n".encode()
        )
        for piece in self.pieces:
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def client_of(answer: Answer) -> AsyncIterator[AsyncAnthropic]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        AsyncAnthropic(api_key="sk-test", base_url=f"http://127.0.0.1:{port}", max_retries=0) as client,
    ):
        yield client


def whole(reply: ChatReply) -> Answer:
    return Answer(200, "application/json", [CODEC.encode_reply(reply)])


def streamed(*events: Event, error: PulseError | None = None) -> Answer:
    encoder = CODEC.encoder("alias", include_usage=True)
    pieces = [encoder.encode(event) for event in events]
    if error is not None:
        pieces.append(encoder.error(error, "req-1"))
    assert CODEC.keep_alive is not None
    pieces.insert(1, CODEC.keep_alive)
    return Answer(200, "text/event-stream", pieces)


def request(**fields: Any) -> dict[str, Any]:
    return {"model": "alias", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]} | fields


def check(message: anthropic.types.Message) -> None:
    thinking, redacted, text, first, second = message.content
    assert (message.id, message.model, message.role, message.type) == ("r-1", "gpt-x", "assistant", "message")
    assert (thinking.type, redacted.type, text.type) == ("thinking", "redacted_thinking", "text")
    assert thinking.type == "thinking"
    assert (thinking.thinking, thinking.signature) == ("hm", "sig")
    assert redacted.type == "redacted_thinking"
    assert redacted.data == "XX"
    assert text.type == "text"
    assert text.text == "Hello ب"
    assert first.type == second.type == "tool_use"
    assert (first.name, first.input) == ("f", {"city": "Doha"})
    assert (second.id, second.name, second.input) == ("call_2", "g", {"n": [1, 2]})
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.output_tokens) == (10, 11)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (2, 7)
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 6


async def test_a_whole_answer() -> None:
    async with client_of(whole(REPLY)) as client:
        message = await client.messages.create(**request())
    check(message)
    assert message._request_id == "req-1"
    assert message.usage.cache_creation is not None
    assert message.usage.cache_creation.ephemeral_1h_input_tokens == 4


async def test_a_stream_of_raw_events() -> None:
    async with client_of(streamed(*STREAM)) as client:
        stream = await client.messages.create(**request(stream=True))
        kinds = [event.type async for event in stream]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 5


async def test_a_stream_folded_by_the_sdk() -> None:
    async with client_of(streamed(*STREAM)) as client, client.messages.stream(**request()) as stream:
        texts = [text async for text in stream.text_stream]
        message = await stream.get_final_message()
    assert texts == ["Hel", "lo ب"]
    check(message)


async def test_calls_come_back_with_their_ids() -> None:
    """What the SDK was given as an answer, it sends as history, and the other vendor's ids are there again."""
    answer = streamed(*STREAM)
    async with client_of(answer) as client:
        async with client.messages.stream(**request()) as stream:
            message = await stream.get_final_message()
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "ok"}
            for block in message.content
            if block.type == "tool_use"
        ]
        history = [{"role": "user", "content": "hi"}, message.to_param(), {"role": "user", "content": results}]
        async with client.messages.stream(**request(messages=history)) as stream:
            await stream.until_done()
    decoded = CODEC.decode_request(answer.seen)
    assert decoded.extra == {}
    assert decoded.messages[1].parts == REPLY.choices[0].parts
    assert decoded.messages[2].parts == (
        ToolResultPart("call/1", (TextPart("ok"),)),
        ToolResultPart("call_2", (TextPart("ok"),)),
    )


async def test_a_refusal() -> None:
    answer = streamed(Started("r", "m"), RefusalDelta("no"), Finished(FinishReason.STOP), Ended())
    async with client_of(answer) as client, client.messages.stream(**request()) as stream:
        message = await stream.get_final_message()
    assert message.stop_reason == "refusal"


async def test_what_the_sdk_sends_is_understood() -> None:
    answer = whole(REPLY)
    async with client_of(answer) as client:
        await client.messages.create(
            **request(
                system="Be brief.",
                stop_sequences=["END"],
                tools=[{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True}],
                tool_choice={"type": "any", "disable_parallel_tool_use": True},
                thinking={"type": "adaptive", "display": "summarized"},
                output_config={"effort": "high"},
                metadata={"user_id": "u"},
            )
        )
    envelope = CODEC.read_envelope(answer.seen)
    assert (envelope.model, envelope.text, envelope.stream) == ("alias", "Be brief.\nhi", False)
    decoded = CODEC.decode_request(answer.seen)
    assert decoded.tools == (Tool("f", "d", {"type": "object"}, True),)
    assert (decoded.tool_choice, decoded.parallel_tool_calls) == (ToolChoice("required"), False)
    assert decoded.reasoning == ReasoningControl("high", adaptive=True, summary=True)
    assert (decoded.stop, decoded.user, decoded.extra, decoded.hints) == (("END",), "u", {}, {})


async def test_an_error_in_a_stream_is_raised_with_its_type() -> None:
    answer = streamed(Started("r", "m"), TextDelta("Hel"), error=UpstreamOverloaded("the provider is overloaded"))
    async with client_of(answer) as client:
        stream = await client.messages.create(**request(stream=True))
        with pytest.raises(anthropic.APIStatusError) as caught:
            async for _ in stream:
                pass
    assert caught.value.status_code == 200
    assert caught.value.type == "overloaded_error"
    assert caught.value.error_code == "upstream_overloaded"
    assert caught.value.api_message == "the provider is overloaded"


@pytest.mark.parametrize(
    ("error", "kind", "raised"),
    [
        (InvalidRequest("no", param="messages[0].role"), "invalid_request_error", anthropic.BadRequestError),
        (RateLimited("slow", retry_after_s=1.0), "rate_limit_error", anthropic.RateLimitError),
        (UpstreamOverloaded("busy"), "overloaded_error", anthropic.InternalServerError),
        (StreamInterrupted("cut"), "api_error", anthropic.InternalServerError),
    ],
)
async def test_errors_are_raised_by_their_status(error: PulseError, kind: str, raised: type[Exception]) -> None:
    answer = Answer(error.status, "application/json", [CODEC.encode_error(error, "req-1")])
    async with client_of(answer) as client:
        with pytest.raises(raised) as caught:
            await client.messages.create(**request())
    assert isinstance(caught.value, anthropic.APIStatusError)
    assert (caught.value.type, caught.value.error_code) == (kind, error.code)
    assert caught.value.request_id == "req-1"
