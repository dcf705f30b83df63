"""Google's own SDK, over a real socket, against what this codec writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from pulse_gateway.errors import InvalidRequest, PulseError, RateLimited, UpstreamOverloaded
from pulse_gateway.types.chat import (
    ChatReply,
    ChatRequest,
    Choice,
    FinishReason,
    ImagePart,
    Logprob,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.types.events import (
    Ended,
    Event,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.gemini import GeminiCodec

CODEC = GeminiCodec()
MODEL = "gemini-3.8-flash"
USAGE = Usage(input_tokens=3, cached_input_tokens=2, output_tokens=5, reasoning_tokens=1)
Answer = tuple[int, str, bytes]


class Host:
    """A server that answers what it is told to, and keeps what it was sent."""

    def __init__(self, port: int, script: list[Answer]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.script = script
        self.sent: list[tuple[str, dict[str, str], bytes]] = []

    def answers(self, *parts: Part, finish: FinishReason = FinishReason.STOP, **more: Any) -> None:
        choice = Choice(parts=parts, finish_reason=finish, **more)
        body = CODEC.encode_reply(ChatReply(id="r1", model="m", choices=(choice,), usage=USAGE))
        self.script.append((200, "application/json", body))

    def streams(self, *told: Event, error: PulseError | None = None) -> None:
        encoder = CODEC.encoder("m", include_usage=True)
        body = b"".join(encoder.encode(event) for event in (Started("r1", "m"), *told))
        if error is not None:
            body += encoder.error(error, "req_1")
        self.script.append((200, "text/event-stream", body))

    def fails(self, error: PulseError) -> None:
        self.script.append((error.status, "application/json", CODEC.encode_error(error, "req_1")))

    @property
    def envelope(self) -> Envelope:
        return CODEC.read_envelope(self.sent[-1][2], model=MODEL, stream=False)

    @property
    def request(self) -> ChatRequest:
        return CODEC.decode_request(self.sent[-1][2], model=MODEL, stream=False)


@pytest.fixture
def host() -> Iterator[Host]:
    script: list[Answer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.sent.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, content_type, answer = script.pop(0)
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Host(server.server_port, script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(host: Host) -> Iterator[genai.Client]:
    made = genai.Client(api_key="pls-key", http_options=types.HttpOptions(base_url=host.url))
    yield made
    made.close()


def without_functions(**config: Any) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **config
    )


def look_up(city: str, days: int = 3) -> dict[str, str]:
    """The weather of a city."""
    return {"in": city, "for": str(days)}


def test_an_answer_is_read_whole(host: Host, client: genai.Client) -> None:
    host.answers(
        ReasoningPart("hm", "signed elsewhere"),
        TextPart("Hello"),
        logprobs=(Logprob("Hello", -0.1, (("Hello", -0.1), ("Hi", -2.0))),),
    )
    reply = client.models.generate_content(model=MODEL, contents="hi")

    assert host.sent[0][0] == f"/v1/models/{MODEL}:generateContent"
    assert host.sent[0][1]["x-goog-api-key"] == "pls-key"
    assert (reply.text, reply.response_id, reply.model_version) == ("Hello", "r1", "m")
    (candidate,) = reply.candidates or ()
    assert candidate.finish_reason is types.FinishReason.STOP
    assert candidate.logprobs_result is not None
    assert candidate.logprobs_result.top_candidates is not None
    counts = reply.usage_metadata
    assert counts is not None
    assert (counts.prompt_token_count, counts.thoughts_token_count, counts.total_token_count) == (5, 1, 11)


def test_a_stream_is_read_frame_by_frame(host: Host, client: genai.Client) -> None:
    host.streams(
        ReasoningDelta("hm"),
        ReasoningSigned("signed elsewhere"),
        TextDelta("Hel"),
        LogprobsDelta((Logprob("Hel", -0.1),)),
        TextDelta("lo"),
        Finished(FinishReason.LENGTH),
        UsageReported(USAGE),
        Ended(),
    )
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="hi"))

    assert host.sent[0][0] == f"/v1/models/{MODEL}:streamGenerateContent?alt=sse"
    assert "".join(chunk.text or "" for chunk in chunks) == "Hello"
    assert [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates][-1] == "MAX_TOKENS"
    assert chunks[-1].usage_metadata is not None
    assert chunks[-1].usage_metadata.total_token_count == 11


async def test_the_asynchronous_client_reads_a_stream_too(host: Host) -> None:
    host.streams(TextDelta("Hello"), Finished(FinishReason.STOP), Ended())
    async with genai.Client(api_key="k", http_options=types.HttpOptions(base_url=host.url)).aio as client:
        stream = await client.models.generate_content_stream(model=MODEL, contents="hi")
        assert "".join([chunk.text or "" async for chunk in stream]) == "Hello"


def test_python_functions_are_called_and_their_results_come_back(host: Host, client: genai.Client) -> None:
    host.answers(ToolCallPart("one", "look_up", '{"city":"Rome"}'), finish=FinishReason.TOOL_CALLS)
    host.answers(TextPart("Sunny"))
    reply = client.models.generate_content(
        model=MODEL, contents="weather?", config=types.GenerateContentConfig(tools=[look_up])
    )

    assert reply.text == "Sunny"
    request = host.request
    assert request.tools[0].name == "look_up"
    assert request.tools[0].parameters is not None
    assert set(request.tools[0].parameters["properties"]) == {"city", "days"}
    assert request.messages[1].parts == (ToolCallPart("one", "look_up", '{"city":"Rome"}'),)
    (result,) = request.messages[2].parts
    assert isinstance(result, ToolResultPart)
    assert (result.call_id, result.parts) == ("one", (TextPart('{"in":"Rome","for":"3"}'),))
    assert request.extra == {}


def test_a_chat_keeps_a_streamed_answer_and_sends_it_back_as_one_turn(host: Host, client: genai.Client) -> None:
    host.streams(
        ReasoningDelta("hm"),
        ReasoningDelta("m"),
        ReasoningSigned("signed+/elsewhere"),
        ReasoningSigned(redacted="secret"),
        TextDelta("Hel"),
        TextDelta("lo"),
        ToolCallStarted(0, "one", "f", "Y2FsbA=="),
        ToolArgumentsDelta(0, '{"a"'),
        ToolArgumentsDelta(0, ":1}"),
        Finished(FinishReason.TOOL_CALLS),
        UsageReported(USAGE),
        Ended(),
    )
    host.streams(TextDelta("ok"), Finished(FinishReason.STOP), Ended())
    chat = client.chats.create(model=MODEL, config=without_functions())
    for message in ("hi", types.Part.from_function_response(name="f", response={"result": "done"})):
        chunks = list(chat.send_message_stream(message))
        assert chunks

    assert [message.role for message in host.request.messages] == ["user", "assistant", "tool"]
    assert host.request.messages[1].parts == (
        ReasoningPart("hmm", "signed+/elsewhere"),
        ReasoningPart(redacted="secret"),
        TextPart("Hello"),
        ToolCallPart("one", "f", '{"a":1}', "Y2FsbA=="),
    )


def test_everything_the_sdk_says_is_understood(host: Host, client: genai.Client) -> None:
    host.answers(TextPart("Hello"))
    client.models.generate_content(
        model=MODEL,
        contents=["look", types.Part.from_bytes(data=b"\xff\xfe\xfb", mime_type="image/png")],
        config=without_functions(
            system_instruction="be brief",
            temperature=0.5,
            top_k=3,
            max_output_tokens=64,
            stop_sequences=["END"],
            response_mime_type="application/json",
            response_schema=types.Schema(
                type=types.Type.OBJECT, properties={"any_of": types.Schema(type=types.Type.STRING, nullable=True)}
            ),
            thinking_config=types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW, include_thoughts=True),
        ),
    )
    request, envelope = host.request, host.envelope

    assert (envelope.text, envelope.attachments, envelope.max_output_tokens) == ("be brief\nlook", 1, 64)
    assert request.messages[1].parts == (TextPart("look"), ImagePart("image/png", "//77"))
    assert (request.top_k, request.stop, request.temperature) == (3, ("END",), 0.5)
    assert request.reasoning is not None
    assert (request.reasoning.effort, request.reasoning.summary) == ("low", True)
    assert request.response_format is not None
    assert request.response_format.schema == {
        "type": "object",
        "properties": {"any_of": {"type": ["string", "null"]}},
    }
    assert request.extra == {}


def test_errors_are_client_errors_with_code_status_and_message(host: Host, client: genai.Client) -> None:
    host.fails(InvalidRequest("no such role", param="contents[0].role"))
    host.fails(RateLimited("slow down", retry_after_s=12.5))
    ask: Callable[[], object] = lambda: client.models.generate_content(model=MODEL, contents="hi")  # noqa: E731
    with pytest.raises(errors.ClientError) as caught:
        ask()
    assert (caught.value.code, caught.value.status, caught.value.message) == (
        400,
        "INVALID_ARGUMENT",
        "no such role",
    )
    with pytest.raises(errors.ClientError) as caught:
        ask()
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert caught.value.details["error"]["details"][1]["retryDelay"] == "12.5s"


def test_an_error_before_the_stream_is_raised_as_one(host: Host, client: genai.Client) -> None:
    host.fails(UpstreamOverloaded("busy"))
    with pytest.raises(errors.ServerError) as caught:
        next(iter(client.models.generate_content_stream(model=MODEL, contents="hi")))
    assert (caught.value.code, caught.value.status, caught.value.message) == (503, "UNAVAILABLE", "busy")


def test_an_error_inside_the_stream_is_a_server_error_after_what_came_before(host: Host, client: genai.Client) -> None:
    host.streams(TextDelta("Hel"), error=UpstreamOverloaded("busy"))
    texts: list[str | None] = []
    with pytest.raises(errors.ServerError) as caught:
        texts.extend(chunk.text for chunk in client.models.generate_content_stream(model=MODEL, contents="hi"))
    assert texts == ["Hel"]
    assert (caught.value.code, caught.value.status, caught.value.message) == (503, "UNAVAILABLE", "busy")
