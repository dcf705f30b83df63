"""Operations beside chat, asked for by somebody who means ill: names that lead elsewhere, words past the moderator, types that lie."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import msgspec
import pytest
from vendor_stub import Vendor

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.catalog.settings import ModelConfig, PriceConfig
from pulse_gateway.config import FetchConfig, PlanConfig, ProviderConfig, RetriesConfig
from pulse_gateway.errors import PulseError, UpstreamFailed
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.moderation.moderator import ALLOWED, Content, Verdict
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.providers import registry
from pulse_gateway.types.http import HttpRequest

ADDRESSES = {
    "azure": "https://r.openai.azure.com?api-version=2024-10-21",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com",
    "openai_compatible": "https://vendor.example/v1",
}
KINDS = sorted(kind for kind in registry.KINDS if kind != "echo")
NAMES = (
    "..", ".", "../../x", "a/../b", "a/b/../../../../c", "publishers/../../x", "deployments/../../files", "models/../x",
    "a%2f..%2fb", "a?b=c", "a#b", "a;b", "a\\b", "@b", "a b", "ä",
)  # fmt: skip


def house(vendor: Vendor, **providers: ProviderConfig) -> Gateway:
    config = Config(providers=providers, retries=RetriesConfig(attempts=3, base_s=0.001, max_wait_s=0.002))
    return Gateway(config, transport=vendor, ledger=MemoryLedger(), observers=())


async def ask(gateway: Gateway, dialect: str, operation: str, body: dict[str, Any], **more: Any) -> Reply:
    told = {"content_type": "application/json", **more}
    return await gateway.handle(
        Inbound(
            dialect=dialect,
            operation=operation,
            body=msgspec.json.encode(body),
            principal=gateway.principal("alice"),
            **told,
        )
    )


def path_of(request: HttpRequest) -> tuple[str, str]:
    """As it is written, and as it will be sent."""
    url = httpx.URL(request.url)
    return request.url.partition(url.netloc.decode())[2], url.raw_path.decode()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_models_name_stays_in_its_place_in_an_address(kind: str) -> None:
    vendor = Vendor({})
    row = ProviderConfig(kind=kind, key="k", base_url=ADDRESSES.get(kind))
    async with house(vendor, v=row) as gateway:
        for name in NAMES:
            model = f"v:{name}"
            say = [{"role": "user", "content": "hi"}]
            await ask(gateway, "openai.chat", "chat", {"model": model, "messages": say})
            await ask(gateway, "openai.embeddings", "embeddings", {"model": model, "input": "hi"})
            await ask(gateway, "openai.images.generations", "images", {"model": model, "prompt": "hi"})
            await ask(gateway, "openai.videos", "videos", {"model": model, "prompt": "hi", "size": "1280x720"})
    origin = {httpx.URL(request.url).netloc for request in vendor.requests}
    assert len(origin) <= 1
    for request in vendor.requests:
        written, sent = path_of(request)
        assert written == sent


# ── what a moderator sees ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_words_beside_the_prompt_do_not_pass_the_moderator() -> None:
    seen: list[str] = []

    class Watching:
        name = "watching"

        async def review(self, content: Content) -> Verdict:
            seen.append(content.text)
            return ALLOWED

    vendor = Vendor({"id": "p1", "status": "succeeded", "output": []})
    config = Config(providers={"replicate": ProviderConfig(key="r8_x")})
    async with Gateway(config, transport=vendor, moderators=[Watching()], observers=()) as gateway:
        body: dict[str, Any] = {
            "model": "replicate:a/b",
            "prompt": "a cat",
            "input": {"prompt": "a bomb", "more": [{"x": "a gun"}]},
        }
        body["input"]["image"] = "data:image/png;base64," + "A" * 400
        await ask(gateway, "openai.images.generations", "images", body)
    assert seen == ["a cat\na bomb\na gun"]


# ── what is made twice is billed twice ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dialect", "operation", "model"),
    [
        ("openai.images.generations", "images", "openai:gpt-image-2"),
        ("openai.images.generations", "images", "stability:stable-image-core"),
        ("openai.videos", "videos", "replicate:google/veo-3.1"),
    ],
)
@pytest.mark.parametrize(("status", "asked"), [(500, 1), (502, 1), (504, 1), (503, 3)])
async def test_what_may_have_been_begun_is_not_begun_again_at_the_same_vendor(
    dialect: str, operation: str, model: str, status: int, asked: int
) -> None:
    vendor = Vendor({"error": {"message": "no"}}, status)
    row = ProviderConfig(key="k")
    async with house(vendor, openai=row, stability=row, replicate=row) as gateway:
        reply = await ask(gateway, dialect, operation, {"model": model, "prompt": "a cat", "size": "1280x720"})
    assert reply.status >= 500
    assert len(vendor.requests) == asked


# ── what is charged of half a request ─────────────────────────────────────────────────────────────────────────────────


async def test_what_was_made_before_a_failure_is_charged_as_what_it_was() -> None:
    answers = [b"\x89PNG\r\n\x1a\n"]

    def once(_: HttpRequest) -> bytes:
        if not answers:
            raise UpstreamFailed("no more")
        return answers.pop()

    vendor = Vendor(once)
    price = PriceConfig(image={"1024x1024": 1.0, "2048x2048": 9.0})
    config = Config(
        providers={"stability": ProviderConfig(key="k")},
        catalog={"stability:stable-image-core": ModelConfig(price=price)},
        retries=RetriesConfig(attempts=1),
    )
    ledger = MemoryLedger()
    async with Gateway(config, transport=vendor, ledger=ledger, observers=()) as gateway:
        body = {"model": "stability:stable-image-core", "prompt": "a cat", "n": 2, "size": "1024x1024"}
        reply = await ask(gateway, "openai.images.generations", "images", body)
    assert reply.status == 502
    [entry] = ledger.entries
    assert (entry.images, entry.usage.variant, entry.cost_nano_usd) == (1, "1024x1024", 1_000_000_000)


@pytest.mark.parametrize(("begun", "images"), [(False, 0), (True, 1)])
async def test_an_upload_alone_costs_nothing(begun: bool, images: int) -> None:
    """What the vendor has begun is charged as it was asked for, where nobody hears what became of it."""

    def answer(request: HttpRequest) -> Any:
        if request.url.endswith("/files"):
            return {"urls": {"get": "https://api.replicate.com/v1/files/1"}}
        if not begun or request.method == "GET":
            raise UpstreamFailed("no")
        return {"id": "p1", "status": "processing"}

    picture = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"\0" * 300_000).decode()
    ledger = MemoryLedger()
    config = Config(providers={"replicate": ProviderConfig(key="k")}, retries=RetriesConfig(attempts=1))
    async with Gateway(config, transport=Vendor(answer), ledger=ledger, observers=()) as gateway:
        body = {"model": "replicate:a/b", "prompt": "a cat", "image": picture}
        assert (await ask(gateway, "openai.images.edits", "image_edits", body)).status == 502
    [entry] = ledger.entries
    assert entry.images == images


async def test_what_a_client_calls_a_size_takes_little_room_in_the_ledger() -> None:
    ledger, vendor = MemoryLedger(), Vendor({"data": [{"b64_json": "aaaa"}], "created": 1})
    config = Config(providers={"openai": ProviderConfig(key="k")})
    async with Gateway(config, transport=vendor, ledger=ledger, observers=()) as gateway:
        for asked in ({"size": "9" * 100_000}, {"quality": "x" * 100_000}):
            body = {"model": "openai:gpt-image-2", "prompt": "a cat", **asked}
            assert (await ask(gateway, "openai.images.generations", "images", body)).status == 200
    assert all(len(msgspec.json.encode(entry)) < 4_000 for entry in ledger.entries)


# ── files that are named ──────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def web(body: bytes, kind: str) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers everything alike; its port, and what it was asked."""
    asked: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        with suppress(ConnectionError):  # it was too much
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1], asked


def fetching(vendor: Vendor, port: int, max_bytes: int = 20_000_000, **plan: Any) -> Gateway:
    row = ProviderConfig(key="k")
    config = Config(
        providers={"anthropic": row, "google": row},
        plans={"free": PlanConfig(**plan)},
        default_plan="free",
        fetch=FetchConfig(max_bytes=max_bytes, ports=(port,), allow_private=["127.0.0.0/8"]),
    )
    return Gateway(config, transport=vendor, ledger=MemoryLedger(), observers=())


def pictures(port: int, count: int) -> dict[str, Any]:
    urls = [f"http://127.0.0.1:{port}/{number}" for number in range(count)]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {"model": "anthropic:claude-opus-4-5", "messages": [{"role": "user", "content": parts}]}


async def test_what_made_the_gateway_fetch_something_counts_as_a_request() -> None:
    """Else anybody could have it fetch for ever, for nothing, what is no picture."""
    async with (
        web(b"not a picture", "text/html") as (port, asked),
        fetching(Vendor({}), port, requests="2/60s") as gateway,
    ):
        statuses = [(await ask(gateway, "openai.chat", "chat", pictures(port, 1))).status for _ in range(4)]
    assert statuses == [400, 400, 429, 429]
    assert len(asked) == 2


async def test_one_request_is_not_made_a_flood_of_others() -> None:
    vendor = Vendor({})
    async with web(b"not a picture", "text/html") as (port, asked), fetching(vendor, port) as gateway:
        reply = await ask(gateway, "openai.chat", "chat", pictures(port, 101))
    assert reply.status == 400 and not asked and not vendor.requests


async def test_the_files_of_an_edit_are_bounded_together() -> None:
    picture = b"\x89PNG\r\n\x1a\n" + b"\0" * 600_000
    vendor = Vendor({})
    async with web(picture, "image/png") as (port, asked), fetching(vendor, port, 1_000_000) as gateway:
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(8)]
        body = {"model": "google:gemini-3-pro-image", "prompt": "a cat", "image": urls}
        reply = await ask(gateway, "openai.images.edits", "image_edits", body)
    assert reply.status in {400, 413} and len(asked) == 2 and not vendor.requests


# ── what vendors make of it ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "output",
    [
        "data:image/png;base64,A", "data:image/png;base64,@@@@", "data:image/png;base64,", "data:image/png;base64,aaaa",
        "data:,x", "https://[::1", "https://\u00e9.\U0001f600", 5, {"images": {"a": 1}},
    ],
)  # fmt: skip
async def test_what_a_strangers_model_says_it_made_is_not_believed(output: Any) -> None:
    vendor = Vendor({"id": "p1", "status": "succeeded", "output": output})
    async with house(vendor, replicate=ProviderConfig(key="k")) as gateway:
        for operation, dialect in (("images", "openai.images.generations"), ("videos", "openai.videos")):
            body = {"model": "replicate:a/b", "prompt": "a cat", "size": "1280x720"}
            reply = await ask(gateway, dialect, operation, body)
            assert reply.status == (502 if operation == "images" else 200), reply.body
        [job] = await gateway.videos.list("default", "alice")
        assert (await gateway.videos.get("default", "alice", job.id)).over
        with pytest.raises(PulseError):
            async with gateway.videos.content("default", "alice", job.id):
                raise AssertionError("there is nothing to be read")


async def test_a_picture_that_is_no_base64_is_the_vendors_fault() -> None:
    blob = {"inlineData": {"mimeType": "image/png", "data": "A"}}
    async with house(
        Vendor({"candidates": [{"content": {"parts": [blob]}}]}), google=ProviderConfig(key="k")
    ) as gateway:
        body = {"model": "google:gemini-3-pro-image", "prompt": "a cat"}
        assert (await ask(gateway, "openai.images.generations", "images", body)).status == 502


def test_what_holds_a_secret_or_a_prompt_does_not_show_it() -> None:
    request = HttpRequest("GET", "https://x.example/a?sig=SECRET", (("authorization", "Bearer SECRET"),), b"SECRET")
    assert repr(request) == "HttpRequest(GET https://x.example/a)"
    assert "SECRET" not in repr(Inbound(credential="SECRET", body=b"SECRET", headers=(("x-api-key", "SECRET"),)))
