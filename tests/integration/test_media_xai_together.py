"""xAI's and Together's images, sound and videos through the whole gateway, against the simulator over real sockets."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from media_parts import PNG, alias, dropped, edit, edit_form, error_of, files, gateway_to, listen, read, speak

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import PlanConfig, ProviderConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing import FakeClock
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.videos import VideoFile
from pulse_gateway.wire.multipart import FormPart, build_form

XAI, TOGETHER = "xai:grok-imagine-video-1.5", "together:google/veo-3.0"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


# ── images and sound ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["xai:grok-imagine-image", "together:black-forest-labs/FLUX.2-pro"])
async def test_pictures_are_edited_and_charged_by_the_piece(simulator: Simulator, model: str) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        reply = await edit(gateway, edit_form(model, PNG, PNG, n="2"))
        assert len(files(reply)) == 2
    [entry] = ledger.entries
    assert (entry.images, entry.usage.images) == (2, 2)
    assert entry.cost_nano_usd == (2 * 20_000_000 if model.startswith("xai") else None)


async def test_what_one_vendor_cannot_edit_another_may(simulator: Simulator) -> None:
    aliases = alias("together:black-forest-labs/FLUX.1-schnell", "xai:grok-imagine-image")
    async with gateway_to(simulator.url, models=aliases) as gateway:
        reply = await edit(gateway, edit_form("pictures", PNG, size="1280x720", user="u"))
        assert (len(files(reply)), dropped(reply)) == (1, "size")


async def test_an_edit_that_the_filter_held_back_is_a_refusal_and_free(simulator: Simulator) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        assert error_of(await edit(gateway, edit_form("xai:grok-imagine-image+refusal", PNG)))[:2] == (
            400,
            "content_blocked",
        )
    assert (ledger.entries[0].images, ledger.entries[0].usage.images) == (0, 0)


@pytest.mark.parametrize(("model", "voice"), [("xai:grok-tts", "eve"), ("together:cartesia/sonic-2", "tara")])
async def test_speech_comes_as_sound_and_as_events(simulator: Simulator, model: str, voice: str) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        reply = await speak(gateway, model, voice)
        assert reply.stream is not None
        async with reply:
            sound = b"".join([piece async for piece in reply])
        assert sound[:1] == b"\xff" and dict(reply.headers)["content-type"] == "audio/mpeg"
        told = await speak(gateway, model, voice, stream_format="sse", response_format="wav")
        events = [json.loads(line[6:]) for line in told.body.decode().splitlines() if line.startswith("data: ")]
        assert [event["type"] for event in events] == ["speech.audio.delta", "speech.audio.done"]
        assert base64.b64decode(events[0]["audio"])[:4] == b"RIFF"
    characters = len("Good morning, fox.")
    assert {entry.usage.characters for entry in ledger.entries} == {characters}
    if model.startswith("xai"):
        assert {entry.cost_nano_usd for entry in ledger.entries} == {characters * 15_000}


async def test_speech_is_written_down_whole_and_told_as_events(simulator: Simulator) -> None:
    ledger, model = MemoryLedger(), "xai:grok-voice-transcribe-2.0"
    async with gateway_to(simulator.url, ledger) as gateway:
        whole = read(await listen(gateway, model, response_format="diarized_json", chunking_strategy="auto"))
        assert {each["speaker"] for each in whole["segments"]} == {"0", "1"}
        told = (await listen(gateway, model, stream="true")).body.decode()
        assert "transcript.text.delta" in told and '"type":"duration"' in told
        assert error_of(await listen(gateway, model, translate=True)) == (400, "unsupported_parameter", "model")
    assert [entry.usage.audio_ms for entry in ledger.entries] == [2000, 2000]


# ── videos ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class House:
    def __init__(self, url: str) -> None:
        config = Config(
            providers={
                "xai": ProviderConfig(key="x", base_url=f"{url}/as/xai/v1"),
                "together": ProviderConfig(key="x", base_url=f"{url}/as/together/v1"),
            },
            plans={"free": PlanConfig(videos=2)},
            default_plan="free",
        )
        self.clock, self.ledger = FakeClock(time.time()), MemoryLedger()
        self.gateway = Gateway(config, clock=self.clock, ledger=self.ledger, observers=())

    async def begin(self, model: str, **fields: str) -> tuple[int, dict[str, Any]]:
        named = {"model": model, "prompt": "غروب الشمس فوق البتراء", "size": "1280x720", **fields}
        form = build_form(
            [
                *(FormPart(name=name, data=value.encode()) for name, value in named.items()),
                FormPart(name="input_reference", data=PNG, filename="صورة.png", content_type="image/png"),
            ]
        )
        reply = await self.gateway.handle(
            Inbound(
                dialect="openai.videos",
                operation="videos",
                body=form.data,
                content_type=form.content_type,
                principal=self.gateway.principal("alice"),
            )
        )
        return reply.status, json.loads(reply.body)

    async def ended(self, job_id: str) -> Any:
        for _ in range(20):
            self.clock.advance(2.0)
            job = await self.gateway.videos.get("default", "alice", job_id)
            if job.over:
                return job
        raise AssertionError("it never ended")

    async def charged(self) -> dict[str, int]:
        period = self.ledger.entries[0].period
        balance = (await self.ledger.balances("default", ["alice"], period)).get("alice", {})
        return {kind: amount for kind, amount in balance.items() if amount}


@pytest.fixture
async def house(simulator: Simulator) -> AsyncIterator[House]:
    made = House(simulator.url)
    async with made.gateway:
        yield made


@pytest.mark.parametrize("model", [XAI, TOGETHER])
async def test_a_video_is_made_watched_fetched_and_deleted(house: House, model: str) -> None:
    status, told = await house.begin(model, seconds="8")
    assert (status, told["status"], told["seconds"]) == (200, "queued", "8"), told
    job = await house.ended(told["id"])
    assert job.state.status == "completed", job.state
    async with house.gateway.videos.content("default", "alice", job.id) as found:
        data = found.data if isinstance(found, VideoFile) else b"".join([piece async for piece in found])
    assert data[4:8] == b"ftyp"
    assert await house.charged() == {"videos": 1, **({"cost_nano_usd": 8 * 140_000_000} if model == XAI else {})}
    await house.gateway.videos.delete("default", "alice", job.id)
    assert await house.gateway.videos.list("default", "alice") == []
    assert len(house.ledger.entries) == 1  # it became what it was begun as


@pytest.mark.parametrize("model", [XAI, TOGETHER])
@pytest.mark.parametrize("spec", ["fail=internal", "filtered=1"])
async def test_a_video_that_comes_to_nothing_is_given_back_once_however_often_it_is_looked_at(
    house: House, model: str, spec: str
) -> None:
    status, told = await house.begin(f"{model}+{spec}")
    assert status == 200, told
    job = await house.ended(told["id"])
    assert job.state.status == "failed" and job.state.error_message
    await house.ended(told["id"])
    await house.gateway.videos.sweep()
    assert await house.charged() == {}
    assert len(house.ledger.entries) == 2
    assert [(await house.begin(model))[0] for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (XAI, {"size": "1792x1024"}, "size"),
        (XAI, {"seconds": "16"}, "seconds"),
        ("xai:grok-imagine-video", {"size": "1920x1080"}, "size"),
        (TOGETHER, {"fps": "30"}, "fps"),
    ],
)
async def test_what_cannot_be_made_is_refused_by_name(
    house: House, model: str, fields: dict[str, str], param: str
) -> None:
    status, told = await house.begin(model, **fields)
    assert (status, told["error"]["param"]) == (400, param)
    assert not house.ledger.entries


async def test_a_look_that_fails_leaves_the_job_where_it_stood(house: House) -> None:
    """An error of a vendor's is no end of a job."""
    _, told = await house.begin(f"{XAI}+at=poll,status=503,first=1")
    house.clock.advance(2.0)
    job = await house.gateway.videos.get("default", "alice", told["id"])
    assert job.state.status == "queued"
    assert (await house.ended(told["id"])).state.status == "completed"
