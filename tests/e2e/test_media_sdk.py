"""Images and sound through OpenAI's own SDK over sockets, from every vendor that has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError
from pulse_process import Pulse, Simulation

from pulse_gateway.testing.simulator.samples import picture
from pulse_gateway.wire.audio.formats import wav

PNG = picture("image/png", 1024, 1024, (10, 20, 30))
SOUND = wav(b"\0\1" * 48_000, rate=24_000)
MAKERS = ("gpt-image-2", "google:gemini-3.1-flash-image", "replicate:google/nano-banana", "stability:ultra")
SPEAKERS = (("openai:tts-1", "alloy"), ("google:gemini-3.8-flash-tts", "Kore"))
LISTENERS = ("gpt-4o-transcribe", "openai:whisper-1", "google:gemini-3.8-flash")


@pytest.fixture
async def client(pulse: Pulse) -> AsyncIterator[AsyncOpenAI]:
    made = AsyncOpenAI(base_url=f"{pulse.url}/v1", api_key=pulse.key, max_retries=0)
    yield made
    await made.close()


@pytest.mark.parametrize("model", MAKERS)
async def test_images_are_made_and_edited(client: AsyncOpenAI, model: str) -> None:
    made = await client.images.generate(model=model, prompt="ثعلب أحمر", n=2)
    assert len(made.data or []) == 2
    assert all(each.b64_json for each in made.data or [])
    edited = await client.images.edit(model=model, prompt="blue", image=("a.png", PNG, "image/png"))
    assert edited.data and edited.data[0].b64_json


async def test_several_files_and_a_mask_are_sent_as_the_sdk_sends_them(client: AsyncOpenAI) -> None:
    files = [("a.png", PNG, "image/png"), ("b.png", PNG, "image/png")]
    edited = await client.images.edit(model="gpt-image-2", prompt="blue", image=files, mask=("m.png", PNG, "image/png"))
    assert edited.usage is not None and edited.usage.input_tokens_details.image_tokens > 0
    with pytest.raises(BadRequestError) as caught:
        await client.images.edit(model="google:gemini-3-pro-image", prompt="blue", image=files, mask=files[0])
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "mask")


@pytest.mark.parametrize("model", MAKERS)
async def test_images_are_streamed(client: AsyncOpenAI, model: str) -> None:
    stream = await client.images.generate(model=model, prompt="a fox", stream=True, partial_images=1)
    events: list[Any] = [event async for event in stream]
    assert events[-1].type == "image_generation.completed"
    assert events[-1].b64_json
    assert [event.type for event in events[:-1]] == ["image_generation.partial_image"] * (model == "gpt-image-2")


@pytest.mark.parametrize(("model", "voice"), SPEAKERS)
async def test_a_text_is_spoken(client: AsyncOpenAI, model: str, voice: str) -> None:
    speech = client.audio.speech.with_streaming_response
    async with speech.create(model=model, voice=voice, input="Good morning", response_format="wav") as answer:
        assert (await answer.read())[:4] == b"RIFF"
        assert answer.headers["content-type"] == "audio/wav"


@pytest.mark.parametrize("model", LISTENERS)
async def test_a_recording_is_written_down(client: AsyncOpenAI, model: str) -> None:
    file = ("a.wav", SOUND, "audio/wav")
    whole = await client.audio.transcriptions.create(model=model, file=file)
    assert whole.text and whole.usage is not None
    events = [event async for event in await client.audio.transcriptions.create(model=model, file=file, stream=True)]
    assert (events[0].type, events[-1].type) == ("transcript.text.delta", "transcript.text.done")


async def test_a_recording_becomes_subtitles_and_english(client: AsyncOpenAI) -> None:
    file = ("a.wav", SOUND, "audio/wav")
    subtitles: Any = await client.audio.transcriptions.create(
        model="openai:whisper-1", file=file, response_format="srt"
    )
    assert "-->" in subtitles
    timed = await client.audio.transcriptions.create(
        model="openai:whisper-1", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert timed.words and timed.segments
    with pytest.warns(DeprecationWarning):  # the vendor is about to end it
        assert (await client.audio.translations.create(model="openai:whisper-1", file=file)).text


async def test_sound_that_breaks_off_upstream_breaks_off_here_and_the_server_goes_on(pulse: Pulse) -> None:
    """The end of the connection without the end of the answer: nobody can take what came for the whole."""
    body = {"model": "openai:tts-1+drop=2", "voice": "alloy", "input": "x" * 200, "response_format": "pcm"}
    headers = {"authorization": f"Bearer {pulse.key}"}
    async with httpx.AsyncClient(base_url=pulse.url, headers=headers, trust_env=False) as client:
        received = b""
        with pytest.raises(httpx.RemoteProtocolError):
            async with client.stream("POST", "/v1/audio/speech", json=body) as answer:
                assert answer.status_code == 200
                async for piece in answer.aiter_raw():
                    received += piece
        assert len(received) >= 4096  # what came before it broke off
        whole = await client.post("/v1/audio/speech", json={**body, "model": "openai:tts-1"})
        assert len(whole.content) > len(received)


async def test_a_client_that_leaves_stops_the_prediction_it_waited_for(pulse: Pulse, simulation: Simulation) -> None:
    model = "replicate:black-forest-labs/flux-schnell+polls=1000"

    async def seen(operation: str) -> None:
        async with asyncio.timeout(30):
            while operation not in {
                each["operation"] for each in simulation.stats()["requests"] if each["model"] in model
            }:
                await asyncio.sleep(0.05)

    headers = {"authorization": f"Bearer {pulse.key}"}
    async with httpx.AsyncClient(base_url=pulse.url, headers=headers, trust_env=False) as client:
        body = {"model": model, "prompt": "a fox"}
        waiting = asyncio.create_task(client.post("/v1/images/generations", json=body, timeout=60))
        await seen("poll")
        waiting.cancel()
        await asyncio.wait([waiting])
    await seen("cancel")
