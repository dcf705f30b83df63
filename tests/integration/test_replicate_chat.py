"""A whole gateway that chats with language models at Replicate, streamed and not, and what becomes of it when something goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import AliasConfig, ModelConfig, ProviderConfig, RetriesConfig
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.pipeline.steps import ClientLeft
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.http import Timeouts
from pulse_gateway.types.usage import Outcome, UsageSource
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.sse import SSEDecoder

LLAMA = "meta/meta-llama-3-70b-instruct"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


class Talk:
    """One chat, and what is left of it once the gateway has closed."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.status, self.headers, self.told = 0, dict[str, str](), b""
        self._ledger = MemoryLedger()

    async def ask(
        self,
        *models: str,
        dialect: str = "openai.chat",
        body: dict[str, Any] | None = None,
        stream: bool = False,
        leave_after: int | None = None,
        attempts: int = 1,
        timeouts: Timeouts | None = None,
        **more: Any,
    ) -> Talk:
        targets = [f"replicate:{model}" for model in models]
        config = Config(
            providers={
                "replicate": ProviderConfig(key="r8_x", base_url=self.simulator.url, timeouts=timeouts or Timeouts())
            },
            models={"it": AliasConfig(targets=[*targets])},
            catalog={target: ModelConfig(operations=["chat"]) for target in targets},
            retries=RetriesConfig(attempts=attempts, base_s=0.01, max_wait_s=0.02),
        )
        asked = body or {"model": "it", "messages": [{"role": "user", "content": "Tell me a story"}]}
        if stream and dialect == "openai.chat":
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        async with Gateway(config, ledger=self._ledger, observers=()) as gateway:
            inbound = Inbound(
                dialect=dialect,
                body=msgspec.json.encode(asked),
                model="it" if dialect == "gemini" else None,
                stream=stream if dialect == "gemini" else None,
                principal=gateway.principal("u"),
                **more,
            )
            async with await gateway.handle(inbound) as reply:
                self.status, self.headers = reply.status, dict(reply.headers)
                read = 0
                async for data in reply:
                    self.told += data
                    read += 1
                    if read == leave_after:
                        break
        return self

    @property
    def text(self) -> str:
        codec = OpenAIChatCodec()
        if b"data: " not in self.told:
            return codec.decode_reply(self.told).text
        frames, decoder = SSEDecoder(), codec.decoder()
        events = [event for frame in frames.feed(self.told) for event in decoder.decode(frame)]
        return "".join(event.text for event in events)

    @property
    def operations(self) -> list[str]:
        return [record.operation for record in self.simulator.stats().requests]

    @property
    def billed(self) -> int:
        return sum(record.billed.total for record in self.simulator.stats().requests)

    @property
    def entries(self) -> list[UsageEntry]:
        return self._ledger.entries

    @property
    def entry(self) -> UsageEntry:
        [entry] = self.entries
        return entry


@pytest.fixture
def talk(simulator: Simulator) -> Talk:
    return Talk(simulator)


HISTORIES: dict[str, tuple[dict[str, Any], str]] = {
    "openai.chat": (
        {
            "model": "it",
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
        },
        "messages[].role",
    ),
    "openai.responses": (
        {
            "model": "it",
            "input": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
        },
        "input[].role",
    ),
    "anthropic.messages": (
        {
            "model": "it",
            "max_tokens": 500,
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
        },
        "messages[].role",
    ),
    "gemini": (
        {
            "contents": [
                {"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"text": "b"}]},
                {"role": "user", "parts": [{"text": "c"}]},
            ],
        },
        "contents[].role",
    ),
}


@pytest.mark.parametrize("dialect", HISTORIES)
async def test_a_history_told_as_a_transcript_is_named_in_the_clients_words(talk: Talk, dialect: str) -> None:
    body, path = HISTORIES[dialect]
    await talk.ask(LLAMA, dialect=dialect, body=body)
    assert talk.status == 200, talk.told
    assert talk.headers["x-pulse-dropped"] == path
    assert "User: a Assistant: b User: c Assistant:" in talk.told.decode()
    assert (talk.entry.source, talk.entry.tokens) == (UsageSource.PROVIDER, talk.billed)


@pytest.mark.parametrize(
    "fault", ["cut=3", "cut=0", "drop=2", "status=500", "status=504", "status=404", "html", "content-type=text%2Fplain"]
)
async def test_a_stream_that_breaks_off_is_completed_from_the_prediction(talk: Talk, fault: str) -> None:
    whole = (await Talk(talk.simulator).ask(LLAMA)).text
    await talk.ask(f"{LLAMA}+at=stream,{fault}", stream=True)
    assert talk.told.endswith(b"data: [DONE]\n\n"), talk.told
    assert talk.text == whole
    assert (talk.entry.outcome, talk.entry.source) == (Outcome.COMPLETED, UsageSource.PROVIDER)
    assert {"stream", "poll"} <= set(talk.operations)
    assert "cancel" not in talk.operations


async def test_one_that_is_silent_before_its_first_word_is_asked_for_again(talk: Talk) -> None:
    await talk.ask(f"{LLAMA}+at=stream,stall=0,first=1", stream=True, timeouts=Timeouts(idle_s=0.1))
    assert talk.told.endswith(b"data: [DONE]\n\n")
    assert talk.operations == ["create", "stream", "stream", "poll"]


async def test_and_of_one_that_falls_silent_later_the_rest_is_in_the_prediction(talk: Talk) -> None:
    await talk.ask(f"{LLAMA}+at=stream,stall=3", stream=True, timeouts=Timeouts(idle_s=0.1))
    assert talk.told.endswith(b"data: [DONE]\n\n")
    assert talk.operations == ["create", "stream", "poll"]


async def test_one_that_was_damaged_on_its_way_is_no_answer(talk: Talk) -> None:
    await talk.ask(f"{LLAMA}+at=stream,malformed=2", stream=True)
    assert "upstream_bad_response" in talk.told.decode()
    assert talk.entry.outcome is Outcome.INTERRUPTED


async def test_without_its_counts_an_answer_is_whole_and_estimated(talk: Talk) -> None:
    await talk.ask(f"{LLAMA}+no-usage", stream=True)
    assert talk.told.endswith(b"data: [DONE]\n\n")
    assert talk.entry.source is UsageSource.ESTIMATED
    assert talk.entry.usage.output_tokens


async def test_and_so_is_one_whose_prediction_cannot_be_looked_at(talk: Talk) -> None:
    await talk.ask(f"{LLAMA}+at=poll,status=500", stream=True)
    assert talk.told.endswith(b"data: [DONE]\n\n")
    assert (talk.entry.outcome, talk.entry.source) == (Outcome.COMPLETED, UsageSource.ESTIMATED)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("refusal", 400, "content_blocked"),
        ("fail=shape mismatch", 502, "upstream_error"),
        ("finish=aborted", 502, "upstream_error"),
        ("status=402", 503, "upstream_quota_exhausted"),
        ("status=429", 429, "upstream_rate_limited"),
        ("malformed=1", 502, "upstream_bad_response"),
    ],
)
async def test_what_fails_before_a_word_is_an_error_as_any(
    talk: Talk, stream: bool, fault: str, status: int, code: str
) -> None:
    await talk.ask(f"{LLAMA}+{fault.replace(' ', '%20')}", stream=stream)
    assert (talk.status, code in talk.told.decode()) == (status, True), talk.told


@pytest.mark.parametrize("stream", [False, True])
async def test_what_never_ran_costs_nothing(talk: Talk, stream: bool) -> None:
    await talk.ask(f"{LLAMA}+finish=aborted", stream=stream)
    assert (talk.entry.tokens, talk.entry.source) == (0, UsageSource.NONE)


@pytest.mark.parametrize("stream", [False, True])
async def test_another_deployment_answers_where_a_prediction_failed(talk: Talk, stream: bool) -> None:
    await talk.ask(f"{LLAMA}+finish=failed", LLAMA, stream=stream, attempts=2)
    assert talk.status == 200
    assert "Tell me a story" in talk.text
    assert [entry.outcome for entry in talk.entries] == [Outcome.FAILED, Outcome.COMPLETED]


async def test_a_look_that_fails_does_not_begin_another_prediction(talk: Talk) -> None:
    await talk.ask(f"{LLAMA}+polls=1,at=poll,status=503,first=1")
    assert talk.status == 200
    assert talk.operations == ["create", "poll", "poll", "poll"]


async def test_a_client_that_leaves_a_stream_stops_the_prediction(talk: Talk) -> None:
    await talk.ask(f"{LLAMA}+chunk-delay=0.01,at=stream", stream=True, leave_after=1)
    assert talk.operations == ["create", "stream", "cancel"]
    assert (talk.entry.outcome, talk.entry.source) == (Outcome.CANCELLED, UsageSource.ESTIMATED)
    assert talk.entry.tokens > 0


async def test_a_client_that_does_not_wait_for_an_answer_stops_it_too(talk: Talk) -> None:
    with pytest.raises(ClientLeft):
        await talk.ask(f"{LLAMA}+polls=99", left=lambda: True)
    assert talk.operations == ["create", "cancel"]
    assert talk.entry.outcome is Outcome.CLIENT_GONE


@pytest.mark.parametrize("stream", [False, True])
async def test_a_deadline_stops_it(talk: Talk, stream: bool) -> None:
    spec = "at=stream,delay=5" if stream else "polls=99"
    await talk.ask(f"{LLAMA}+{spec}", stream=stream, timeout_s=0.4)
    assert talk.status == 504
    assert talk.operations[-1] == "cancel"
    assert talk.entry.source is UsageSource.ESTIMATED
