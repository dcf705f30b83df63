"""Every vendor that copied OpenAI's chat, in every dialect of a client's, whole and streamed: answers, calls, usage and errors."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound, Outcome
from pulse_gateway.catalog.settings import ModelConfig
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import ProviderConfig, RetriesConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.events import (
    Ended,
    Failed,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
)
from pulse_gateway.wire.registry import DIALECTS, codec
from pulse_gateway.wire.sse import SSEDecoder

# Models that reason, where the vendor has some.
VENDORS = {
    "groq": "qwen/qwen3.8-27b",
    "mistral": "magistral-medium",
    "deepseek": "deepseek-reasoner",
    "xai": "grok-4.7",
    "together": "deepseek-ai/DeepSeek-R1",
    "fireworks": "accounts/fireworks/models/qwen3",
    "cerebras": "gpt-oss-120b",
    "openrouter": "openai/gpt-5.2",
    "perplexity": "sonar-reasoning-pro",
    "ollama": "qwen3",
    "vllm": "Qwen/Qwen3-32B",
    "lmstudio": "qwen3-8b",
    "plain": "plain-1",
    "oddities": "think",
}
REASONS = set(VENDORS) - {"plain"}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
NAMES = ("look_up", "forecast")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
async def gateway(simulator: Simulator, ledger: MemoryLedger) -> AsyncIterator[Gateway]:
    providers = {
        name: ProviderConfig(
            kind="openai_compatible" if name in ("plain", "oddities") else name,
            key="x",
            base_url=f"{simulator.url}/as/{name}/v1",
        )
        for name in VENDORS
    }
    limiter = MemoryLimiter(SystemClock())
    still = {
        "deepseek:deepseek-reasoner": ModelConfig(shutdown="9999-12-31")
    }  # gone, and here the one that always reasons
    config = Config(providers=providers, catalog=still, retries=RetriesConfig(attempts=1))
    async with Gateway(config, ledger=ledger, limiter=limiter, observers=()) as opened:
        yield opened
    assert limiter.outstanding == 0


class Read:
    """What a client reads. `calls` are id, name and arguments; `error` is the body of an error, or the data of an error event."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        self.text = self.reasoning = ""
        self.calls: list[list[str]] = []
        self.finish: str | None = None
        self.error: Any = None


USERS = itertools.count()


async def ask(gateway: Gateway, dialect: str, model: str, body: dict[str, Any], *, stream: bool) -> Read:
    in_path = dialect == "gemini"
    if not in_path:
        body = {"model": model, "stream": stream, **body}
    inbound = Inbound(
        dialect=dialect,
        body=msgspec.json.encode(body),
        model=model if in_path else None,
        stream=stream if in_path else None,
        principal=gateway.principal(f"user-{next(USERS)}"),
    )
    reply = await gateway.handle(inbound)
    read = Read(reply.status, dict(reply.headers))
    if reply.stream is not None:
        async with reply:
            _streamed(read, dialect, b"".join([item async for item in reply]))
    elif reply.status != 200:
        read.error = json.loads(reply.body)
    else:
        said = codec(dialect).decode_reply(reply.body)
        read.text, read.reasoning = said.text, said.reasoning
        read.calls = [[call.id, call.name, call.arguments] for call in said.tool_calls]
        read.finish = said.finish_reason.value if said.finish_reason else None
    return read


def _streamed(read: Read, dialect: str, stream: bytes) -> None:
    frames, decoder = SSEDecoder(), codec(dialect).decoder()
    events: list[Any] = []
    for frame in [*frames.feed(stream), *frames.finish()]:
        if (told := decoder.decode(frame)) and isinstance(told[-1], Failed):
            read.error = json.loads(frame.data)
        events += told
    events += decoder.finish()
    for event in events:
        match event:
            case TextDelta(text):
                read.text += text
            case ReasoningDelta(text):
                read.reasoning += text
            case ToolCallStarted(_, call_id, name):
                read.calls.append([call_id, name, ""])
            case ToolArgumentsDelta(index, fragment):
                read.calls[index][2] += fragment
            case Finished(reason):
                read.finish = reason.value
    assert read.error is not None or isinstance(events[-1], Ended)


# ── a conversation, in each dialect's words ───────────────────────────────────────────────────────────────────────────

Turn = tuple[str, list[list[str]], list[str]]
"""What was thought, the calls, and what the tools said."""


def openai(turns: list[Turn], tools: tuple[str, ...]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello"}]
    for thought, calls, results in turns:
        told = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in calls]
        message = {"role": "assistant", "content": None, "tool_calls": told}
        messages.append(message | ({"reasoning_content": thought} if thought else {}))
        messages += [
            {"role": "tool", "tool_call_id": call[0], "content": said}
            for call, said in zip(calls, results, strict=True)
        ]
    body: dict[str, Any] = {"messages": messages, "max_tokens": 400}
    if tools:
        body["tools"] = [{"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in tools]
    return body


def anthropic(turns: list[Turn], tools: tuple[str, ...]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
    for thought, calls, results in turns:
        thinking = [{"type": "thinking", "thinking": thought, "signature": ""}] if thought else []
        told = [{"type": "tool_use", "id": i, "name": n, "input": json.loads(a)} for i, n, a in calls]
        messages.append({"role": "assistant", "content": [*thinking, *told]})
        answers = [
            {"type": "tool_result", "tool_use_id": call[0], "content": said}
            for call, said in zip(calls, results, strict=True)
        ]
        messages.append({"role": "user", "content": answers})
    body: dict[str, Any] = {"system": "Be brief", "messages": messages, "max_tokens": 400}
    if tools:
        body["tools"] = [{"name": n, "input_schema": SCHEMA, "strict": False} for n in tools]
    return body


def gemini(turns: list[Turn], tools: tuple[str, ...]) -> dict[str, Any]:
    contents: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": "Hello"}]}]
    for thought, calls, results in turns:
        thinking: list[dict[str, Any]] = [{"text": thought, "thought": True}] if thought else []
        told = [{"functionCall": {"id": i, "name": n, "args": json.loads(a)}} for i, n, a in calls]
        contents.append({"role": "model", "parts": [*thinking, *told]})
        answers = [
            {"functionResponse": {"id": call[0], "name": call[1], "response": {"output": said}}}
            for call, said in zip(calls, results, strict=True)
        ]
        contents.append({"role": "user", "parts": answers})
    body: dict[str, Any] = {
        "systemInstruction": {"parts": [{"text": "Be brief"}]},
        "contents": contents,
        "generationConfig": {"maxOutputTokens": 400},
    }
    if tools:
        body["tools"] = [{"functionDeclarations": [{"name": n, "parametersJsonSchema": SCHEMA} for n in tools]}]
    return body


def responses(turns: list[Turn], tools: tuple[str, ...]) -> dict[str, Any]:
    items: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
    for thought, calls, results in turns:
        if thought:
            items.append({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": thought}]})
        items += [{"type": "function_call", "call_id": i, "name": n, "arguments": a} for i, n, a in calls]
        items += [
            {"type": "function_call_output", "call_id": call[0], "output": said}
            for call, said in zip(calls, results, strict=True)
        ]
    body: dict[str, Any] = {"instructions": "Be brief", "input": items, "max_output_tokens": 400, "store": False}
    if tools:
        body["tools"] = [{"type": "function", "name": n, "parameters": SCHEMA, "strict": False} for n in tools]
    return body


WRITERS = {"openai.chat": openai, "openai.responses": responses, "anthropic.messages": anthropic, "gemini": gemini}
BEGUN: list[Turn] = [
    ("hm", [["call_0123456789abc", "look_up", '{"city":"Doha"}'], ["call:2", "look_up", '{"city":"Cairo"}']], ["a", "b"])
]  # fmt: skip


SPEAK_RESPONSES = frozenset({"groq", "xai", "fireworks", "openrouter", "ollama", "vllm", "lmstudio"})


def begun_elsewhere(dialect: str, vendor: str) -> list[Turn]:
    """A history that another vendor began. Where what was thought is passed on as it is, whoever sends it answers for it."""
    unknown = dialect == "openai.chat" and vendor in ("plain", "oddities")
    passed_on = unknown or (dialect == "openai.responses" and vendor in SPEAK_RESPONSES)
    return [("" if passed_on else thought, calls, results) for thought, calls, results in BEGUN]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_every_client_reads_the_same_answer_and_is_charged_what_the_vendor_counted(
    gateway: Gateway, simulator: Simulator, ledger: MemoryLedger, vendor: str
) -> None:
    model = f"{vendor}:{VENDORS[vendor]}"
    answers: dict[str, set[tuple[Any, ...]]] = {"chat": set(), "responses": set()}  # by what the vendor was asked in
    for dialect, write in WRITERS.items():
        asked_in = "responses" if dialect == "openai.responses" and vendor in SPEAK_RESPONSES else "chat"
        for stream in (False, True):
            read = await ask(gateway, dialect, model, write([], ()), stream=stream)
            assert (read.status, read.error) == (200, None), (dialect, stream, read.error)
            assert read.finish == "stop"
            usage = ledger.entries[-1].usage
            counted = (usage.input_total, usage.output_tokens, usage.reasoning_tokens or 0)
            answers[asked_in].add((read.text, read.reasoning, counted))
    assert len(answers["chat"]) == 1
    assert len(answers["responses"]) == (vendor in SPEAK_RESPONSES)
    ((_, thought, _),) = answers["chat"]
    assert bool(thought) == (vendor in REASONS)
    assert {entry.outcome for entry in ledger.entries} == {Outcome.COMPLETED}
    assert {entry.source.value for entry in ledger.entries} == {"provider"}
    (billed,) = [each.billed for each in simulator.stats().providers.values()]
    assert billed.total == sum(entry.tokens for entry in ledger.entries)


@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if vendor != "perplexity"])
async def test_calls_come_and_go_under_their_ids_whoever_began_the_conversation(gateway: Gateway, vendor: str) -> None:
    model = f"{vendor}:{VENDORS[vendor]}"
    for dialect, write in WRITERS.items():
        for stream in (False, True):
            begun = begun_elsewhere(dialect, vendor)
            first = await ask(gateway, dialect, model, write(begun, ()), stream=stream)
            assert (first.status, first.error) == (200, None), (dialect, stream, first.error)
            assert "[result:look_up a]" in first.text
            assert "[result:look_up b]" in first.text
            called = await ask(gateway, dialect, model, write([], NAMES), stream=stream)
            assert (called.status, called.error, called.finish) == (200, None, "tool_calls"), (dialect, called.error)
            assert [name for _, name, _ in called.calls] == list(NAMES)
            assert all(set(json.loads(arguments)) == {"city"} for _, _, arguments in called.calls)
            thought = "" if begun[0][0] == "" else called.reasoning
            turns: list[Turn] = [*begun, (thought, called.calls, ["sunny", "rain"])]
            answered = await ask(gateway, dialect, model, write(turns, NAMES), stream=stream)
            assert (answered.status, answered.error) == (200, None), (dialect, stream, answered.error)
            assert "[result:look_up sunny]" in answered.text
            assert "[result:forecast rain]" in answered.text


async def test_a_vendor_without_tools_refuses_them_by_name(gateway: Gateway) -> None:
    read = await ask(gateway, "anthropic.messages", "perplexity:sonar", anthropic([], NAMES), stream=False)
    assert (read.status, read.error["error"]["details"]["param"]) == (400, "tools")


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses"])
async def test_a_wish_that_a_vendor_would_pass_over_is_refused_within_its_dialect(
    gateway: Gateway, ledger: MemoryLedger, dialect: str
) -> None:
    for wish in ({"tool_choice": "none"}, {"parallel_tool_calls": False}):
        read = await ask(gateway, dialect, "ollama:qwen3", WRITERS[dialect]([], NAMES) | wish, stream=False)
        (param,) = wish
        assert (read.status, read.error["error"]["code"]) == (400, "unsupported_parameter")
        assert read.error["error"]["param"] == param
    assert not any(entry.tokens for entry in ledger.entries)


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────────

# What goes wrong at the vendor → our status and code, whether to come again, and after how long.
ERRORS = {
    "status=400": (400, "upstream_rejected", None, None),
    "status=401": (502, "upstream_unauthorized", None, None),
    "status=402": (503, "upstream_quota_exhausted", "false", None),
    "status=404": (404, "model_not_found", None, None),
    "status=413": (413, "request_too_large", None, None),
    "status=422": (400, "upstream_rejected", None, None),
    "status=429,retry-after=7": (429, "upstream_rate_limited", None, "7"),
    "status=429,retry-after-ms=6500": (429, "upstream_rate_limited", None, "7"),
    "status=500": (502, "upstream_error", None, None),
    "status=503,retry-after=3": (503, "upstream_overloaded", None, "3"),
    "html": (502, "upstream_error", None, None),
    "html,status=404": (502, "upstream_bad_response", None, None),
}


def code_of(dialect: str, error: Any) -> str:
    if dialect == "gemini":
        return str(error["error"]["details"][0]["reason"]).lower()
    return str(error["error"]["details"]["error_code"] if dialect == "anthropic.messages" else error["error"]["code"])


@pytest.mark.parametrize("vendor", VENDORS)
async def test_errors_have_the_same_status_code_and_advice_for_every_client(gateway: Gateway, vendor: str) -> None:
    for place, (fault, (status, code, again, after)) in enumerate(ERRORS.items()):
        dialect = list(WRITERS)[place % len(WRITERS)]
        for stream in (False, True):
            model = f"{vendor}:{VENDORS[vendor]}+{fault}"
            read = await ask(gateway, dialect, model, WRITERS[dialect]([], ()), stream=stream)
            told = (read.status, code_of(dialect, read.error), read.headers.get("x-should-retry"))
            assert told == (status, code, again), (fault, dialect)
            assert read.headers.get("retry-after") == after, (fault, dialect)


@pytest.mark.parametrize(
    ("dialect", "wish", "param"),
    [("openai.chat", {"store": True}, "store"), ("openai.chat", {"seed": "odd"}, "seed")],
)
async def test_what_a_vendor_names_is_named_to_the_client(
    gateway: Gateway, dialect: str, wish: dict[str, Any], param: str
) -> None:
    read = await ask(gateway, dialect, "mistral:mistral-small", WRITERS[dialect]([], ()) | wish, stream=False)
    error = read.error["error"]
    assert (read.status, error["param"]) == (400, param), error


@pytest.mark.parametrize("vendor", VENDORS)
async def test_an_answer_that_goes_wrong_is_never_taken_for_a_whole_one(
    gateway: Gateway, ledger: MemoryLedger, vendor: str
) -> None:
    """Within a dialect the vendor's own error event goes through; across dialects it is the client's."""
    for fault, codes in {
        "error=3": {"upstream_error"},
        "cut=3": {"upstream_interrupted"},
        "malformed=2": {"upstream_bad_response"},
    }.items():
        for dialect in DIALECTS:
            model = f"{vendor}:{VENDORS[vendor]}+{fault}"
            read = await ask(gateway, dialect, model, WRITERS[dialect]([], ()), stream=True)
            assert read.error is not None, (fault, dialect)
            if dialect in ("anthropic.messages", "gemini"):
                assert code_of(dialect, read.error) in codes, (fault, dialect)
            assert read.finish is None, (fault, dialect)
            assert ledger.entries[-1].outcome in (Outcome.INTERRUPTED, Outcome.FAILED)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_what_vendors_leave_out_is_made_up_for(gateway: Gateway, ledger: MemoryLedger, vendor: str) -> None:
    for fault, source, finish in (
        ("no-usage", "estimated", "stop"),
        ("no-done", "provider", "stop"),
        ("finish=content_filter", "provider", "content_filter"),
        ("refusal", "provider", None),
    ):
        model = f"{vendor}:{VENDORS[vendor]}+{fault}"
        for dialect in ("openai.chat", "anthropic.messages"):
            read = await ask(gateway, dialect, model, WRITERS[dialect]([], ()), stream=True)
            assert (read.status, read.error) == (200, None), (fault, dialect)
            assert finish in (read.finish, None), (fault, dialect)
            assert ledger.entries[-1].source.value == source, (fault, dialect)
