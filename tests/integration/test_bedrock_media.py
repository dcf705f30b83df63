"""Bedrock's images, videos and guardrails through the gateway, against their simulator; and what `pulse check` asks of clouds."""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from media_parts import PNG, asked, edit, edit_form, image

from pulse_gateway import Config, Gateway
from pulse_gateway.catalog.settings import ModelConfig
from pulse_gateway.config import AliasConfig, LimitsConfig, ProviderConfig, RetriesConfig, StoresConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.videos import VideoFile
from pulse_host.check import check_everything

KEY = "AKIASIMULATOR:simulator-secret"
CORE = "bedrock:stability.stable-image-core-v1:1"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
async def gateway(simulator: Simulator, ledger: MemoryLedger) -> AsyncIterator[Gateway]:
    base_url = f"{simulator.url}?region=eu-west-1"
    bucket = f"s3://videos-of-ours/pulse?endpoint={simulator.url}&region=us-west-2"
    providers = {
        "bedrock": ProviderConfig(key=KEY, base_url=base_url, bucket=bucket),
        "bucketless": ProviderConfig(kind="bedrock", key=KEY, base_url=base_url),
    }
    aliases = {"film": AliasConfig(targets=["bucketless:luma.ray-v2:0"], fallbacks=["bedrock:luma.ray-v2:0+polls=0"])}
    config = Config(
        providers=providers,
        models=aliases,
        catalog={"bedrock:amazon.nova-canvas-v1:0": ModelConfig(shutdown="9999-12-31")},  # gone since 2026-09-30
        retries=RetriesConfig(attempts=3, base_s=0.01, max_wait_s=0.02),
    )
    async with Gateway(config, ledger=ledger, observers=()) as made:
        yield made


def mask() -> bytes:
    """As large as `PNG`; its upper half may change."""
    raw = (b"\0" + bytes(4 * 1024)) * 512 + (b"\0" + b"\0\0\0\xff" * 1024) * 512
    head = struct.pack(">IIBBBBB", 1024, 1024, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


async def test_images_are_charged_as_they_are_made(gateway: Gateway, ledger: MemoryLedger) -> None:
    reply = await image(gateway, CORE, n=2, size="1280x720")
    data = json.loads(reply.body)["data"]
    assert [b64decode(each["b64_json"])[:4] for each in data] == [b"\x89PNG"] * 2
    assert dict(reply.headers)["x-pulse-dropped"] == "size"
    [entry] = ledger.entries
    assert (entry.images, entry.usage.images, entry.cost_nano_usd) == (2, 2, 80_000_000)


@pytest.mark.parametrize(
    "model",
    [
        f"{CORE}+refusal",
        f"{CORE}+blocked",
        "bedrock:amazon.nova-canvas-v1:0+refusal",
        "bedrock:amazon.nova-canvas-v1:0+blocked",
    ],
)
async def test_what_a_filter_holds_back_is_content_blocked_and_costs_nothing(
    gateway: Gateway, ledger: MemoryLedger, model: str
) -> None:
    reply = await image(gateway, model)
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "content_blocked")
    assert not ledger.entries[0].usage.images


async def test_some_of_several_held_back_are_fewer(gateway: Gateway, ledger: MemoryLedger) -> None:
    reply = await image(gateway, "bedrock:amazon.nova-canvas-v1:0+filtered=1", n=3, size="1024x1024", quality="hd")
    assert len(json.loads(reply.body)["data"]) == 2
    assert (ledger.entries[0].usage.images, ledger.entries[0].usage.variant) == (2, "1024x1024/premium")


@pytest.mark.parametrize("model", ["bedrock:amazon.nova-canvas-v1:0", "bedrock:us.stability.stable-image-inpaint-v1:0"])
async def test_a_part_of_a_picture_is_changed(gateway: Gateway, model: str) -> None:
    """The simulator takes no mask with an alpha channel, nor one of another size."""
    reply = await edit(gateway, edit_form(model, PNG, mask=mask()))
    assert reply.status == 200, reply.body


async def test_an_image_is_asked_for_again_where_amazon_was_only_busy(gateway: Gateway, simulator: Simulator) -> None:
    reply = await image(gateway, f"{CORE}+first=1,code=ThrottlingException")
    assert reply.status == 200, reply.body
    assert [each.outcome for each in simulator.stats().requests] == ["refused", "completed"]


async def test_a_page_of_html_is_no_rate_limit(gateway: Gateway) -> None:
    reply = await image(gateway, f"{CORE}+html")
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (502, "upstream_error")


# ── videos ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_video_is_read_from_the_bucket_that_is_configured(gateway: Gateway, ledger: MemoryLedger) -> None:
    body = {"model": "film", "prompt": "a fox runs", "seconds": "5", "size": "1280x720"}
    reply = await gateway.handle(asked(gateway, "openai.videos", "videos", body))
    begun = json.loads(reply.body)
    assert reply.status == 200, reply.body
    principal = gateway.principal("u")
    whose = principal.tenant_id, principal.user_id, begun["id"]
    job = await gateway.videos.get(*whose)
    assert (job.state.status, job.provider) == ("completed", "bedrock")
    async with gateway.videos.content(*whose) as content:
        assert not isinstance(content, VideoFile)
        data = b"".join([piece async for piece in content])
    assert data[4:8] == b"ftyp"
    usage = ledger.entries[-1].usage
    assert (usage.video_ms, usage.variant) == (5000, "720p")


async def test_without_a_bucket_no_video_is_begun(gateway: Gateway, simulator: Simulator) -> None:
    body = {"model": "bucketless:luma.ray-v2:0", "prompt": "a fox", "seconds": "5", "size": "1280x720"}
    reply = await gateway.handle(asked(gateway, "openai.videos", "videos", body))
    error = json.loads(reply.body)["error"]
    assert (reply.status, error["code"], error["param"]) == (400, "unsupported_parameter", "model")
    assert "providers.bucketless.bucket" in error["message"]
    assert simulator.stats().requests == []


# ── judgements ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_guardrail_judges_as_openais_model_does(gateway: Gateway, ledger: MemoryLedger) -> None:
    body = {"model": "bedrock:guardrail/gr4pulse:1", "input": ["I will kill you", "Petra at sunset"]}
    reply = await gateway.handle(asked(gateway, "openai.moderations", "moderation", body))
    bad, good = json.loads(reply.body)["results"]
    assert (bad["flagged"], bad["categories"]["violence"], bad["category_scores"]["violence"]) == (True, True, 1.0)
    assert (good["flagged"], good["categories"]["violence"], good["category_scores"]["violence"]) == (False, False, 0.0)
    [entry] = ledger.entries
    assert (entry.tokens, entry.usage.characters) == (0, 2000)


async def test_a_guardrail_that_is_not_there_is_no_model(gateway: Gateway) -> None:
    body = {"model": "bedrock:guardrail/unknown:1", "input": "hello"}
    reply = await gateway.handle(asked(gateway, "openai.moderations", "moderation", body))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (404, "model_not_found")


# ── pulse check ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_clouds_are_asked_something_that_costs_nothing(simulator: Simulator, tmp_path: Path) -> None:
    dated = f"{simulator.url}?api-version=2024-10-21"
    config = Config(
        providers={
            "bedrock": ProviderConfig(key=KEY, base_url=f"{simulator.url}?region=eu-west-1"),
            "forged": ProviderConfig(
                kind="bedrock", key="AKIASIMULATOR:x", base_url=f"{simulator.url}?region=eu-west-1"
            ),
            "azure": ProviderConfig(key="k", base_url=dated),
            "azure-v1": ProviderConfig(kind="azure", key="k", base_url=simulator.url),
        },
        stores=StoresConfig(journal_dir=str(tmp_path / "journal")),
        limits=LimitsConfig(store="local"),
    )
    rows = {row.name: row.well for row in await check_everything(config) if row.name.startswith("provider ")}
    assert rows == {
        "provider bedrock": True,
        "provider forged": False,
        "provider azure": True,
        "provider azure-v1": True,
    }
    assert [each.units for each in simulator.stats().requests] == [{}] * 4
