"""The simulated Fireworks beside chat, and Replicate's models that speak, listen and embed: what is refused, what comes, and what is owed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from simulator_calls import Answered, Caller

from pulse_gateway.testing.simulator.media import image_size, image_type
from pulse_gateway.testing.simulator.openai.sounds import silence
from pulse_gateway.testing.simulator.samples import picture
from pulse_gateway.testing.simulator.stats import Record

WAV = silence("wav", 500)
DATA = "data:audio/wav;base64," + base64.b64encode(WAV).decode()
PNG = base64.b64encode(picture("image/png", 64, 64, (1, 2, 3))).decode()
AT = "/as/fireworks/inference/v1"
SCHNELL, KONTEXT, SDXL = (
    f"{AT}/workflows/accounts/fireworks/models/flux-1-schnell-fp8{{}}/text_to_image",
    f"{AT}/workflows/accounts/fireworks/models/flux-kontext-pro",
    f"{AT}/image_generation/accounts/fireworks/models/stable-diffusion-xl-1024-v1-0",
)
FOX = {"prompt": "a fox"}


def books(caller: Caller) -> list[Record]:
    return list(caller.application.statistics.snapshot().requests)


# ── Fireworks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (SCHNELL, FOX, 200),
        (SCHNELL, {**FOX, "aspect_ratio": "21:9", "seed": 5, "guidance_scale": 3.5, "num_inference_steps": 4}, 200),
        (SCHNELL, {**FOX, "aspect_ratio": "7:5"}, 400),
        (SCHNELL, {**FOX, "size": "1024x1024"}, 400),
        (SCHNELL, {**FOX, "input_image": PNG}, 400),
        (SCHNELL, {"prompt": ""}, 400),
        (SCHNELL.replace("flux-1-schnell-fp8", "gpt-oss-120b"), FOX, 404),
        (SCHNELL.replace("flux-1-schnell-fp8", "flux-kontext-pro"), FOX, 404),
        (KONTEXT, {**FOX, "input_image": PNG, "aspect_ratio": "16:9", "safety_tolerance": 2}, 200),
        (KONTEXT, {**FOX, "input_image": "https://a.example/b.png", "aspect_ratio": "13:7"}, 200),
        (KONTEXT, {**FOX, "input_image": "a picture"}, 400),
        (KONTEXT, {**FOX, "aspect_ratio": "5:1"}, 400),
        (KONTEXT, {**FOX, "aspect_ratio": "wide"}, 400),
        (KONTEXT, {**FOX, "output_format": "webp"}, 400),
        (KONTEXT, {**FOX, "negative_prompt": "snow"}, 400),
        (SDXL, {**FOX, "negative_prompt": "snow", "width": 1024, "height": 768}, 200),
        (SDXL, {**FOX, "width": 1000}, 200),
        (SDXL, {**FOX, "width": 1001}, 400),
        (SDXL, {**FOX, "aspect_ratio": "1:1"}, 400),
        (SDXL, {**FOX, "samples": 2}, 400),
    ],
)
def test_what_fireworks_takes_is_taken_and_nothing_else(path: str, body: dict[str, Any], status: int) -> None:
    answer = Caller().post(path.replace("{}", ""), body)
    assert answer.status == status, answer.body


def test_pictures_come_as_they_are_accepted() -> None:
    caller = Caller()
    png = caller.post(SCHNELL.format(""), {**FOX, "aspect_ratio": "16:9", "seed": 9})
    assert (image_type(png.body), image_size(png.body)) == ("image/png", (1024, 576))
    assert (png.headers["finish-reason"], png.headers["seed"]) == ("SUCCESS", "9")
    jpeg = caller.send("POST", SCHNELL.format("+refusal"), json.dumps(FOX).encode(), accept="image/jpeg")
    assert (image_type(jpeg.body), jpeg.headers["finish-reason"]) == ("image/jpeg", "CONTENT_FILTERED")
    told = caller.send("POST", SCHNELL.format(""), json.dumps(FOX).encode(), accept="application/json").json
    assert told["finishReason"] == "SUCCESS" and told["base64"][0].startswith("data:image/png;base64,")
    two = caller.send("POST", SDXL, json.dumps({**FOX, "samples": 2}).encode(), accept="application/json").json
    assert [each["finishReason"] for each in two] == ["SUCCESS"] * 2
    assert caller.send("POST", SCHNELL.format(""), json.dumps(FOX).encode(), accept="text/html").status == 406
    assert [record.units["images"] for record in books(caller) if record.status == 200] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("suffix", "ending", "units"),
    [
        ("", "Ready", {"images": 1}),
        ("+refusal", "Request Moderated", {}),
        ("+blocked", "Content Moderated", {"images": 1}),
        ("+fail", "Error", {}),
    ],
)
def test_a_job_of_kontexts_goes_on_as_it_is_looked_at(suffix: str, ending: str, units: dict[str, int]) -> None:
    caller, path = Caller(), f"{KONTEXT}{suffix}"
    began = caller.post(path, FOX).json
    looks = [caller.post(f"{path}/get_result", {"id": began["request_id"]}).json for _ in range(3)]
    assert [look["status"] for look in looks] == ["Pending", "Pending", ending]
    assert books(caller)[0].units == units
    assert (looks[-1]["result"] is not None) is (ending == "Ready")
    if ending == "Ready":
        file = caller.send("GET", looks[-1]["result"]["sample"].removeprefix("http://simulator"))
        assert image_type(file.body) == "image/png"
    assert caller.post(f"{KONTEXT}/get_result", {"id": "of nobody"}).json["status"] == "Task not found"


def hear(caller: Caller, model: str, *fields: tuple[str, str], operation: str = "transcriptions") -> Answered:
    files = [("file", "a.wav", WAV)]
    return caller.form(f"{AT}/audio/{operation}", [("model", model), *fields], files)


def test_fireworks_writes_down_and_counts_nothing() -> None:
    caller = Caller()
    told = hear(caller, "whisper-v3").json
    assert set(told) == {"text"} and told["text"].startswith("[audio:1 wav ")
    times = ("timestamp_granularities", "word,segment")
    verbose = hear(caller, "whisper-v3-turbo", ("response_format", "verbose_json"), times).json
    assert (verbose["duration"], verbose["task"]) == (0.5, "transcribe")
    assert verbose["words"] and verbose["segments"] and "usage" not in verbose
    assert hear(caller, "whisper-v3", operation="translations").json["text"]
    assert [record.units for record in books(caller)] == [{"audio_ms": 500}] * 3


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([("stream", "true")], 400),
        ([("include[]", "logprobs")], 400),
        ([("timestamp_granularities[]", "word"), ("response_format", "verbose_json")], 400),
        ([("timestamp_granularities", "word")], 400),
        ([("response_format", "diarized_json")], 400),
        ([("diarize", "true")], 400),
        ([("temperature", "warm")], 400),
        ([("vad_model", "silero"), ("preprocessing", "dynamic"), ("temperature", "0.0,0.2")], 200),
    ],
)
def test_members_that_fireworks_ears_do_not_know_are_refused(fields: list[tuple[str, str]], status: int) -> None:
    assert hear(Caller(), "whisper-v3", *fields).status == status


def test_fireworks_listens_with_two_models() -> None:
    assert hear(Caller(), "whisper-1").status == 404
    assert hear(Caller(), "whisper-v3+status=503").status == 503


# ── Replicate ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def predicted(caller: Caller, model: str, sent: dict[str, Any], *, by_version: bool = False) -> Answered:
    body: dict[str, Any] = {"input": sent, **({"version": model} if by_version else {})}
    path = "/v1/predictions" if by_version else f"/v1/models/{model}/predictions"
    return caller.send("POST", path, json.dumps(body).encode(), prefer="wait", content_type="application/json")


@pytest.mark.parametrize(
    ("model", "sent", "status"),
    [
        ("minimax/speech-02-turbo", {"text": "Hi", "voice_id": "Wise_Woman", "audio_format": "wav"}, 201),
        ("minimax/speech-02-turbo", {"input": "Hi"}, 422),
        ("minimax/speech-02-turbo", {"text": "Hi", "speed": 3}, 422),
        ("minimax/speech-02-turbo", {"text": "Hi", "audio_format": "opus"}, 422),
        ("openai/gpt-4o-transcribe", {"audio_file": DATA}, 201),
        ("openai/gpt-4o-transcribe", {"audio": DATA}, 422),
        ("openai/gpt-4o-transcribe", {"audio_file": "a.wav"}, 422),
        ("openai/whisper", {"audio": DATA}, 404),
        ("jaaari/kokoro-82m", {"text": "Hi"}, 404),
    ],
)
def test_official_models_check_what_they_are_given_and_others_go_by_version(
    model: str, sent: dict[str, Any], status: int
) -> None:
    assert predicted(Caller(), model, sent).status == status


def output(caller: Caller, model: str, sent: dict[str, Any]) -> Any:
    answer = predicted(caller, model, sent, by_version=True)
    assert answer.status == 201, answer.body
    return answer.json["output"]


def test_models_that_listen_give_shapes_of_their_own() -> None:
    caller = Caller()
    pieces = output(caller, "openai/gpt-4o-transcribe", {"audio_file": DATA})
    assert "".join(pieces).startswith(f"[audio:1 wav {len(WAV)} bytes]")
    whole = output(caller, "openai/whisper", {"audio": DATA, "translate": True, "language": "ar"})
    assert whole["detected_language"] == "arabic" and whole["translation"] and whole["segments"][0]["end"] <= 0.5
    chunks = output(caller, "vaibhavs10/incredibly-fast-whisper", {"audio": DATA, "timestamp": "word"})
    assert "".join(each["text"] for each in chunks["chunks"]) == chunks["text"].rstrip()
    aligned = output(caller, "victor-upmeet/whisperx", {"audio_file": DATA, "align_output": True})
    assert aligned["segments"][0]["words"][0]["word"] == "[audio:1"
    assert [record.units.get("audio_ms") for record in books(caller)] == [500, None, None, None]


def test_a_model_that_speaks_gives_silence_as_long_as_the_text() -> None:
    caller = Caller()
    url = output(caller, "minimax/speech-02-turbo", {"text": "x" * 50, "audio_format": "wav"})
    file = caller.send("GET", url.removeprefix("http://simulator"))
    assert file.body == silence("wav", 500)
    assert books(caller)[0].units["characters"] == 50


def test_models_that_embed_read_a_list_in_json() -> None:
    caller = Caller()
    [cat, dog] = output(caller, "beautyyuyanli/multilingual-e5-large", {"texts": '["cat","dog"]'})
    assert len(cat) == len(dog) == 1024 and cat != dog
    [same] = output(caller, "beautyyuyanli/multilingual-e5-large", {"texts": '["cat"]'})
    assert same == cat
    [first, _] = output(caller, "replicate/all-mpnet-base-v2", {"text_batch": '["cat","dog"]'})
    assert len(first["embedding"]) == 768
    for wrong in ("cat", '["cat", 1]', '{"a": "b"}'):
        assert predicted(caller, "nateraw/bge-large-en-v1.5", {"texts": wrong}, by_version=True).status == 422
