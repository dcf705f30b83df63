"""Operations beside chat, asked for by somebody who means ill: names that lead elsewhere, words past the moderator, types that lie."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from vendor_stub import Vendor

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.catalog.settings import ModelConfig, PriceConfig
from pulse_gateway.config import ProviderConfig, RetriesConfig
from pulse_gateway.errors import UpstreamFailed
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


async def test_what_a_client_calls_a_size_takes_little_room_in_the_ledger() -> None:
    ledger, vendor = MemoryLedger(), Vendor({"data": [{"b64_json": "aaaa"}], "created": 1})
    config = Config(providers={"openai": ProviderConfig(key="k")})
    async with Gateway(config, transport=vendor, ledger=ledger, observers=()) as gateway:
        for asked in ({"size": "9" * 100_000}, {"quality": "x" * 100_000}):
            body = {"model": "openai:gpt-image-2", "prompt": "a cat", **asked}
            assert (await ask(gateway, "openai.images.generations", "images", body)).status == 200
    assert all(len(msgspec.json.encode(entry)) < 4_000 for entry in ledger.entries)
