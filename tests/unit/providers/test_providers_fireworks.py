"""What is sent to Fireworks for images and recordings, and what is made of its odder answers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from media_steps import PNG, asked, billed, deployment, run, sent

from pulse_gateway.errors import (
    InvalidRequest,
    UnsupportedParameter,
    UpstreamError,
    UpstreamFailed,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRefusedContent,
)
from pulse_gateway.providers.compatible import FIREWORKS
from pulse_gateway.providers.offer import Download, OfferCall, Pause
from pulse_gateway.types.audio import AudioFile, TranscriptionRequest
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Payload, header
from pulse_gateway.types.images import ImageFile, ImageRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.multipart import FormPart, build_form, parse_form

BASE = "https://api.fireworks.ai/inference/v1"
SCHNELL = "accounts/fireworks/models/flux-1-schnell-fp8"
KONTEXT = "accounts/fireworks/models/flux-kontext-max"
SDXL = "accounts/fireworks/models/stable-diffusion-xl-1024-v1-0"
TAKEN = {"request_id": "r1"}
PENDING = {"id": "r1", "status": "Pending", "result": None}
READY = {"id": "r1", "status": "Ready", "result": {"sample": "https://cdn.example/a.png"}}


def images(model: str, request: ImageRequest, *answers: Any, **more: Any) -> tuple[Any, list[Any]]:
    offer = FIREWORKS.offer("image_edits" if request.images else "images", deployment(model))
    return run(offer, request, model, *answers, kind="fireworks", **more)


def seen(offer: Any, model: str, request: ImageRequest, *answers: Any) -> tuple[list[Any], UpstreamError]:
    """The steps until they fail, and how."""
    steps, answer, waiting, all_of_them = (
        offer.steps(request, OfferCall(deployment=deployment(model))),
        None,
        list(answers),
        [],
    )
    with pytest.raises(UpstreamError) as caught:
        while True:
            step = steps.send(answer)
            all_of_them.append(step)
            answer = None
            if isinstance(step, HttpRequest | Download):
                given = waiting.pop(0)
                answer = given if isinstance(given, HttpAnswer) else HttpAnswer(200, (), msgspec.json.encode(given))
    return all_of_them, caught.value


def test_several_images_are_several_calls_each_with_a_seed_of_its_own() -> None:
    reply, steps = images(SCHNELL, asked(n=2, seed=5, aspect_ratio="16:9", output_format="jpeg"), PNG, PNG)
    assert sent(steps) == [{"prompt": "a fox", "aspect_ratio": "16:9", "seed": seed} for seed in (5, 6)]
    assert {step.url for step in steps if isinstance(step, HttpRequest)} == {
        f"{BASE}/workflows/{SCHNELL}/text_to_image"
    }
    assert header(steps[0].headers, "accept") == "image/jpeg"
    assert [usage.images for usage in billed(steps)] == [1, 2]
    assert len(reply.images) == 2


def test_models_of_a_deployment_have_their_name_in_the_address_whatever_is_in_it() -> None:
    _, steps = images("accounts/me/models/flux-mine#me/d1", asked(), PNG)
    assert steps[0].url == f"{BASE}/workflows/accounts/me/models/flux-mine%23me/d1/text_to_image"


def test_a_job_is_looked_at_until_its_image_is_there_and_its_file_is_fetched_with_care() -> None:
    unknown = {"id": "r1", "status": "Task not found", "result": None}
    reply, steps = images(KONTEXT, asked(), TAKEN, unknown, PENDING, READY, PNG)
    assert [step.seconds for step in steps if isinstance(step, Pause)] == [0.5, 0.75, 1.125]
    assert steps[-1] == Download("https://cdn.example/a.png")
    assert (reply.images[0].content, reply.usage) == (PNG, Usage(images=1))
    reply, _ = images(KONTEXT, asked(response_format="url"), TAKEN, READY)
    assert reply.images[0].url == "https://cdn.example/a.png"


def test_the_key_is_shown_to_the_configured_address_alone() -> None:
    here = {**READY, "result": {"sample": f"{BASE}/files/a.png"}}
    _, steps = images(KONTEXT, asked(images=(ImageFile(url="https://a.example/b.png"),)), TAKEN, here, PNG)
    assert isinstance(steps[-1], HttpRequest) and header(steps[-1].headers, "authorization") == "Bearer k"
    assert sent(steps)[0]["input_image"] == "https://a.example/b.png"


@pytest.mark.parametrize(
    ("status", "result", "kind", "made"),
    [
        ("Content Moderated", None, UpstreamRefusedContent, 1),
        ("Request Moderated", None, UpstreamRefusedContent, 0),
        ("Error", None, UpstreamError, 0),
        ("Invented", None, UpstreamError, 0),
        ("Ready", None, UpstreamProtocolError, 1),
        ("Ready", {}, UpstreamProtocolError, 1),
    ],
)
def test_a_job_without_an_image_is_an_error_that_says_why(
    status: str, result: Any, kind: type[UpstreamError], made: int
) -> None:
    offer = FIREWORKS.offer("images", deployment(KONTEXT))
    steps, error = seen(offer, KONTEXT, asked(), TAKEN, {"id": "r1", "status": status, "result": result})
    assert type(error) is kind
    assert billed(steps) == [Usage(images=made)]


def test_a_job_that_stays_unknown_is_given_up() -> None:
    unknown = {"id": "r1", "status": "Task not found", "result": None}
    _, error = seen(FIREWORKS.offer("images", deployment(KONTEXT)), KONTEXT, asked(), TAKEN, *[unknown] * 6)
    assert type(error) is UpstreamFailed


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": "x"}'])
def test_what_is_no_image_is_none(body: bytes) -> None:
    _, error = seen(FIREWORKS.offer("images", deployment(SCHNELL)), SCHNELL, asked(), HttpAnswer(200, (), body))
    assert type(error) is UpstreamProtocolError


@pytest.mark.parametrize(
    ("model", "wish", "name"),
    [
        (SCHNELL, asked(images=(ImageFile(data=PNG),)), "images"),
        (SCHNELL, asked(seed=0), "seed"),
        (SCHNELL, asked(quality="high"), "quality"),
        (SCHNELL, asked(background="transparent"), "background"),
        (KONTEXT, asked(images=(ImageFile(data=PNG), ImageFile(data=PNG))), "images"),
        (KONTEXT, asked(negative_prompt="snow"), "negative_prompt"),
        (KONTEXT, asked(extra={"webhook_url": "https://a.example"}), "webhook_url"),
        (SDXL, asked(response_format="url"), "response_format"),
        (SDXL, asked(size="large"), "size"),
    ],
)
def test_what_it_cannot_be_asked_for_is_refused_by_name(model: str, wish: ImageRequest, name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        images(model, wish)
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("status", "kind"), [(412, UpstreamQuotaExhausted), (402, UpstreamQuotaExhausted), (520, UpstreamFailed)]
)
def test_what_its_statuses_mean(status: int, kind: type[UpstreamError]) -> None:
    assert type(FIREWORKS.error(status, (), b'{"error": {"message": "x", "object": "error"}}')) is kind


# ── recordings ────────────────────────────────────────────────────────────────────────────────────────────────────────


def form(*fields: tuple[str, str]) -> Payload:
    file = FormPart(name="file", data=b"RIFF....WAVE", filename="a.wav", content_type="audio/wav")
    return build_form([*(FormPart(name=name, data=value.encode()) for name, value in fields), file])


def forwarded(model: str, body: Payload, operation: str = "transcription", **more: Any) -> HttpRequest:
    to = msgspec.structs.replace(deployment(model, "fireworks"), **more)
    offer: Any = FIREWORKS.offer(operation, to)
    made: HttpRequest = offer.forward(body, OfferCall(deployment=to))
    return made


@pytest.mark.parametrize(
    ("model", "operation", "base_url", "url"),
    [
        ("whisper-v3", "transcription", "", "https://audio-prod.api.fireworks.ai/v1/audio/transcriptions"),
        ("whisper-v3-turbo", "translation", BASE, "https://audio-turbo.api.fireworks.ai/v1/audio/translations"),
        (
            "whisper-v3-turbo",
            "transcription",
            "https://mine.example/v1",
            "https://mine.example/v1/audio/transcriptions",
        ),
    ],
)
def test_recordings_are_heard_at_the_models_own_host_unless_an_address_is_configured(
    model: str, operation: str, base_url: str, url: str
) -> None:
    request = forwarded(model, form(("model", model)), operation, base_url=base_url)
    assert request.url == url
    assert header(request.headers, "authorization") == "Bearer k"


def test_a_form_goes_on_byte_by_byte_but_for_granularities_of_a_part_each() -> None:
    plain = form(("model", "whisper-v3"), ("diarize", "true"), ("timestamp_granularities", "word,segment"))
    assert forwarded("whisper-v3", plain).body == plain.data
    split = form(
        ("model", "whisper-v3"),
        ("timestamp_granularities[]", "word"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "segment"),
    )
    request = forwarded("whisper-v3", split)
    parts = parse_form(Payload(request.body, header(request.headers, "content-type") or ""))
    assert [(part.name, None if part.is_file else part.text()) for part in parts] == [
        ("timestamp_granularities", "word,segment"), ("model", "whisper-v3"), ("response_format", "verbose_json"), ("file", None),
    ]  # fmt: skip
    assert bytes(parts[-1].data) == b"RIFF....WAVE" and parts[-1].filename == "a.wav"


@pytest.mark.parametrize("name", ["languages", "keywords", "include", "known_speaker_names", "response_format"])
def test_what_it_does_not_hear_of_is_refused_within_the_dialect_too(name: str) -> None:
    fields: dict[str, Any] = {name: "diarized_json" if name == "response_format" else ("x",)}
    request = TranscriptionRequest(model="m", file=AudioFile(data=b"x"), **fields)
    written = [(name, "diarized_json")] if name == "response_format" else [(f"{name}[]", "x")]
    offer: Any = FIREWORKS.offer("transcription", deployment("whisper-v3"))
    for attempt in (
        lambda: offer.check(request, deployment("whisper-v3")),
        lambda: forwarded("whisper-v3", form(("model", "m"), *written)),
    ):
        with pytest.raises(UnsupportedParameter) as caught:
            attempt()
        assert caught.value.param == name
