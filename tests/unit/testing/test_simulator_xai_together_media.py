"""The simulated media of xAI and Together: what is refused, what a job says while it goes on, and what is owed."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from simulator_calls import Answered, Caller

from pulse_gateway.testing.simulator.openai.sounds import silence
from pulse_gateway.testing.simulator.samples import picture

PNG = "data:image/png;base64," + base64.b64encode(picture("image/png", 64, 64, (1, 2, 3))).decode()
GROK, GROK_2 = (
    {"model": "grok-imagine-image", "prompt": "a hat"},
    {"model": "grok-imagine-image-2.0", "prompt": "a hat"},
)
KONTEXT = {"model": "black-forest-labs/FLUX.1-kontext-pro", "prompt": "a hat"}
FLUX_2 = {"model": "black-forest-labs/FLUX.2-pro", "prompt": "a hat"}
CLIP = {"model": "grok-imagine-video", "prompt": "a fox"}
SAID = {"text": "Good morning", "voice_id": "eve", "language": "auto"}
MADE = {"model": "google/veo-3.0", "prompt": "a fox"}
READ = {"model": "cartesia/sonic-2", "input": "Good morning", "voice": "tara"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("xai/v1/images/edits", {**GROK, "image": {"url": PNG, "type": "image_url"}}, 200),
        ("xai/v1/images/edits", {**GROK, "images": [{"url": PNG}, {"url": "https://a.example/b.png"}]}, 200),
        ("xai/v1/images/edits", {**GROK_2, "image": {"url": PNG}, "quality": "low"}, 200),
        ("xai/v1/images/edits", {**GROK, "image": {"url": PNG}, "quality": "low"}, 400),
        ("xai/v1/images/edits", GROK, 400),
        ("xai/v1/images/edits", {**GROK, "image": {"url": PNG}, "size": "1024x1024"}, 400),
        ("xai/v1/images/edits", {**GROK, "image": {"url": PNG}, "mask": {"url": PNG}}, 400),
        ("xai/v1/images/edits", {**GROK, "images": [{"url": PNG}] * 4}, 400),
        ("xai/v1/images/edits", {**GROK, "image": {"url": "file.png"}}, 400),
        ("xai/v1/images/edits", {**GROK, "image": {"url": PNG.replace("png", "jpeg", 1)}}, 400),
        ("xai/v1/images/edits", {**GROK, "image": {"url": PNG}, "aspect_ratio": "7:1"}, 400),
        ("xai/v1/videos/generations", {**CLIP, "image": {"url": PNG}, "duration": 15, "resolution": "720p"}, 200),
        ("xai/v1/videos/generations", {**CLIP, "duration": 16}, 400),
        ("xai/v1/videos/generations", {**CLIP, "resolution": "1080p"}, 400),
        ("xai/v1/videos/generations", {**CLIP, "seconds": "4"}, 400),
        ("xai/v1/videos/generations", {"model": "grok-imagine-video"}, 400),
        ("xai/v1/videos/generations", {**CLIP, "model": "grok-4.7"}, 404),
        ("xai/v1/tts", SAID, 200),
        ("xai/v1/tts", {**SAID, "output_format": {"codec": "wav", "sample_rate": 24000}, "speed": 1.5}, 200),
        ("xai/v1/tts", {**SAID, "speed": 2}, 400),
        ("xai/v1/tts", {**SAID, "voice_id": "alloy"}, 400),
        ("xai/v1/tts", {**SAID, "language": "Arabic!"}, 400),
        ("xai/v1/tts", {**SAID, "text": ""}, 400),
        ("xai/v1/tts", {**SAID, "output_format": {"codec": "wav", "bit_rate": 64000}}, 400),
        ("xai/v1/tts", {"text": "a"}, 400),
        ("together/v1/images/generations", {**KONTEXT, "image_url": PNG, "aspect_ratio": "16:9"}, 200),
        ("together/v1/images/generations", {**FLUX_2, "reference_images": [PNG, PNG]}, 200),
        ("together/v1/images/generations", {**KONTEXT, "reference_images": [PNG]}, 400),
        ("together/v1/images/generations", {**FLUX_2, "model": "a/b", "image_url": PNG}, 400),
        ("together/v2/videos", {**MADE, "width": 1280, "height": 720, "seconds": "8"}, 200),
        ("together/v2/videos", {**MADE, "media": {"frame_images": [{"input_image": PNG, "frame": "first"}]}}, 200),
        ("together/v2/videos", {**MADE, "media": {"frame_images": [{"input_image": PNG.partition(",")[2]}]}}, 200),
        ("together/v2/videos", {**MADE, "media": {"frame_images": [{"input_image": "a picture"}]}}, 400),
        ("together/v2/videos", {**MADE, "seconds": 8}, 400),
        ("together/v2/videos", {**MADE, "size": "1280x720"}, 400),
        ("together/v2/videos", {**MADE, "model": "veo"}, 404),
        ("together/v1/audio/speech", READ, 200),
        ("together/v1/audio/speech", {**READ, "response_format": "pcm"}, 400),
        ("together/v1/audio/speech", {**READ, "stream_format": "sse"}, 400),
        ("together/v1/audio/speech", {**READ, "response_format": "raw", "response_encoding": "pcm_f32le"}, 400),
    ],
)
def test_what_the_vendors_take_is_taken_and_nothing_else(path: str, body: dict[str, Any], status: int) -> None:
    answer = Caller().post(f"/as/{path}", body)
    assert answer.status == status, answer.body


ODD: list[Any] = [None, -1, "", "text", [], {}, [{"url": ["x"]}], {"url": {}}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("xai/v1/images/edits", {**GROK, "image": {"url": PNG}, "n": 1, "aspect_ratio": "1:1", "resolution": "1k"}),
        ("xai/v1/videos/generations", {**CLIP, "image": {"url": PNG}, "duration": 4, "resolution": "720p"}),
        ("xai/v1/tts", {**SAID, "output_format": {"codec": "mp3"}, "speed": 1, "replace": {"a": "b"}}),
        ("together/v1/images/generations", {**FLUX_2, "reference_images": [PNG], "width": 64, "height": 64}),
        ("together/v2/videos", {**MADE, "seconds": "8", "width": 1280, "media": {"frame_images": []}}),
        ("together/v1/audio/speech", {**READ, "response_format": "raw", "sample_rate": 24_000}),
    ],
)
def test_an_odd_value_anywhere_is_answered(path: str, body: dict[str, Any]) -> None:
    caller = Caller()
    inner = [(name, key) for name, value in body.items() if isinstance(value, dict) for key in value]
    for value in ODD:
        odd = [{**body, name: value} for name in body]
        odd += [{**body, name: {**body[name], key: value}} for name, key in inner]
        for each in odd:
            answered = caller.post(f"/as/{path}", each)
            assert answered.status in {200, 400, 404}, each
            assert answered.status == 200 or answered.json


def begun(caller: Caller, vendor: str, suffix: str = "") -> str:
    if vendor == "xai":
        body = {**CLIP, "model": f"grok-imagine-video{suffix}", "duration": 4}
        return str(caller.post("/as/xai/v1/videos/generations", body).json["request_id"])
    return str(
        caller.post("/as/together/v2/videos", {**MADE, "model": f"google/veo-3.0{suffix}", "seconds": "4"}).json["id"]
    )


def looked(caller: Caller, vendor: str, job_id: str) -> Answered:
    return caller.send("GET", f"/as/{vendor}/{'v1' if vendor == 'xai' else 'v2'}/videos/{job_id}")


@pytest.mark.parametrize("vendor", ["xai", "together"])
def test_a_job_is_done_after_a_while_and_owed_once_it_is(vendor: str) -> None:
    caller = Caller()
    job_id = begun(caller, vendor)
    seen = [looked(caller, vendor, job_id) for _ in range(3)]
    if vendor == "xai":
        assert [(each.status, each.body[:9]) for each in seen[:2]] == [(202, b""), (202, b'{"status"')]
        done = seen[2].json
        assert (done["status"], done["usage"]) == ("done", {"cost_in_usd_ticks": 4 * 800_000_000})
        url = done["video"]["url"]
    else:
        assert [each.json["status"] for each in seen] == ["in_progress", "in_progress", "completed"]
        url = seen[2].json["outputs"]["video_url"]
    looked(caller, vendor, job_id)
    books = caller.application.statistics.snapshot().requests
    assert [each.units for each in books if each.units] == [{"videos": 1, "video_ms": 4000}]
    assert caller.send("GET", url.removeprefix("http://simulator"), authorization="").body[4:8] == b"ftyp"
    assert looked(caller, vendor, "0" * 32).status == 404
    assert caller.send("DELETE", f"/as/{vendor}/v1/videos/{job_id}").status == 405
    caller.application.reset()
    assert looked(caller, vendor, job_id).status == 404


@pytest.mark.parametrize("vendor", ["xai", "together"])
@pytest.mark.parametrize("spec", ["fail=internal,polls=0", "filtered=1,polls=0"])
def test_a_job_that_comes_to_nothing_is_owed_nothing(vendor: str, spec: str) -> None:
    caller = Caller()
    ended = looked(caller, vendor, begun(caller, vendor, f"+{spec}")).json
    if vendor == "xai":
        held_back = ended.get("video", {}).get("respect_moderation") is False
        assert ended["status"] == "failed" or held_back
    else:
        assert ended["status"] == "failed"
    assert not any(each.units for each in caller.application.statistics.snapshot().requests)


def test_what_the_filter_holds_back_has_no_bytes() -> None:
    answer = Caller().post("/as/xai/v1/images/edits", {**GROK, "image": {"url": PNG}, "n": 2}, x_simulate="filtered=1")
    made, held_back = answer.json["data"]
    assert made["url"] and not held_back["respect_moderation"] and "url" not in held_back


def form(*fields: tuple[str, str], last: bool = True, data: bytes = silence("wav", 1500)) -> Answered:
    caller = Caller()
    if last:
        return caller.form("/as/xai/v1/stt", list(fields), [("file", "a.wav", data)])
    boundary = "b"
    parts = [
        b'form-data; name="file"; filename="a.wav"\r\n\r\n' + data,
        *[f'form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields],
    ]
    body = b"".join(b"--b\r\nContent-Disposition: " + part + b"\r\n" for part in parts) + b"--b--\r\n"
    return caller.send("POST", "/as/xai/v1/stt", body, content_type=f"multipart/form-data; boundary={boundary}")


def test_speech_is_written_down_with_the_times_of_words_and_two_speakers() -> None:
    heard = form(("model", "grok-voice-transcribe-2.0"), ("diarize", "true"), ("keyterm", "a"), ("keyterm", "b")).json
    assert heard["duration"] == 1.5
    assert " ".join(word["text"] for word in heard["words"]) == heard["text"]
    assert {word["speaker"] for word in heard["words"]} == {0, 1}


@pytest.mark.parametrize(
    "fields",
    [
        [("format", "true")],
        [("language", "ar"), ("language", "en")],
        [("diarize", "yes")],
        [("response_format", "json")],
    ],
)
def test_what_xai_does_not_take_of_a_recording_is_refused(fields: list[tuple[str, str]]) -> None:
    assert form(*fields).status == 400


def test_the_recording_has_to_be_one_and_the_last_field() -> None:
    assert form(("language", "ar"), last=False).status == 400
    assert form(data=b"no sound").status == 400
    assert form(("model", "whisper-1")).status == 404
