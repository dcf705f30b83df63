"""What an answer is said to have used, in every way in which vendors tell it or do not: in the last frame alone, in each frame again,
zero, nothing at all. And nothing where nothing was answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound, UsageSource
from pulse_gateway.config import LimitsConfig, PlanConfig, ProviderConfig, RetriesConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.testing import FakeClock
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import Headers, HttpRequest, Timeouts
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.token_estimate import estimate_output_tokens, estimate_prompt_tokens

PROMPT = "قل مرحبا بالعربية"
WORDS = ("أهلا ", "وسهلا ", "بكم ", "في القاهرة")
TEXT = "".join(WORDS)
MODELS = {"openai": "openai:m", "anthropic": "anthropic:m", "google": "google:m"}
CLIENTS = ("openai.chat", "anthropic.messages", "gemini")
KEYED = Usage(input_tokens=11, output_tokens=7)


def sse(*frames: dict[str, Any], names: bool = False) -> list[bytes]:
    return [
        (f"event: {each['type']}\n".encode() if names else b"") + b"data: " + msgspec.json.encode(each) + b"\n\n"
        for each in frames
    ]


def openai(usages: Sequence[dict[str, int] | None], last: dict[str, int] | None) -> list[bytes]:
    """`usages`: in the frame of each word; `last`: in a frame of its own."""
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    frames = [
        {**head, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}], "usage": usage}
        for word, usage in zip(WORDS, usages, strict=True)
    ]
    frames.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usages[-1]})
    if last is not None:
        frames.append({**head, "choices": [], "usage": last})
    return [*sse(*frames), b"data: [DONE]\n\n"]


def anthropic(first: dict[str, int] | None, deltas: Sequence[dict[str, int] | None]) -> list[bytes]:
    """`first`: with the message's start; `deltas`: with each word and with its end, cumulative as the vendor says."""
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
    start: dict[str, Any] = {**message, **({} if first is None else {"usage": first})}
    frames: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS),
        {"type": "content_block_stop", "index": 0},
    ]
    for number, usage in enumerate(deltas, 1):
        reason = "end_turn" if number == len(deltas) else None
        told = {} if usage is None else {"usage": usage}
        frames.append({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, **told})
    return sse(*frames, {"type": "message_stop"}, names=True)


def google(usages: Sequence[dict[str, int] | None]) -> list[bytes]:
    frames: list[dict[str, Any]] = []
    for number, (word, usage) in enumerate(zip(WORDS, usages, strict=True), 1):
        candidate: dict[str, Any] = {"content": {"parts": [{"text": word}], "role": "model"}, "index": 0}
        if number == len(WORDS):
            candidate["finishReason"] = "STOP"
        frames.append(
            {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}
            | ({} if usage is None else {"usageMetadata": usage})
        )
    return sse(*frames)


def chat(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def metadata(prompt: int, candidates: int) -> dict[str, int]:
    return {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": prompt + candidates}


NONE = [None] * len(WORDS)
TOLD: dict[str, tuple[str, list[bytes], Usage]] = {
    "openai, in the last frame": ("openai", openai(NONE, chat(11, 7)), KEYED),
    "openai, in every frame, cumulative": (
        "openai",
        openai([chat(11, count) for count in (1, 3, 5, 7)], chat(11, 7)),
        KEYED,
    ),
    "openai, in every frame and none of its own": (
        "openai",
        openai([chat(11, count) for count in (1, 3, 5, 7)], None),
        KEYED,
    ),
    "openai, zero": ("openai", openai(NONE, chat(0, 0)), Usage(input_tokens=0, output_tokens=0)),
    "anthropic, first and last": (
        "anthropic",
        anthropic({"input_tokens": 11, "output_tokens": 1}, [{"output_tokens": 7}]),
        KEYED,
    ),
    "anthropic, several times, cumulative": (
        "anthropic",
        anthropic(
            {"input_tokens": 11, "output_tokens": 1},
            [{"input_tokens": 11, "output_tokens": count} for count in (2, 5, 7)],
        ),
        KEYED,
    ),
    "anthropic, zero": (
        "anthropic",
        anthropic({"input_tokens": 0, "output_tokens": 0}, [{"output_tokens": 0}]),
        Usage(input_tokens=0, output_tokens=0),
    ),
    "google, in the last frame": ("google", google([None, None, None, metadata(11, 7)]), KEYED),
    "google, in every frame, cumulative": ("google", google([metadata(11, count) for count in (1, 3, 5, 7)]), KEYED),
    "google, zero": ("google", google([None, None, None, metadata(0, 0)]), Usage(input_tokens=0, output_tokens=0)),
}
UNTOLD: dict[str, tuple[str, list[bytes]]] = {
    "openai": ("openai", openai(NONE, None)),
    "anthropic": ("anthropic", anthropic(None, [None])),
    "google": ("google", google(NONE)),
}


class Answer:
    status = 200
    headers: Headers = (("content-type", "text/event-stream"),)

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def read_now(self) -> bytes | None:
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def aclose(self) -> None: ...


class Vendor:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> Answer:
        return Answer(self._pieces)

    async def aclose(self) -> None: ...


def inbound(gateway: Gateway, client: str, model: str, *, stream: bool) -> Inbound:
    principal = gateway.principal("u")
    if client == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
        encoded = msgspec.json.encode(body)
        return Inbound(dialect=client, body=encoded, model=model, stream=stream, principal=principal)
    asked: dict[str, Any] = {"model": model, "stream": stream, "messages": [{"role": "user", "content": PROMPT}]}
    if client == "anthropic.messages":
        asked["max_tokens"] = 100
    return Inbound(dialect=client, body=msgspec.json.encode(asked), principal=principal)


async def used(vendor: str, pieces: list[bytes], client: str) -> tuple[Usage, int, UsageSource]:
    """What is recorded of a stream, once it was read to its end."""
    ledger, limiter = MemoryLedger(), MemoryLimiter(FakeClock())
    config = Config(
        providers={vendor: ProviderConfig(key="k", base_url=f"http://{vendor}.example")},
        limits=LimitsConfig(requests="off"),
    )
    async with Gateway(config, transport=Vendor(pieces), ledger=ledger, limiter=limiter, observers=()) as gateway:
        async with await gateway.handle(inbound(gateway, client, MODELS[vendor], stream=True)) as reply:
            async for _ in reply:
                pass
        assert reply.status == 200
        (tokens,) = [each for each in await gateway.usage(gateway.principal("u")) if each.kind == "tokens"]
    (entry,) = ledger.entries
    assert (tokens.used, tokens.reserved) == (entry.tokens, 0)
    return entry.usage, entry.tokens, entry.source


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", TOLD)
async def test_what_the_vendor_says_is_taken_once_and_as_it_is(case: str, client: str) -> None:
    vendor, pieces, expected = TOLD[case]
    usage, tokens, source = await used(vendor, pieces, client)
    assert (usage.input_total, usage.output_total) == (expected.input_total, expected.output_total)
    assert usage.output_tokens is not None  # zero is said, and not unknown
    assert tokens == expected.total
    assert source is UsageSource.PROVIDER


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("vendor", UNTOLD)
async def test_where_it_says_nothing_the_estimate_of_both_is_charged_and_flagged(vendor: str, client: str) -> None:
    usage, tokens, source = await used(*UNTOLD[vendor], client)
    assert source is UsageSource.ESTIMATED
    assert tokens == usage.total == estimate_prompt_tokens([PROMPT]) + estimate_output_tokens(TEXT)


# ── no answer, no charge ──────────────────────────────────────────────────────────────────────────────────────────────

FAILURES = {
    "refused": "status=400",
    "refused for its content": "status=400,code=content_policy_violation",
    "refused credentials": "status=401",
    "out of money": "status=429,code=insufficient_quota",
    "overloaded": "status=503",
    "failed": "status=500",
    "silent": "delay=30",
    "no answer": "html",
    "an error in place of a stream": "error=0",
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", FAILURES)
async def test_where_no_answer_begins_nothing_is_charged_but_what_was_accepted_and_nothing_stays_held(
    fault: str, stream: bool
) -> None:
    if fault == "an error in place of a stream" and not stream:
        fault = "failed"
    ledger = MemoryLedger()
    async with Simulator(seed=0) as simulator:
        config = Config(
            providers={
                "openai": ProviderConfig(
                    key="x", base_url=f"{simulator.url}/v1", timeouts=Timeouts(first_byte_s=0.2, idle_s=0.2)
                )
            },
            retries=RetriesConfig(attempts=2, base_s=0.01, max_wait_s=0.02),
            plans={"some": PlanConfig(tokens=1_000_000)},
            default_plan="some",
        )
        async with Gateway(config, ledger=ledger, observers=()) as gateway:
            reply = await gateway.handle(
                inbound(gateway, "openai.chat", f"openai:gpt-5.2+{FAILURES[fault]}", stream=stream)
            )
            assert reply.status >= 400
            (held,) = [each for each in await gateway.usage(gateway.principal("u")) if each.kind == "tokens"]
    assert held.reserved == 0  # at the moment at which the answer is there
    assert ledger.entries
    assert held.used == sum(entry.tokens for entry in ledger.entries)
    for entry in ledger.entries:
        if fault == "an error in place of a stream":  # it was accepted, so that its prompt is owed
            assert (entry.tokens, entry.source) == (estimate_prompt_tokens([PROMPT]), UsageSource.ESTIMATED)
        else:
            assert (entry.tokens, entry.cost_nano_usd, entry.source) == (0, 0, UsageSource.NONE)
