"""Azure, Vertex and Bedrock through the gateway, against their simulators, which check every signature and token."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import AliasConfig, FetchConfig, ProviderConfig, RetriesConfig
from pulse_gateway.errors import (
    InvalidRequest,
    PulseError,
    RequestTooLarge,
    StreamInterrupted,
    UnsupportedParameter,
    UpstreamRateLimited,
    UpstreamRefusedContent,
    UpstreamUnauthorized,
)
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.chat import FinishReason
from pulse_gateway.types.identity import Principal
from pulse_gateway.types.usage import Outcome, UsageSource

CLAUDE = "bedrock:eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
MODELS = [
    "azure:gpt-5.2",
    "azure-dated:gpt-4.1",
    "vertex:gemini-3.8-flash",
    CLAUDE,
    "bedrock-key:openai.gpt-oss-120b-1:0",
]
HELLO = [{"role": "user", "content": "قل مرحبا بالعربية"}]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 60
ORDINARY = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def account_key() -> str:
    key = generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


def providers(url: str, account_key: str) -> dict[str, ProviderConfig]:
    account = {
        "type": "service_account",
        "client_email": "gateway@p.iam.gserviceaccount.com",
        "private_key": account_key,
        "token_uri": f"{url}/token",
    }
    return {
        "azure": ProviderConfig(key="k", base_url=url),
        "azure-dated": ProviderConfig(kind="azure", key="k", base_url=f"{url}?api-version=2024-10-21"),
        "vertex": ProviderConfig(key=json.dumps(account, indent=1), base_url=f"{url}/v1/projects/p/locations/global"),
        "bedrock": ProviderConfig(key="AKIASIMULATOR:simulator-secret", base_url=f"{url}?region=eu-west-1"),
        "bedrock-key": ProviderConfig(kind="bedrock", key="bearer", base_url=f"{url}?region=eu-west-1"),
        "bedrock-forged": ProviderConfig(
            kind="bedrock", key="AKIASIMULATOR:guessed", base_url=f"{url}?region=eu-west-1"
        ),
        "openai": ProviderConfig(key="k", base_url=f"{url}/v1"),
    }


@pytest.fixture
async def gateway(simulator: Simulator, account_key: str, ledger: MemoryLedger) -> AsyncIterator[Gateway]:
    made = Gateway(
        Config(
            providers=providers(simulator.url, account_key),
            models={"either": AliasConfig(targets=[CLAUDE, "openai:gpt-5.2"])},
            retries=RetriesConfig(base_s=0.01, max_wait_s=0.02),
        ),
        ledger=ledger,
    )
    async with made:
        yield made


@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_says_the_same_as_the_whole_answer_and_costs_the_same(
    gateway: Gateway, ledger: MemoryLedger, model: str
) -> None:
    whole = await gateway.chat(model=model, messages=HELLO, user="u1")
    streamed = "".join([event.text async for event in gateway.stream(model=model, messages=HELLO, user="u1")])
    assert "مرحبا" in whole.text and streamed == whole.text
    first, second = ledger.entries
    assert first.usage == second.usage and first.usage.total > 0
    assert (first.outcome, first.source) == (Outcome.COMPLETED, UsageSource.PROVIDER)


@pytest.mark.parametrize("model", MODELS)
async def test_tools_are_called_and_their_results_heard(gateway: Gateway, model: str) -> None:
    asked = [{"role": "system", "content": "Be brief."}, *HELLO]
    reply = await gateway.chat(model=model, messages=asked, user="u1", tools=[TOOL])
    assert [call.name for call in reply.tool_calls] == ["weather"]
    assert reply.finish_reason is FinishReason.TOOL_CALLS
    call = reply.tool_calls[0]
    said = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    if call.signature is not None:
        said["extra_content"] = {"google": {"thought_signature": call.signature}}
    answered = [
        *asked,
        {"role": "assistant", "tool_calls": [said]},
        {"role": "tool", "tool_call_id": call.id, "content": "ممطر"},
    ]
    assert "ممطر" in (await gateway.chat(model=model, messages=answered, user="u1", tools=[TOOL])).text


@pytest.mark.parametrize("model", MODELS)
async def test_errors_are_what_they_are(gateway: Gateway, model: str) -> None:
    with pytest.raises(UpstreamRateLimited):
        await gateway.chat(model=f"{model}+status=429", messages=HELLO, user="u1")
    with pytest.raises(PulseError) as broken:
        async for _ in gateway.stream(model=f"{model}+cut=3", messages=HELLO, user="u1"):
            pass
    assert isinstance(broken.value, StreamInterrupted)


async def test_what_a_content_filter_refuses_is_the_callers_and_what_it_cut_is_an_answer(gateway: Gateway) -> None:
    with pytest.raises(UpstreamRefusedContent):
        await gateway.chat(model="azure:gpt-5.2+code=content_filter", messages=HELLO, user="u1")
    for model in ("azure:gpt-5.2+finish=content_filter", f"{CLAUDE}+finish=guardrail_intervened"):
        assert (await gateway.chat(model=model, messages=HELLO, user="u1")).finish_reason is FinishReason.CONTENT_FILTER


async def test_a_forged_signature_is_our_fault_and_says_nothing_of_it(gateway: Gateway) -> None:
    with pytest.raises(UpstreamUnauthorized) as caught:
        await gateway.chat(model="bedrock-forged:anthropic.claude-x", messages=HELLO, user="u1")
    assert "guessed" not in str(caught.value) and "Signature" not in caught.value.message


async def test_one_token_serves_many_calls_at_once(gateway: Gateway, simulator: Simulator) -> None:
    calls = [gateway.chat(model="vertex:gemini-3.8-flash", messages=HELLO, user="u1") for _ in range(8)]
    assert len(await asyncio.gather(*calls)) == 8
    operations = [record.operation for record in simulator.stats().requests]
    assert sorted(operations) == ["chat"] * 8 + ["token"]


async def test_what_bedrock_cannot_say_is_refused_by_the_clients_own_name_and_another_one_answers(
    gateway: Gateway,
) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await gateway.chat(model=CLAUDE, messages=HELLO, user="u1", seed=7)
    assert caught.value.param == "seed"
    assert (await gateway.chat(model="either", messages=HELLO, user="u1", seed=7)).model.startswith("gpt")


async def test_a_dialects_own_client_reaches_bedrock(gateway: Gateway) -> None:
    """Thinking with its signature goes to an Anthropic client and back."""
    asked: dict[str, Any] = {
        "model": CLAUDE, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    }  # fmt: skip
    first = await anthropic(gateway, asked)
    kinds = [block["type"] for block in first["content"]]
    assert kinds[0] == "thinking" and kinds[-1] == "tool_use" and first["content"][0]["signature"]
    call = first["content"][-1]
    asked["messages"] += [
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "done"}]},
    ]
    second = await anthropic(gateway, asked)
    assert "done" in second["content"][-1]["text"]
    assert second["model"] == CLAUDE and second["id"]


async def anthropic(gateway: Gateway, body: dict[str, Any]) -> dict[str, Any]:
    principal = Principal(user_id="u1", plan=gateway.plans["unlimited"])
    inbound = Inbound(dialect="anthropic.messages", body=json.dumps(body).encode(), principal=principal)
    async with await gateway.handle(inbound) as reply:
        read: dict[str, Any] = json.loads(reply.body)
        assert reply.status == 200, read
        return read


# ── files by URL ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Files:
    """A web server with a picture, a text, a PDF and a page. `asked` counts requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.port = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(path)
        kind, body = {
            "/a.png": (b"application/octet-stream", PNG),
            "/b.pdf": (b"application/pdf", b"%PDF-1.7\n" + b"d" * 30),
            "/c.txt": (b"text/plain; charset=utf-8", "نص".encode()),
        }.get(path.partition("?")[0], (b"text/html", b"<html>"))
        writer.write(ORDINARY % (kind, len(body)) + body)
        writer.close()


@asynccontextmanager
async def fetching(simulator: Simulator, account_key: str, **settings: Any) -> AsyncIterator[tuple[Gateway, Files]]:
    files = Files()
    listening = await asyncio.start_server(files.accept, "127.0.0.1", 0)
    files.port = listening.sockets[0].getsockname()[1]
    settings = {"ports": (files.port,), "allow_private": ["127.0.0.1"], **settings}
    made = Gateway(Config(providers=providers(simulator.url, account_key), fetch=FetchConfig(**settings)))
    async with listening, made:
        yield made, files


def picture(port: int, path: str = "/a.png") -> list[dict[str, Any]]:
    image = {"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{port}{path}"}}
    return [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, image]}]


async def test_a_picture_is_fetched_where_only_its_bytes_are_taken_and_passed_on_elsewhere(
    simulator: Simulator, account_key: str
) -> None:
    async with fetching(simulator, account_key) as (gateway, files):
        reply = await gateway.chat(model=CLAUDE, messages=picture(files.port), user="u1")
        assert f"[image:1 image/png {len(PNG)} bytes]" in reply.text
        await gateway.chat(model="azure:gpt-5.2", messages=picture(files.port), user="u1")
        assert files.asked == ["/a.png"]


async def test_a_file_is_fetched_once_however_often_the_request_is_tried(
    simulator: Simulator, account_key: str
) -> None:
    async with fetching(simulator, account_key) as (gateway, files):
        targets = [f"{CLAUDE}+status=503", "bedrock-key:eu.anthropic.claude-opus-5"]
        tried = Config(
            providers=gateway.config.providers, fetch=gateway.config.fetch, models={"any": AliasConfig(targets=list(targets))},
            retries=RetriesConfig(attempts=3, base_s=0.01),
        )  # fmt: skip
        gateway.reload(tried)
        reply = await gateway.chat(model="any", messages=picture(files.port), user="u1")
        assert "image/png" in reply.text
        assert files.asked == ["/a.png"]


async def test_documents_are_fetched_for_a_client_of_another_dialect(simulator: Simulator, account_key: str) -> None:
    async with fetching(simulator, account_key) as (gateway, files):
        documents = [
            {"type": "document", "source": {"type": "url", "url": f"http://127.0.0.1:{files.port}{path}"}}
            for path in ("/b.pdf", "/c.txt")
        ]
        for model in (CLAUDE, "openai:gpt-5.2"):
            content = [{"type": "text", "text": "read"}, *documents]
            read = await anthropic(
                gateway, {"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": content}]}
            )
            assert read["content"]
        assert sorted(files.asked) == ["/b.pdf", "/b.pdf", "/c.txt", "/c.txt"]


@pytest.mark.parametrize(
    ("path", "settings", "kind", "told"),
    [
        ("/page", {}, InvalidRequest, "is no image"),
        ("/a.png", {"enabled": False}, InvalidRequest, "fetches no addresses"),
        ("/a.png", {"allow_private": []}, InvalidRequest, "only public addresses"),
        ("/a.png", {"ports": (443,)}, InvalidRequest, "port"),
        ("/a.png", {"max_bytes": 50}, InvalidRequest, "exceeds 50 bytes"),
    ],
)
async def test_a_file_that_cannot_be_had_is_a_400_with_the_clients_path(
    simulator: Simulator, account_key: str, path: str, settings: dict[str, Any], kind: type[PulseError], told: str
) -> None:
    async with fetching(simulator, account_key, **settings) as (gateway, files):
        with pytest.raises(kind, match=told) as caught:
            await gateway.chat(model=CLAUDE, messages=picture(files.port, path), user="u1")
        assert (caught.value.status, caught.value.param) == (400, "messages[0]")


async def test_files_that_are_too_much_together_are_refused_and_a_name_that_is_unknown_too(
    simulator: Simulator, account_key: str
) -> None:
    async with fetching(simulator, account_key, max_bytes=100) as (gateway, files):
        two = [*picture(files.port), *picture(files.port, "/a.png?again")]
        with pytest.raises(RequestTooLarge, match="100 bytes together"):
            await gateway.chat(model=CLAUDE, messages=two, user="u1")
        unknown = picture(files.port)
        unknown[0]["content"][1]["image_url"]["url"] = f"http://no-such-host.invalid:{files.port}/a.png"
        with pytest.raises(InvalidRequest, match="is not known"):
            await gateway.chat(model=CLAUDE, messages=unknown, user="u1")
