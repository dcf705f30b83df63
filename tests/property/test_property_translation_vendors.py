"""What is said again in another dialect, its vendor takes: by a strict simulator of it, and by the types of its own SDK."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pydantic
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from google.genai import types as genai
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from translation_bodies import BODIES
from translation_harness import PAIRS, deployment, sent
from translation_reading import events_of, expected, of_events, of_reply, translated

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.errors import InvalidRequest
from pulse_gateway.pipeline.prepare import Prepared
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.wire.registry import codec

# Of each vendor some models that differ in what they take. Those that reason unless told otherwise take no sampling, which
# nobody but they themselves can know.
MODELS = {
    "openai.chat": [("openai", name) for name in ("gpt-4.1", "gpt-5-mini", "gpt-5.2", "gpt-5.4")],
    "openai.responses": [("openai", name) for name in ("gpt-4.1", "gpt-5-mini", "gpt-5.4", "gpt-6-astra")],
    "anthropic.messages": [
        ("anthropic", name)
        for name in ("claude-haiku-4-5", "claude-opus-4-5", "claude-sonnet-4-6", "claude-opus-4-8", "claude-opus-5-5")
    ],
    "gemini": [
        ("google", name) for name in ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.8-flash", "gemini-4-argon")
    ],
}
CATALOG = Catalog.load()


class Vendors:
    """The simulator, on a thread of its own; answers come over one connection."""

    def __init__(self, simulator: Simulator) -> None:
        self.url = simulator.url
        self._connection = http.client.HTTPConnection(simulator.host, simulator.port, timeout=30)

    def answer(self, prepared: Prepared) -> tuple[int, bytes]:
        request = prepared.request
        path = request.url.removeprefix(self.url)
        self._connection.request(request.method, path, request.body, dict(request.headers))
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    simulator = Simulator(seed=3)
    asyncio.run_coroutine_threadsafe(simulator.start(), loop).result(30)
    reached = Vendors(simulator)
    yield reached
    reached.close()
    asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=30)
def test_the_vendor_takes_it_and_its_answer_reads_the_same(
    vendors: Vendors, client: str, upstream: str, data: st.DataObject
) -> None:
    body = data.draw(BODIES[client](anything=data.draw(st.booleans())))
    base_url = f"{vendors.url}/v1" if upstream.startswith("openai.") else vendors.url
    to = deployment(upstream, CATALOG.model(*data.draw(st.sampled_from(MODELS[upstream]))), base_url)
    stream = data.draw(st.booleans()) if client == "gemini" else bool(body.get("stream"))
    try:
        prepared = sent(client, body, to, stream=stream)
    except InvalidRequest:
        assume(False)
    status, answer = vendors.answer(prepared)
    assert status == 200, answer.decode()
    event("streamed" if stream else "whole")
    if stream:
        there = of_events(events_of(upstream, answer))
        here = of_events(events_of(client, translated(upstream, client, [answer])))
    else:
        reply = codec(upstream).decode_reply(answer)
        there = of_reply(reply)
        here = of_reply(codec(client).decode_reply(codec(client).encode_reply(reply)))
    assume(not there.cut)  # half a call is left out in dialects that carry objects; tests of the codecs look at that
    assert here.summary == expected(client, there)


# ── the SDKs' own types of a request ──────────────────────────────────────────────────────────────────────────────────

CHAT = {
    False: pydantic.TypeAdapter(CompletionCreateParamsNonStreaming),
    True: pydantic.TypeAdapter(CompletionCreateParamsStreaming),
}
RESPONSES = {
    False: pydantic.TypeAdapter(ResponseCreateParamsNonStreaming),
    True: pydantic.TypeAdapter(ResponseCreateParamsStreaming),
}
ANTHROPIC = {
    False: pydantic.TypeAdapter(MessageCreateParamsNonStreaming),
    True: pydantic.TypeAdapter(MessageCreateParamsStreaming),
}
ADAPTERS = {"openai.chat": CHAT, "openai.responses": RESPONSES, "anthropic.messages": ANTHROPIC}


class GeminiRequest(pydantic.BaseModel, extra="forbid", alias_generator=pydantic.alias_generators.to_camel):
    """The body of the call, of the types that the SDK has for its members."""

    contents: list[genai.Content]
    system_instruction: genai.Content | None = None
    tools: list[genai.Tool] | None = None
    tool_config: genai.ToolConfig | None = None
    generation_config: genai.GenerationConfig | None = None


def as_typed(dialect: str, body: dict[str, Any]) -> Any:
    """`body` as the SDK's types know it: members that they do not have are gone.

    Raises: pydantic.ValidationError.
    """
    if dialect == "gemini":
        GeminiRequest.model_validate(body)  # refuses what it does not know, here and in everything inside
        return body
    return _exhausted(ADAPTERS[dialect][bool(body.get("stream"))].validate_python(body))


def _exhausted(value: Any) -> Any:
    """Lists are declared as iterables there, which are validated while they are read."""
    if isinstance(value, dict):
        return {name: _exhausted(member) for name, member in value.items()}
    return value if value is None or isinstance(value, str | int | float) else [_exhausted(item) for item in value]


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=30)
def test_the_vendors_own_sdk_could_have_sent_it(client: str, upstream: str, data: st.DataObject) -> None:
    body = data.draw(BODIES[client](anything=data.draw(st.booleans())))
    try:
        prepared = sent(client, body, deployment(upstream))
    except InvalidRequest:
        assume(False)
    written = msgspec.json.decode(prepared.request.body)
    if upstream == "anthropic.messages":  # sampling is of an older version of the API than this SDK speaks
        written = {name: value for name, value in written.items() if name not in ("temperature", "top_p", "top_k")}
    assert as_typed(upstream, written) == written
