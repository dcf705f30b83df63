"""Fireworks' and Replicate's images, sound and vectors through the whole gateway, against the simulator over real sockets."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from media_parts import (
    PNG,
    alias,
    asked,
    edit,
    edit_form,
    error_of,
    files,
    gateway_to,
    image,
    listen,
    read,
    sound,
    speak,
)

from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.wire.picture import image_size, image_type

FIREWORKS = "fireworks:accounts/fireworks/models"
SCHNELL, KONTEXT = f"{FIREWORKS}/flux-1-schnell-fp8", f"{FIREWORKS}/flux-kontext-pro"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


async def test_fireworks_images_are_charged_by_the_piece(simulator: Simulator) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        made = files(await image(gateway, SCHNELL, n=2, size="1280x720", output_format="jpeg"))
        assert [image_type(each) for each in made] == ["image/jpeg"] * 2
        [edited] = files(await edit(gateway, edit_form(KONTEXT, PNG, size="1024x1024")))
        assert image_size(edited) == "1024x1024"
    assert [(entry.images, entry.cost_nano_usd) for entry in ledger.entries] == [(2, 2 * 1_400_000), (1, 40_000_000)]


async def test_kontexts_image_may_be_had_by_its_address(simulator: Simulator) -> None:
    async with gateway_to(simulator.url) as gateway:
        reply = await image(gateway, f"{KONTEXT}+polls=0", response_format="url")
    assert read(reply)["data"][0]["url"].startswith(f"{simulator.url}/as/fireworks/pictures/")


@pytest.mark.parametrize(
    ("model", "images"),
    [(f"{SCHNELL}+refusal", 1), (f"{KONTEXT}+refusal,polls=0", 0), (f"{KONTEXT}+blocked,polls=0", 1)],
)
async def test_what_fireworks_filter_held_back_is_a_refusal(simulator: Simulator, model: str, images: int) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        assert error_of(await image(gateway, model))[:2] == (400, "content_blocked")
    assert ledger.entries[0].images == images


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("fireworks:whisper-v3", 50_000),  # two seconds of 0.0015 a minute
        ("fireworks:whisper-v3-turbo", 30_000),
        ("replicate:openai/gpt-4o-transcribe", None),
        ("replicate:victor-upmeet/whisperx", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_recording_is_written_down_whole_and_as_events(
    simulator: Simulator, model: str, cost: int | None, stream: bool
) -> None:
    ledger = MemoryLedger()
    async with gateway_to(simulator.url, ledger) as gateway:
        fields: Any = {"stream": "true"} if stream else {}
        reply = await listen(gateway, model, **fields)
    assert reply.status == 200, reply.body
    if stream:
        events = [json.loads(line[6:]) for line in reply.body.decode().splitlines() if line.startswith("data: ")]
        assert [event["type"] for event in events] == ["transcript.text.delta", "transcript.text.done"]
        assert events[0]["delta"] == events[1]["text"]
    else:
        assert read(reply)["text"].startswith("[audio:1 wav ")
    [entry] = ledger.entries
    assert (entry.usage.audio_ms, entry.cost_nano_usd) == (2000, cost)


@pytest.mark.parametrize("model", ["fireworks:whisper-v3", "replicate:openai/whisper"])
@pytest.mark.parametrize(("form", "start"), [("srt", b"1\n00:00:00,000 --> 00:00:0"), ("vtt", b"WEBVTT\n\n")])
async def test_subtitles_are_the_vendors_or_made_of_its_times(
    simulator: Simulator, model: str, form: str, start: bytes
) -> None:
    async with gateway_to(simulator.url) as gateway:
        reply = await listen(gateway, model, response_format=form)
    assert reply.status == 200 and reply.body.startswith(start)
    assert b" --> 00:00:02" in reply.body


async def test_a_model_whose_inputs_nobody_knows_is_passed_over(simulator: Simulator) -> None:
    aliases = alias(
        "replicate:somebody/listens", "replicate:vaibhavs10/incredibly-fast-whisper", "fireworks:whisper-v3"
    )
    async with gateway_to(simulator.url, models=aliases) as gateway:
        assert read(await listen(gateway, "pictures", translate=True, audio=sound(1)))["text"]
    created = [each for each in simulator.stats().requests if each.operation == "create"]
    assert [each.model for each in created] == ["vaibhavs10/incredibly-fast-whisper"]


async def test_a_long_recording_is_uploaded_and_a_look_that_fails_begins_nothing_anew(simulator: Simulator) -> None:
    model = "replicate:openai/gpt-4o-transcribe+polls=1,at=poll,status=503,first=1"
    async with gateway_to(simulator.url, attempts=3) as gateway:
        assert read(await listen(gateway, model, audio=sound(8)))["text"].startswith("[audio:1 elsewhere]")
    asked_for = [each.operation for each in simulator.stats().requests]
    assert (asked_for.count("upload"), asked_for.count("create")) == (1, 1)


async def test_speech_comes_as_sound_and_as_events(simulator: Simulator) -> None:
    ledger, model = MemoryLedger(), "replicate:minimax/speech-02-turbo"
    async with gateway_to(simulator.url, ledger) as gateway:
        reply = await speak(gateway, model, "Wise_Woman", response_format="pcm")
        assert dict(reply.headers)["content-type"] == "audio/pcm" and len(reply.body) % 2 == 0
        told = await speak(gateway, model, "Wise_Woman", stream_format="sse", response_format="wav", emotion="happy")
        [delta, _] = [json.loads(line[6:]) for line in told.body.decode().splitlines() if line.startswith("data: ")]
        assert base64.b64decode(delta["audio"])[:4] == b"RIFF"
        failed = await speak(gateway, f"{model}+refusal", "Wise_Woman")
        assert error_of(failed)[:2] == (400, "content_blocked")
    assert [entry.usage.characters for entry in ledger.entries] == [18, 18, 0]


@pytest.mark.parametrize("model", ["beautyyuyanli/multilingual-e5-large", "replicate/all-mpnet-base-v2"])
async def test_texts_are_embedded_and_tokens_are_estimated(simulator: Simulator, model: str) -> None:
    body = {"model": f"replicate:{model}", "input": ["قطة", "dog"], "encoding_format": "float", "user": "u"}
    async with gateway_to(simulator.url) as gateway:
        reply = await gateway.handle(asked(gateway, "openai.embeddings", "embeddings", body))
    assert reply.status == 200, reply.body
    headers = dict(reply.headers)
    assert (headers["x-pulse-usage"], headers["x-pulse-dropped"]) == ("estimated", "user")
    told = read(reply)
    assert len(told["data"]) == 2 and told["usage"]["prompt_tokens"] > 0
