"""What the simulated Mistral, OpenRouter and Perplexity take beside chat in words of their own, what they give, and what they owe."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from simulator_calls import Answered, Caller

from pulse_gateway.testing.simulator.openai.sounds import silence
from pulse_gateway.testing.simulator.samples import picture

PNG = f"data:image/png;base64,{base64.b64encode(picture('image/png', 8, 8, (1, 2, 3))).decode()}"
TOOLS = [{"type": "image_generation"}]
TURN = {"role": "user", "content": [{"type": "image_url", "image_url": PNG}, {"type": "text", "text": "a hat"}]}
DRAW: dict[str, Any] = {"model": "mistral-medium-latest", "inputs": "a fox", "tools": TOOLS, "store": False}
SAY: dict[str, Any] = {"model": "voxtral-mini-tts-latest", "input": "Hello", "voice_id": "gb_jane_neutral"}
MAKE: dict[str, Any] = {"model": "org/painter", "prompt": "a fox"}
READ: dict[str, Any] = {"model": "openai/tts-1", "input": "Hello", "voice": "alloy"}
SOUND = base64.b64encode(silence("wav", 1500)).decode()
HEAR: dict[str, Any] = {"model": "openai/whisper-1", "input_audio": {"data": SOUND, "format": "wav"}}
FILM: dict[str, Any] = {"model": "google/veo-3.1", "prompt": "a fox", "duration": 4}
EMBED: dict[str, Any] = {"model": "pplx-embed-v1-0.6b", "input": ["a", "b"], "dimensions": 128}
MISTRAL, ROUTER, PPLX = "/as/mistral/v1", "/as/openrouter/api/v1", "/as/perplexity/v1"
PATHS = {
    f"{MISTRAL}/conversations": DRAW,
    f"{MISTRAL}/audio/speech": SAY,
    f"{ROUTER}/images": MAKE,
    f"{ROUTER}/audio/speech": READ,
    f"{ROUTER}/audio/transcriptions": HEAR,
    f"{ROUTER}/videos": FILM,
    f"{PPLX}/embeddings": EMBED,
}


@pytest.mark.parametrize(
    ("path", "members", "status"),
    [
        (f"{MISTRAL}/conversations", {"inputs": [TURN]}, 200),
        (f"{MISTRAL}/conversations", {"inputs": []}, 400),
        (f"{MISTRAL}/conversations", {"agent_id": "ag_1"}, 400),
        (f"{MISTRAL}/conversations", {"messages": []}, 422),
        (f"{MISTRAL}/audio/speech", {"voice_id": None, "ref_audio": "AAAA"}, 200),
        (f"{MISTRAL}/audio/speech", {"ref_audio": "AAAA"}, 400),
        (f"{MISTRAL}/audio/speech", {"voice_id": "alloy"}, 404),
        (f"{MISTRAL}/audio/speech", {"voice": "gb_jane_neutral"}, 422),
        (f"{MISTRAL}/audio/speech", {"response_format": "aac"}, 422),
        (f"{MISTRAL}/audio/speech", {"model": "mistral-embed"}, 400),
        (f"{ROUTER}/images", {"input_references": [{"type": "image_url", "image_url": {"url": PNG}}]}, 200),
        (f"{ROUTER}/images", {"size": "2K", "aspect_ratio": "16:9"}, 200),
        (f"{ROUTER}/images", {"size": "1024x1024", "aspect_ratio": "16:9"}, 400),
        (f"{ROUTER}/images", {"aspect_ratio": "7:9"}, 400),
        (f"{ROUTER}/images", {"background": "transparent", "output_format": "jpeg"}, 400),
        (f"{ROUTER}/images", {"model": "google/painter", "n": 2}, 400),
        (f"{ROUTER}/images", {"style": "vivid"}, 400),
        (f"{ROUTER}/audio/speech", {"response_format": "wav"}, 400),
        (f"{ROUTER}/audio/transcriptions", {"input_audio": {"data": "AAAA", "format": "wav"}}, 400),
        (f"{ROUTER}/audio/transcriptions", {"prompt": "names"}, 400),
        (f"{ROUTER}/videos", {"size": "large"}, 400),
        (f"{PPLX}/embeddings", {"encoding_format": "base64_binary"}, 200),
        (f"{PPLX}/embeddings", {"encoding_format": "float"}, 422),
        (f"{PPLX}/embeddings", {"dimensions": 64}, 422),
        (f"{PPLX}/embeddings", {"input": ["a", ""]}, 422),
        (f"{PPLX}/embeddings", {"input": [1, 2]}, 422),
        (f"{PPLX}/embeddings", {"model": "sonar"}, 422),
    ],
)
def test_what_the_vendors_take_is_taken_and_nothing_else(path: str, members: dict[str, Any], status: int) -> None:
    answer = Caller().post(path, {**PATHS[path], **members})
    assert answer.status == status, answer.body


ODD: list[Any] = [None, -1, "", "text", [], {}, [{"type": ["x"]}], {"url": {}}]


@pytest.mark.parametrize("path", PATHS)
def test_an_odd_value_anywhere_is_answered(path: str) -> None:
    caller, body = Caller(), PATHS[path]
    for value in ODD:
        for name in (*body, "inputs", "size", "frame_images", "input_references"):
            answered = caller.post(path, {**body, name: value})
            assert answered.status in {200, 202, 400, 404, 422}, (name, value)
            assert answered.status < 300 or answered.json


def drawn(caller: Caller, suffix: str = "") -> Answered:
    return caller.post(f"{MISTRAL}/conversations", {**DRAW, "model": f"mistral-medium-latest{suffix}"})


def test_what_mistrals_tool_has_made_can_be_fetched_until_it_is_forgotten() -> None:
    caller = Caller()
    answer = drawn(caller).json
    execution, message = answer["outputs"]
    assert (execution["type"], message["type"]) == ("tool.execution", "message.output")
    path = f"{MISTRAL}/files/{message['content'][1]['file_id']}/content"
    assert caller.send("GET", path).body.startswith(b"\x89PNG")
    books = caller.application.statistics.snapshot().requests
    assert sum(msgspec.structs.astuple(books[0].billed)) == answer["usage"]["total_tokens"]
    assert books[0].units == {"images": 1}
    assert caller.send("GET", path, authorization="").status == 401
    assert caller.send("DELETE", path).status == 405
    caller.application.reset()
    assert caller.send("GET", path).status == 404


def test_a_refusal_of_mistrals_is_words() -> None:
    [message] = drawn(Caller(), "+refusal").json["outputs"]
    assert [part["type"] for part in message["content"]] == ["text"]


def test_raw_samples_of_mistrals_are_floats_and_its_streams_events() -> None:
    caller = Caller()
    sizes = {}
    for kind in ("pcm", "wav"):
        data = caller.post(f"{MISTRAL}/audio/speech", {**SAY, "response_format": kind}).json["audio_data"]
        sizes[kind] = len(base64.b64decode(data))
    assert sizes["pcm"] == 2 * (sizes["wav"] - 44)
    events = caller.post(f"{MISTRAL}/audio/speech", {**SAY, "stream": True}).body
    assert events.startswith(b"event: speech.audio.delta\n") and b"event: speech.audio.done\n" in events


def test_images_and_recordings_of_openrouters_come_with_what_they_cost() -> None:
    caller = Caller()
    made = caller.post(f"{ROUTER}/images", {**MAKE, "n": 2, "seed": 7}).json
    assert len({image["b64_json"] for image in made["data"]}) == 2
    assert round(made["usage"]["cost"] * 10**9) == made["usage"]["total_tokens"] * 30_000
    heard = caller.post(f"{ROUTER}/audio/transcriptions", {**HEAR, "response_format": "verbose_json"}).json
    assert (heard["duration"], heard["usage"]["seconds"], heard["segments"][0]["text"]) == (1.5, 1.5, heard["text"])


def test_a_video_of_openrouters_is_fetched_with_the_key_once_it_is_done() -> None:
    caller = Caller()
    begun = caller.post(f"{ROUTER}/videos", FILM)
    path = f"{ROUTER}/videos/{begun.json['id']}"
    assert (begun.status, begun.json["status"], caller.send("GET", f"{path}/content").status) == (202, "pending", 404)
    assert [caller.send("GET", path).json["status"] for _ in range(3)] == ["in_progress", "in_progress", "completed"]
    assert caller.send("GET", f"{path}/content").body[4:8] == b"ftyp"
    assert caller.send("GET", f"{path}/content", authorization="").status == 401
    assert caller.application.statistics.snapshot().requests[0].units == {"videos": 1, "video_ms": 4000}


def test_perplexitys_bits_are_the_signs_of_its_numbers() -> None:
    caller = Caller()
    shown = {
        form: [
            base64.b64decode(each["embedding"])
            for each in caller.post(f"{PPLX}/embeddings", {**EMBED, "encoding_format": form}).json["data"]
        ]
        for form in ("base64_int8", "base64_binary")
    }
    for numbers, bits in zip(shown["base64_int8"], shown["base64_binary"], strict=True):
        assert (len(numbers), len(bits)) == (128, 16)
        assert [bits[at // 8] >> at % 8 & 1 for at in range(128)] == [int(number < 128) for number in numbers]
