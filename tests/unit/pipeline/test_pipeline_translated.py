"""What becomes of answers that the client's dialect cannot say, and how clients learn what was dropped of their requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound, Outcome
from pulse_gateway.config import AliasConfig, LimitsConfig, ProviderConfig, RetriesConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts
from pulse_gateway.wire.sse import SSEDecoder

ASKED = {
    "openai.chat": {"model": "alias", "messages": [{"role": "user", "content": "hi", "name": "Layla"}]},
    "anthropic.messages": {"model": "alias", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + msgspec.json.encode({"id": "c", "model": "m", "choices": [choice]}) + b"\n\n"


def call(arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}


class Answer:
    status = 200

    def __init__(self, kind: str, pieces: Sequence[bytes]) -> None:
        self.headers: Headers = (("content-type", kind),)
        self._pieces = pieces

    def read_now(self) -> bytes | None:
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None: ...


class Transport:
    """Gives everybody the same answer, and keeps what it was sent."""

    def __init__(self, kind: str, *pieces: bytes) -> None:
        self._kind, self._pieces = kind, pieces
        self.sent: list[HttpRequest] = []

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Answer:
        self.sent.append(request)
        return Answer(self._kind, self._pieces)

    async def aclose(self) -> None: ...


class Asked:
    """One request through a whole gateway."""

    def __init__(self, transport: Transport, target: str) -> None:
        self.ledger = MemoryLedger()
        self.records: list[ExchangeRecord] = []
        kinds = {"gpt": "openai", "claude": "anthropic", "gemini": "google"}
        config = Config(
            providers={
                name: ProviderConfig(kind=kind, key="k", base_url="http://vendor.test") for name, kind in kinds.items()
            },
            models={"alias": AliasConfig(targets=[target])},
            retries=RetriesConfig(attempts=1),
            limits=LimitsConfig(requests="off"),
        )
        self._gateway = Gateway(config, transport=transport, ledger=self.ledger, observers=(self.records.append,))
        self.headers: dict[str, str] = {}

    async def __call__(self, dialect: str, *, stream: bool = False, **members: Any) -> tuple[int, bytes]:
        body = ASKED[dialect] | ({"stream": True} if stream and dialect != "gemini" else {}) | members
        inbound = Inbound(
            dialect=dialect,
            body=msgspec.json.encode(body),
            model="alias" if dialect == "gemini" else None,
            stream=stream if dialect == "gemini" else None,
            principal=self._gateway.principal("u1"),
            request_id="req_1",
        )
        async with self._gateway as gateway, await gateway.handle(inbound) as reply:
            self.headers = dict(reply.headers)
            return reply.status, b"".join([piece async for piece in reply])


UNUSABLE = '{"city": "Do'


@pytest.mark.parametrize("dialect", ["anthropic.messages", "gemini"])
async def test_a_stream_whose_call_never_becomes_json_ends_with_one_error_of_the_provider(dialect: str) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    chunks = [
        chunk({"content": "Wait."}),
        chunk({"tool_calls": [call(UNUSABLE)]}),
        chunk({}, "tool_calls"),
        b"data: " + msgspec.json.encode({"id": "c", "model": "m", "choices": [], "usage": usage}) + b"\n\n",
        b"data: [DONE]\n\n",
    ]
    asked = Asked(Transport("text/event-stream", chunks[0], b"".join(chunks[1:])), "gpt:m")
    status, output = await asked(dialect, stream=True)
    frames = [msgspec.json.decode(frame.data) for frame in SSEDecoder().feed(output)]
    assert status == 200
    assert b"Wait." in output
    assert [place for place, frame in enumerate(frames) if "error" in frame] == [len(frames) - 1]
    assert b"req_1" in msgspec.json.encode(frames[-1])
    assert b"upstream_bad_response" in msgspec.json.encode(frames[-1]).lower()
    (entry,) = asked.ledger.entries
    assert (entry.outcome, entry.error_code) == (Outcome.INTERRUPTED, "upstream_bad_response")
    assert [record.error_code for record in asked.records] == ["upstream_bad_response"]


@pytest.mark.parametrize("dialect", ["anthropic.messages", "gemini"])
async def test_a_whole_answer_whose_call_is_no_json_is_the_providers_failure(dialect: str) -> None:
    message = {"role": "assistant", "tool_calls": [call(UNUSABLE)]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    answer = msgspec.json.encode({"id": "c", "model": "m", "choices": [choice]})
    asked = Asked(Transport("application/json", answer), "gpt:m")
    status, output = await asked(dialect)
    assert status == 502
    assert b"upstream_bad_response" in output.lower()


async def test_a_failure_that_the_provider_reports_is_told_once_whatever_follows_it() -> None:
    failure = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
    start = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": []}}
    head = b"event: message_start\ndata: " + msgspec.json.encode(start) + b"\n\n"
    stop = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    asked = Asked(Transport("text/event-stream", head, failure + stop), "claude:m")
    _, output = await asked("openai.chat", stream=True)
    assert output.count(b'"error"') == 1
    assert b"[DONE]" not in output


HISTORY = [
    {"role": "user", "content": "hi", "name": "Layla"},
    {"role": "assistant", "content": "a", "reasoning_content": "hm"},
    {"role": "user", "content": "b", "name": "Layla"},
]


async def test_what_was_dropped_is_told_once_in_the_words_of_the_client() -> None:
    answer = msgspec.json.encode({"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}]})
    asked = Asked(Transport("application/json", answer), "gemini:gemini-2.5-flash")
    status, _ = await asked("openai.chat", messages=HISTORY, safety_identifier="u", metadata={"k": "v"})
    assert status == 200
    told = asked.headers["x-pulse-dropped"].split(", ")
    assert sorted(told) == ["messages[].name", "messages[].reasoning_content", "metadata", "safety_identifier"]


@pytest.mark.parametrize(
    ("dialect", "members", "param"),
    [
        ("openai.chat", {"max_tokens": 10**9}, "max_tokens"),
        ("openai.chat", {"max_completion_tokens": 10**9}, "max_completion_tokens"),
        ("openai.chat", {"reasoning": {"effort": "low"}}, "reasoning"),
        ("gemini", {"generationConfig": {"seed": 3}}, "generationConfig.seed"),
        ("gemini", {"stop": ["x"]}, "stop"),
    ],
)
async def test_what_is_refused_is_named_as_the_client_wrote_it(dialect: str, members: Any, param: str) -> None:
    asked = Asked(Transport("application/json"), "claude:claude-haiku-4-5")
    status, output = await asked(dialect, **members)
    assert status == 400
    error = msgspec.json.decode(output)["error"]
    told = error["param"] if dialect == "openai.chat" else error["details"][0]["metadata"]["param"]
    assert told == param
