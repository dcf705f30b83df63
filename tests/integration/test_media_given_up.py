"""Something dear is asked for and then not waited for: the vendor may make it all the same, so it is charged."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import AliasConfig, ProviderConfig, RetriesConfig
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.http import Timeouts
from pulse_gateway.types.usage import UsageSource
from pulse_gateway.videos.memory import MemoryVideoStore


@pytest.mark.parametrize(
    ("dialect", "operation", "body", "counted"),
    [
        ("openai.images.generations", "images", {"model": "openai:gpt-image-2+delay=5", "prompt": "قطة"}, "images"),
        (
            "openai.images.generations",
            "images",
            {"model": "replicate:google/nano-banana+delay=5", "prompt": "قطة"},
            "images",
        ),
        (
            "openai.videos",
            "videos",
            {"model": "google:gemini-omni-1.1-flash+delay=5", "prompt": "قطة", "size": "1280x720"},
            "videos",
        ),
    ],
    ids=["passed through", "in steps", "a video"],
)
async def test_a_deadline_of_the_callers_own_makes_nothing_free(
    dialect: str, operation: str, body: dict[str, Any], counted: str
) -> None:
    async with Simulator(seed=0) as simulator:
        providers = {
            "openai": ProviderConfig(key="x", base_url=f"{simulator.url}/v1"),
            "replicate": ProviderConfig(key="r8_x", base_url=simulator.url),
            "google": ProviderConfig(key="x", base_url=simulator.url),
        }
        ledger = MemoryLedger()
        config = Config(providers=providers, retries=RetriesConfig(attempts=1))
        async with Gateway(config, ledger=ledger, observers=()) as gateway:
            reply = await gateway.handle(
                Inbound(
                    dialect=dialect,
                    operation=operation,
                    body=msgspec.json.encode(body),
                    principal=gateway.principal("alice"),
                    timeout_s=0.3,
                )
            )
            assert reply.status == 504
            [entry] = ledger.entries
            assert entry.source is UsageSource.ESTIMATED
            assert getattr(entry, counted) == 1


async def test_a_video_is_not_begun_where_its_job_could_not_be_kept() -> None:
    class Away(MemoryVideoStore):
        async def running(self, tenant_id: str, user_id: str, /) -> int:
            raise StoreUnavailable("video jobs are kept in a database that does not answer", retry_after_s=1.0)

    async with Simulator(seed=0) as simulator:
        clock, ledger = SystemClock(), MemoryLedger()
        config = Config(providers={"google": ProviderConfig(key="x", base_url=simulator.url)})
        async with Gateway(config, clock=clock, ledger=ledger, videos=Away(clock), observers=()) as gateway:
            reply = await gateway.handle(
                Inbound(
                    dialect="openai.videos",
                    operation="videos",
                    body=b'{"model":"google:gemini-omni-1.1-flash","prompt":"x","size":"1280x720"}',
                    principal=gateway.principal("alice"),
                )
            )
        assert reply.status == 503
        assert not ledger.entries
        assert not simulator.stats().requests


@pytest.mark.parametrize(
    ("operation", "dialect", "first", "second"),
    [
        ("images", "openai.images.generations", "openai:gpt-image-2", "replicate:google/nano-banana"),
        ("images", "openai.images.generations", "stability:sd3.5-large", "openai:gpt-image-2"),
        ("videos", "openai.videos", "google:gemini-omni-1.1-flash", "replicate:google/veo-3.1"),
    ],
    ids=["passed through", "in steps", "a video"],
)
@pytest.mark.parametrize(
    ("fault", "status", "asked"), [("delay=5", 504, 1), ("wrong-length", 502, 1), ("status=503", 200, 2)]
)
async def test_what_a_vendor_may_have_begun_is_asked_of_no_other(
    operation: str, dialect: str, first: str, second: str, fault: str, status: int, asked: int
) -> None:
    """Both would bill it; a vendor that has refused it has not begun."""
    async with Simulator(seed=0) as simulator:
        bases = {"openai": f"{simulator.url}/v1", "replicate": simulator.url}
        providers = {
            name: ProviderConfig(
                key="sk-x", base_url=bases.get(name, simulator.url), timeouts=Timeouts(first_byte_s=0.4)
            )
            for name in ("openai", "replicate", "google", "stability")
        }
        models = {"made": AliasConfig(targets=[f"{first}+{fault}"], fallbacks=[second])}
        config = Config(providers=providers, models=models, retries=RetriesConfig(attempts=2))
        async with Gateway(config, ledger=MemoryLedger(), observers=()) as gateway:
            body = msgspec.json.encode({"model": "made", "prompt": "قطة", "size": "1024x1024"})
            if operation == "videos":
                body = body.replace(b"1024x1024", b"1280x720")
            reply = await gateway.handle(
                Inbound(dialect=dialect, operation=operation, body=body, principal=gateway.principal("alice"))
            )
        headers = dict(reply.headers)
        assert (reply.status, headers["x-pulse-attempts"]) == (status, str(asked)), reply.body
        assert headers.get("x-should-retry") == (None if status == 200 else "false")
