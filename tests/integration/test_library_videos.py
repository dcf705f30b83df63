"""Videos through the whole gateway, against the simulator over real sockets: begun, watched, fetched, and charged for what they became."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import LimitsConfig, PlanConfig, ProviderConfig, RetriesConfig, ServerConfig
from pulse_gateway.errors import NotFound, TooManyVideos, Unauthenticated
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing import FakeClock
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.http import Headers, Payload
from pulse_gateway.types.videos import VideoFile
from pulse_gateway.videos.job import VideoJob
from pulse_gateway.wire.multipart import FormPart, build_form

VEO, OMNI = "vertex:veo-3.1-generate-001", "google:gemini-omni-1.1-flash"
REPLICATE = "replicate:google/veo-3.1"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\x00\x00\x00\x00IEND\xaeB`\x82"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


class House:
    def __init__(self, url: str, public_url: str | None = None, running_videos: int = 10) -> None:
        providers = {
            "vertex": ProviderConfig(key="ya29.test", base_url=f"{url}/v1/projects/p/locations/us-central1"),
            "google": ProviderConfig(key="x", base_url=url),
            "openai": ProviderConfig(key="x", base_url=f"{url}/v1"),
            "replicate": ProviderConfig(key="r8_x", base_url=url),
        }
        plans = {"free": PlanConfig(videos=2 if running_videos == 10 else None)}
        config = Config(
            server=ServerConfig(public_url=public_url),
            limits=LimitsConfig(running_videos=running_videos),
            providers=providers,
            plans=plans,
            default_plan="free",
            retries=RetriesConfig(base_s=0.01, max_wait_s=0.02),
        )
        self.clock, self.ledger = FakeClock(time.time()), MemoryLedger()
        self.gateway = Gateway(config, clock=self.clock, ledger=self.ledger, observers=())

    async def post(self, body: Payload | dict[str, Any], user: str = "alice") -> tuple[int, dict[str, Any]]:
        payload = body if isinstance(body, Payload) else Payload(msgspec.json.encode(body))
        reply = await self.gateway.handle(
            Inbound(
                dialect="openai.videos",
                operation="videos",
                body=payload.data,
                content_type=payload.content_type,
                principal=self.gateway.principal(user),
            )
        )
        return reply.status, msgspec.json.decode(reply.body)

    async def ended(self, job_id: str, user: str = "alice") -> VideoJob:
        for _ in range(20):
            self.clock.advance(2.0)
            job = await self.gateway.videos.get("default", user, job_id)
            if job.over:
                return job
        raise AssertionError("it never ended")

    async def content(self, job_id: str) -> bytes:
        async with self.gateway.videos.content("default", "alice", job_id) as found:
            return found.data if isinstance(found, VideoFile) else b"".join([piece async for piece in found])

    async def charged(self) -> dict[str, int]:
        period = self.ledger.entries[0].period
        balance = (await self.ledger.balances("default", ["alice"], period)).get("alice", {})
        return {kind: amount for kind, amount in balance.items() if amount}


@pytest.fixture
async def house(simulator: Simulator) -> AsyncIterator[House]:
    made = House(simulator.url)
    async with made.gateway:
        yield made


def ask(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "prompt": "غروب الشمس فوق البتراء", "size": "1280x720", **more}


async def test_a_program_begins_watches_and_fetches_one(house: House) -> None:
    begun = await house.gateway.video(model=VEO, prompt="غروب", user="alice", size="1280x720")
    assert (begun.state.status, begun.seconds) == ("queued", 4)
    assert (await house.ended(begun.id)).state.status == "completed"
    assert (await house.content(begun.id))[4:8] == b"ftyp"


async def test_only_so_many_of_a_users_are_made_at_once(simulator: Simulator) -> None:
    """However many ask in the same moment; one that is refused was asked of no vendor and has cost nothing."""
    house = House(simulator.url, running_videos=2)
    async with house.gateway:
        answers = await asyncio.gather(*[house.post(ask(VEO)) for _ in range(6)])
        assert sorted(status for status, _ in answers) == [200] * 2 + [429] * 4
        assert {told["error"]["code"] for status, told in answers if status == 429} == {"video_limit_exceeded"}
        assert (await house.charged())["videos"] == 2
        assert (await house.post(ask(VEO), user="bob"))[0] == 200
        job_id = next(told["id"] for status, told in answers if status == 200)
        await house.ended(job_id)
        with pytest.raises(TooManyVideos):  # the plan's quota is not what stops them
            await asyncio.gather(*[house.gateway.video(**ask(VEO), user="bob") for _ in range(2)])


@pytest.mark.parametrize("model", [VEO, OMNI, REPLICATE])
async def test_a_video_is_made_watched_and_fetched(house: House, simulator: Simulator, model: str) -> None:
    status, told = await house.post(ask(model))
    assert status == 200, told
    assert (told["object"], told["status"], told["seconds"], told["model"]) == ("video", "queued", "4", model)
    job = await house.ended(told["id"])
    assert job.state.status == "completed", job.state
    content = await house.content(job.id)
    assert content[4:8] == b"ftyp"
    charged = await house.charged()
    assert charged["videos"] == 1
    if model == VEO:
        assert charged["cost_nano_usd"] == 4 * 400_000_000
    elif model == OMNI:
        assert charged["tokens"] > 0 and charged["cost_nano_usd"] > 0


@pytest.mark.parametrize("model", [VEO, OMNI, REPLICATE])
async def test_a_form_with_a_picture_is_taken_too(house: House, model: str) -> None:
    parts = [
        FormPart(name="model", data=model.encode()),
        FormPart(name="prompt", data="تحرك".encode()),
        FormPart(name="seconds", data=b"8"),
        FormPart(name="size", data=b"720x1280"),
        FormPart(name="input_reference", data=PNG, filename="صورة.png", content_type="image/png"),
    ]
    status, told = await house.post(build_form(parts))
    assert status == 200, told
    assert (await house.ended(told["id"])).seconds == 8


@pytest.mark.parametrize(
    "model", [f"{VEO}+fail=INTERNAL", f"{VEO}+filtered=1", f"{OMNI}+fail=failed", f"{REPLICATE}+fail=failed"]
)
async def test_a_video_that_comes_to_nothing_costs_nothing(house: House, model: str) -> None:
    status, told = await house.post(ask(model))
    assert status == 200, told
    job = await house.ended(told["id"])
    assert job.state.status == "failed" and job.state.error_message
    charged = await house.charged()
    assert "videos" not in charged


async def test_a_quota_of_videos_is_kept_and_what_fails_is_given_back(house: House) -> None:
    failed = await house.post(ask(f"{VEO}+fail=INTERNAL"))
    await house.ended(failed[1]["id"])
    assert [(await house.post(ask(VEO)))[0] for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"size": "1792x1024"}, "size"),
        ({"seconds": "5"}, "seconds"),
        ({"size": "wide"}, "size"),
        ({"seconds": "-1"}, "seconds"),
        ({"fps": 60}, "fps"),
        ({"prompt": None}, "prompt"),
        ({"input_reference": {"file_id": "file_1"}}, "input_reference.file_id"),
    ],
)
async def test_what_cannot_be_made_is_refused_by_name_before_anything_is_sent(
    house: House, simulator: Simulator, change: dict[str, Any], param: str
) -> None:
    status, told = await house.post({**ask(VEO), **change})
    assert (status, told["error"]["param"]) == (400, param)
    assert not house.ledger.entries


async def test_a_vendor_that_is_busy_is_asked_again_and_a_retired_model_is_not_found(house: House) -> None:
    asking = asyncio.create_task(house.post(ask(f"{VEO}+status=503,first=1")))
    while not asking.done():
        house.clock.advance(0.01)
        await asyncio.sleep(0.001)  # real sockets, and a clock of our own
    status, told = await asking
    assert status == 200, told
    assert (await house.post(ask("openai:sora-2")))[0] == 404
    assert (await house.post(ask("google:veo-3.1-generate-001")))[0] in {400, 404}


class Door:
    """An HTTP server with one room: hands what is posted to it on to a gateway's webhooks."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None
        self.heard: asyncio.Queue[tuple[Headers, bytes]] = asyncio.Queue()
        self.url = ""

    async def __aenter__(self) -> Door:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
        body = await reader.readexactly(int(dict(headers)["content-length"]))
        assert self.gateway is not None
        assert head[0].startswith("POST /v1/webhooks/replicate ")
        await self.gateway.webhooks.receive("replicate", headers, body)
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        writer.close()
        await self.heard.put((headers, body))


async def test_a_provider_that_calls_when_it_is_done_is_heard_and_nobody_else(simulator: Simulator) -> None:
    async with Door() as door:
        house = House(simulator.url, door.url)
        async with house.gateway:
            door.gateway = house.gateway
            status, told = await house.post(ask(REPLICATE))
            assert status == 200, told
            await house.ended(told["id"])  # its clock runs by being looked at
            async with asyncio.timeout(10):
                headers, body = await door.heard.get()
            forged = tuple((name, "v1,bm8=" if name == "webhook-signature" else value) for name, value in headers)
            for wrong in (forged, headers[:1]):
                with pytest.raises(Unauthenticated):
                    await house.gateway.webhooks.receive("replicate", wrong, body)
            with pytest.raises(NotFound):
                await house.gateway.webhooks.receive("google", headers, body)
            with pytest.raises(NotFound):
                await house.gateway.webhooks.receive("nobody", headers, body)
            assert (await house.charged())["videos"] == 1
