"""Images and sound through a whole gateway, in OpenAI's dialect, from the simulated OpenAI, Google, Replicate and Stability."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from media_parts import (
    PNG,
    alias,
    asked,
    dropped,
    edit,
    edit_form,
    error_of,
    files,
    gateway_to,
    image,
    listen,
    read,
    speak,
)

from pulse_gateway import Gateway, Outcome
from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing.simulator import Simulator
from pulse_gateway.types.usage import UsageSource
from pulse_gateway.wire.picture import image_size, image_type


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=0) as running:
        yield running


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
async def gateway(simulator: Simulator, ledger: MemoryLedger) -> AsyncIterator[Gateway]:
    async with gateway_to(simulator.url, ledger) as running:
        yield running


def last(ledger: MemoryLedger) -> UsageEntry:
    return list(ledger.entries)[-1]


# ── images ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "fields", "kind", "size"),
    [
        ("gpt-image-2", {"size": "1536x1024", "quality": "low"}, "image/png", "1536x1024"),
        ("google:gemini-3.1-flash-image", {"size": "2048x2048"}, "image/png", "2048x2048"),
        ("google:gemini-3-pro-image", {"aspect_ratio": "16:9"}, "image/jpeg", "1344x768"),
        ("replicate:black-forest-labs/flux-schnell", {"output_format": "jpeg"}, "image/jpeg", "1024x1024"),
        ("replicate:google/nano-banana", {"size": "1536x1024"}, "image/jpeg", "1216x832"),
        ("stability:core", {"output_format": "webp"}, "image/webp", "1536x1536"),
        ("stability:sd3.5-large", {"size": "1024x1536", "style": "anime"}, "image/png", "832x1216"),
    ],
)
async def test_every_vendor_makes_as_many_images_as_were_asked_for(
    gateway: Gateway, ledger: MemoryLedger, model: str, fields: dict[str, Any], kind: str, size: str
) -> None:
    reply = await image(gateway, model, n=2, **fields)
    made = files(reply)
    assert len(made) == 2
    assert [image_type(data) for data in made] == [kind] * 2
    assert [image_size(data) for data in made] == [size] * 2
    assert read(reply)["size"] == size
    entry = last(ledger)
    assert (entry.images, entry.source, entry.outcome) == (2, UsageSource.PROVIDER, Outcome.COMPLETED)
    assert entry.usage.images == 2


@pytest.mark.parametrize(
    ("model", "fields", "name"),
    [
        ("google:gemini-3.1-flash-image", {"size": "1792x1024"}, "size"),
        ("google:gemini-2.5-flash-image", {"size": "2048x2048"}, "size"),
        ("google:gemini-3.1-flash-image", {"quality": "high"}, "quality"),
        ("google:gemini-3.1-flash-image", {"background": "transparent"}, "background"),
        ("google:gemini-3.1-flash-image", {"output_format": "png"}, "output_format"),
        ("google:gemini-3.1-flash-image", {"response_format": "url"}, "response_format"),
        ("google:gemini-3.1-flash-image", {"size": "large"}, "size"),
        ("google:gemini-3.1-flash-image", {"size": "1024x1024", "aspect_ratio": "16:9"}, "aspect_ratio"),
        ("google:gemini-3.1-flash-image", {"complexity": "high"}, "complexity"),
        ("replicate:black-forest-labs/flux-dev", {"quality": "high"}, "quality"),
        ("replicate:black-forest-labs/flux-dev", {"output_format": "gif"}, "output_format"),
        ("stability:core", {"response_format": "url"}, "response_format"),
        ("stability:sd3.5-large", {"output_format": "webp"}, "output_format"),
        ("stability:core", {"style": "vivid"}, "style"),
        ("stability:erase", {}, "model"),
    ],
)
async def test_what_a_vendor_cannot_express_is_refused_by_name_before_anything_is_sent(
    gateway: Gateway, simulator: Simulator, model: str, fields: dict[str, Any], name: str
) -> None:
    assert error_of(await image(gateway, model, **fields)) == (400, "unsupported_parameter", name)
    assert simulator.stats().requests == []


async def test_what_is_approximated_or_left_out_is_named(gateway: Gateway) -> None:
    reply = await image(gateway, "google:gemini-3-pro-image", size="1536x1024", user="u", moderation="low")
    assert dropped(reply) == "user, moderation, size"
    assert dropped(await image(gateway, "google:gemini-3-pro-image", size="1024x1024")) is None


@pytest.mark.parametrize(
    ("model", "spec"),
    [
        ("google:gemini-3.1-flash-image", "finish=IMAGE_SAFETY"),
        ("google:gemini-3.1-flash-image", "finish=NO_IMAGE"),
        ("google:gemini-3.1-flash-image", "blocked"),
        ("replicate:black-forest-labs/flux-schnell", "refusal"),
        ("stability:sd3.5-large", "refusal"),
        ("stability:sd3.5-large", "blocked"),
    ],
)
async def test_a_refusal_of_content_is_the_callers_400_and_costs_no_image(
    gateway: Gateway, ledger: MemoryLedger, model: str, spec: str
) -> None:
    status, code, _ = error_of(await image(gateway, f"{model}+{spec}"))
    assert (status, code) == (400, "content_blocked")
    assert last(ledger).images == 0


async def test_a_version_that_replicate_does_not_have_is_a_model_that_is_not_there(gateway: Gateway) -> None:
    assert error_of(await image(gateway, "replicate:black-forest-labs/flux-schnell+status=422"))[:2] == (
        404,
        "model_not_found",
    )


@pytest.mark.parametrize(
    ("spec", "status", "code"),
    [
        ("status=429,retry-after=3", 429, "upstream_rate_limited"),
        ("status=402", 503, "upstream_quota_exhausted"),
        ("status=401", 502, "upstream_unauthorized"),
        ("status=422,code=bad_request", 400, "upstream_rejected"),
        ("status=404", 404, "model_not_found"),
        ("status=500", 502, "upstream_error"),
        ("html", 502, "upstream_error"),
    ],
)
@pytest.mark.parametrize("model", ["replicate:black-forest-labs/flux-schnell", "stability:sd3.5-large"])
async def test_errors_of_the_vendors_without_a_dialect_are_read_too(
    gateway: Gateway, model: str, spec: str, status: int, code: str
) -> None:
    reply = await image(gateway, f"{model}+{spec}")
    assert error_of(reply)[:2] == (status, code)
    if "retry-after" in spec:
        assert dict(reply.headers)["retry-after"] == "3"


async def test_a_prediction_is_looked_at_until_it_is_done(gateway: Gateway, simulator: Simulator) -> None:
    reply = await image(gateway, "replicate:black-forest-labs/flux-schnell+polls=1")
    assert len(files(reply)) == 1
    assert sum(record.operation != "chat" for record in simulator.stats().requests) >= 3


async def test_replicates_addresses_are_given_to_who_asks_for_them(gateway: Gateway, simulator: Simulator) -> None:
    reply = await image(gateway, "replicate:black-forest-labs/flux-schnell", response_format="url")
    assert read(reply)["data"][0]["url"].startswith(simulator.url)


async def test_a_model_of_replicates_gets_inputs_of_its_own(gateway: Gateway) -> None:
    assert len(files(await image(gateway, "replicate:black-forest-labs/flux-schnell", input={"go_fast": True}))) == 1
    status, code, _ = error_of(await image(gateway, "replicate:black-forest-labs/flux-schnell", input={"nonsense": 1}))
    assert (status, code) == (400, "upstream_rejected")


async def test_fallbacks_make_the_image_when_the_first_vendor_cannot(gateway: Gateway, simulator: Simulator) -> None:
    names = ("google:gemini-3.1-flash-image+status=503", "replicate:google/nano-banana", "stability:core")
    async with gateway_to(simulator.url, attempts=3, models=alias(*names)) as falling:
        assert len(files(await image(falling, "pictures"))) == 1
        refused = await image(falling, "pictures", negative_prompt="a hen", style="anime")
        assert dict(refused.headers)["x-pulse-provider"] == "stability"


@pytest.mark.parametrize("model", ["gpt-image-2", "google:gemini-3.1-flash-image", "stability:core"])
async def test_a_stream_of_images_ends_with_a_completed_event_and_its_usage(
    gateway: Gateway, ledger: MemoryLedger, model: str
) -> None:
    reply = await image(gateway, model, stream=True, partial_images=2)
    async with reply:
        body = b"".join([item async for item in reply])
    assert dict(reply.headers)["content-type"].startswith("text/event-stream")
    assert body.count(b'"image_generation.completed"') == 1
    assert body.count(b'"image_generation.partial_image"') == (2 if model == "gpt-image-2" else 0)
    assert (last(ledger).images, last(ledger).source) == (1, UsageSource.PROVIDER)


# ── edits ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "model",
    [
        "gpt-image-2",
        "google:gemini-3.1-flash-image",
        "replicate:google/nano-banana",
        "stability:ultra",
        "stability:sd3.5-medium",
        "stability:inpaint",
    ],
)
async def test_an_image_is_edited(gateway: Gateway, model: str) -> None:
    made = files(await edit(gateway, edit_form(model, PNG)))
    assert len(made) == 1 and image_type(made[0]) is not None


async def test_several_images_and_a_mask_go_where_they_can(gateway: Gateway) -> None:
    assert files(await edit(gateway, edit_form("gpt-image-2", PNG, PNG)))
    assert files(await edit(gateway, edit_form("google:gemini-3.1-flash-image", PNG, PNG)))
    assert files(await edit(gateway, edit_form("stability:inpaint", PNG, mask=PNG)))
    refused = await edit(gateway, edit_form("google:gemini-3.1-flash-image", PNG, mask=PNG))
    assert error_of(refused) == (400, "unsupported_parameter", "mask")
    refused = await edit(gateway, edit_form("stability:ultra", PNG, PNG))
    assert error_of(refused) == (400, "unsupported_parameter", "image")


async def test_a_large_image_is_uploaded_to_replicate_first(gateway: Gateway, simulator: Simulator) -> None:
    reply = await edit(gateway, edit_form("replicate:google/nano-banana", PNG + b"\0" * 300_000))
    assert files(reply)
    assert len(simulator.stats().requests) == 3  # the upload, the prediction, the file


# ── sound ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "voice", "fields", "kind", "start"),
    [
        ("openai:tts-1", "alloy", {}, "audio/mpeg", b""),
        ("gpt-4o-mini-tts", "alloy", {"response_format": "wav", "instructions": "slowly"}, "audio/wav", b"RIFF"),
        ("google:gemini-3.8-flash-tts", "Kore", {}, "audio/wav", b"RIFF"),
        ("google:gemini-3.8-flash-tts", "Kore", {"response_format": "pcm", "instructions": "slowly"}, "audio/pcm", b""),
    ],
)
async def test_a_text_is_spoken_and_its_characters_are_counted(
    gateway: Gateway, ledger: MemoryLedger, model: str, voice: str, fields: dict[str, Any], kind: str, start: bytes
) -> None:
    reply = await speak(gateway, model, voice, **fields)
    async with reply:
        sound = b"".join([item async for item in reply])
    assert reply.status == 200
    assert dict(reply.headers)["content-type"] == kind
    assert sound.startswith(start) and len(sound) > 100
    usage = last(ledger).usage
    assert usage.characters == len("Good morning, fox.")
    assert bool(usage.audio_output_tokens) == (model != "openai:tts-1")  # which is sold by the character


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"speed": 1.5}, "speed"),
        ({"voice": "alloy"}, "voice"),
        ({"voice": {"id": "voice_1"}}, "voice"),
    ],
)
async def test_what_gemini_cannot_speak_is_refused_by_name(gateway: Gateway, fields: dict[str, Any], name: str) -> None:
    body = {"voice": "Kore", **fields}
    reply = await speak(gateway, "google:gemini-3.8-flash-tts", body.pop("voice"), **body)
    assert error_of(reply) == (400, "unsupported_parameter", name)


@pytest.mark.parametrize(("model", "voice"), [("gpt-4o-mini-tts", "alloy"), ("google:gemini-3.8-flash-tts", "Kore")])
async def test_speech_comes_as_events_too(gateway: Gateway, ledger: MemoryLedger, model: str, voice: str) -> None:
    reply = await speak(gateway, model, voice, stream_format="sse")
    async with reply:
        body = b"".join([item async for item in reply])
    assert b"speech.audio.delta" in body and body.count(b"speech.audio.done") >= 1
    assert last(ledger).source is UsageSource.PROVIDER


async def test_sound_that_breaks_off_is_cut_and_still_counted(gateway: Gateway, ledger: MemoryLedger) -> None:
    reply = await speak(gateway, "openai:tts-1+drop=1", "alloy", response_format="pcm")
    async with reply:
        assert b"".join([item async for item in reply])
        assert reply.cut
    entry = last(ledger)
    assert (entry.outcome, entry.usage.characters) == (Outcome.INTERRUPTED, len("Good morning, fox."))


@pytest.mark.parametrize(
    ("model", "fields", "kind"),
    [
        ("gpt-4o-transcribe", {}, "application/json"),
        ("openai:whisper-1", {"response_format": "verbose_json"}, "application/json"),
        ("openai:whisper-1", {"response_format": "srt"}, "text/plain"),
        ("google:gemini-3.8-flash", {"language": "en"}, "application/json"),
        ("google:gemini-3.8-flash", {"response_format": "text"}, "text/plain"),
    ],
)
async def test_a_recording_is_written_down_and_its_length_is_counted(
    gateway: Gateway, ledger: MemoryLedger, model: str, fields: dict[str, str], kind: str
) -> None:
    reply = await listen(gateway, model, **fields)
    assert reply.status == 200, reply.body
    assert dict(reply.headers)["content-type"].startswith(kind)
    assert last(ledger).usage.audio_ms == 2000
    if kind == "application/json":
        assert read(reply)["text"]


@pytest.mark.parametrize("model", ["openai:whisper-1", "google:gemini-3.8-flash"])
async def test_a_recording_is_translated(gateway: Gateway, model: str) -> None:
    assert read(await listen(gateway, model, translate=True))["text"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"response_format": "srt"}, "response_format"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"include[]": "logprobs"}, "include"),
        ({"chunking_strategy": '{"type": "server_vad"}'}, "chunking_strategy"),
        ({"invented": "1"}, "invented"),
    ],
)
async def test_what_gemini_cannot_write_down_is_refused_by_name(
    gateway: Gateway, fields: dict[str, str], name: str
) -> None:
    reply = await listen(gateway, "google:gemini-3.8-flash", **fields)
    assert error_of(reply) == (400, "unsupported_parameter", name)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("gpt-4o-transcribe", {}),
        ("google:gemini-3.8-flash", {}),
        ("openai:whisper-1", {}),  # it passes over that wish
        ("openai:whisper-1", {"response_format": "srt"}),
    ],
)
async def test_a_transcript_comes_as_events_too(
    gateway: Gateway, ledger: MemoryLedger, model: str, fields: dict[str, str]
) -> None:
    reply = await listen(gateway, model, stream="true", **fields)
    async with reply:
        body = b"".join([item async for item in reply])
    assert dict(reply.headers)["content-type"].startswith("text/event-stream")
    assert b"transcript.text.delta" in body and b"transcript.text.done" in body
    assert last(ledger).outcome is Outcome.COMPLETED


@pytest.mark.parametrize("model", ["replicate:black-forest-labs/flux-schnell", "stability:core"])
async def test_vendors_of_images_refuse_a_chat_by_naming_the_model(gateway: Gateway, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    assert error_of(await gateway.handle(asked(gateway, "openai.chat", "chat", body))) == (
        400,
        "unsupported_parameter",
        "model",
    )


# ── the library ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["gpt-image-2", "stability:ultra"])
async def test_a_program_makes_and_edits_images(gateway: Gateway, model: str) -> None:
    made = await gateway.image(model=model, prompt="a fox", user="u1", n=2)
    assert [image_type(each.content) for each in made.images] == ["image/png"] * 2
    edited = await gateway.edit_image(model=model, prompt="blue", images=[made.images[0].content], user="u1")
    assert image_type(edited.images[0].content) == "image/png"
    with pytest.raises(UnsupportedParameter, match="complexity"):
        await gateway.image(model="stability:ultra", prompt="a fox", user="u1", complexity="high")


@pytest.mark.parametrize(
    ("speaker", "voice", "listener"),
    [("openai:tts-1", "alloy", "openai:whisper-1"), ("google:gemini-3.8-flash-tts", "Kore", "google:gemini-3.8-flash")],
)
async def test_a_program_speaks_and_listens(gateway: Gateway, speaker: str, voice: str, listener: str) -> None:
    said = await gateway.speak(model=speaker, input="Good morning", voice=voice, user="u1", response_format="wav")
    assert said.media_type == "audio/wav"
    heard = await gateway.transcribe(model=listener, file=said.audio, user="u1")
    assert heard.text
    assert (await gateway.transcribe(model=listener, file=said.audio, user="u1", translate=True)).text


async def test_a_program_that_waits_no_longer_stops_the_prediction(gateway: Gateway, simulator: Simulator) -> None:
    running = asyncio.create_task(image(gateway, "replicate:black-forest-labs/flux-schnell+polls=1000"))

    async def seen(operation: str) -> None:
        async with asyncio.timeout(20):
            while operation not in {record.operation for record in simulator.stats().requests}:
                await asyncio.sleep(0.01)

    await seen("poll")
    running.cancel()
    await asyncio.wait([running])
    await seen("cancel")


async def test_a_form_that_is_sent_again_with_another_boundary_is_the_same_request(
    gateway: Gateway, simulator: Simulator
) -> None:
    first = asked(gateway, "openai.images.edits", "image_edits", edit_form("gpt-image-2", PNG), idempotency_key="k")
    boundary = first.content_type.partition("boundary=")[2]
    again = msgspec.structs.replace(
        first,
        body=first.body.replace(boundary.encode(), b"another"),
        content_type="multipart/form-data; boundary=another",
    )
    other = asked(
        gateway, "openai.images.edits", "image_edits", edit_form("gpt-image-2", PNG, n="2"), idempotency_key="k"
    )
    assert files(await gateway.handle(first)) == files(replayed := await gateway.handle(again))
    assert dict(replayed.headers)["idempotent-replayed"] == "true"
    assert len(simulator.stats().requests) == 1
    assert (await gateway.handle(other)).status == 409
