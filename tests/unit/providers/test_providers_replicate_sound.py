"""Replicate's models that speak, listen and embed: what they are sent, each in its own words, and what is made of what they give."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from media_steps import billed, deployment, run, sent

from pulse_gateway.errors import (
    AnswerInterrupted,
    InvalidRequest,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamRefusedContent,
)
from pulse_gateway.providers.offer import Billed, Download, OfferCall, OnAbandon, Pause
from pulse_gateway.providers.replicate import REPLICATE
from pulse_gateway.types.audio import AudioFile, Segment, SpeechRequest, TranscriptionReply, TranscriptionRequest
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingRequest
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Payload, header
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.transcript import encode_reply
from pulse_gateway.wire.multipart import parse_form

WAV = b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 24
MINIMAX, KOKORO = "minimax/speech-02-turbo", "jaaari/kokoro-82m"
WHISPER, FAST, WHISPERX, GPT = (
    "openai/whisper",
    "vaibhavs10/incredibly-fast-whisper",
    "victor-upmeet/whisperx",
    "openai/gpt-4o-transcribe",
)
FILE = "https://x.replicate.delivery/a.wav"


def done(output: Any) -> dict[str, Any]:
    return {"id": "p1", "status": "succeeded", "output": output}


def offered(operation: str, model: str) -> Any:
    return REPLICATE.offer(operation, deployment(model, "replicate"))


def speech(model: str, *answers: Any, **fields: Any) -> tuple[Any, list[Any]]:
    wish = SpeechRequest(**{"model": "alias", "input": "مرحبا", "voice": "v", **fields})
    return run(offered("speech", model), wish, model, *answers, kind="replicate")


def heard(
    model: str, *answers: Any, translate: bool = False, data: bytes = WAV, **fields: Any
) -> tuple[Any, list[Any]]:
    wish = TranscriptionRequest(
        model="alias", file=AudioFile(data=data, media_type="audio/wav", name="a.wav"), **fields
    )
    return run(offered("translation" if translate else "transcription", model), wish, model, *answers, kind="replicate")


def embedded(model: str, *answers: Any, **fields: Any) -> tuple[Any, list[Any]]:
    texts = (EmbeddingInput(text="قطة"), EmbeddingInput(text="dog"))
    wish = EmbeddingRequest(**{"model": "alias", "input": texts, **fields})
    return run(offered("embeddings", model), wish, model, *answers, kind="replicate")


def failing(offer: Any, wish: Any, model: str, prediction: dict[str, Any]) -> tuple[list[Any], UpstreamError]:
    """What is billed of a prediction that has ended like that, and the error."""
    steps = offer.steps(wish, OfferCall(deployment=deployment(model, "replicate")))
    step, seen = next(steps), list[Any]()
    with pytest.raises(UpstreamError) as caught:
        while True:
            seen.append(step)
            answer = HttpAnswer(201, (), msgspec.json.encode(prediction)) if isinstance(step, HttpRequest) else None
            step = steps.send(answer)
    return billed(seen), caught.value


# ── speech ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_that_speaks_is_asked_in_its_own_words_and_its_file_is_fetched() -> None:
    reply, steps = speech(MINIMAX, done(FILE), b"pcm", response_format="pcm", speed=1.5, extra={"emotion": "happy"})
    assert sent(steps) == [
        {"input": {"text": "مرحبا", "voice_id": "v", "speed": 1.5, "audio_format": "pcm", "sample_rate": 24000, "emotion": "happy"}}
    ]  # fmt: skip
    assert steps[-1].url == FILE and header(steps[-1].headers, "authorization") is None
    assert (reply.audio, reply.media_type, reply.usage) == (b"pcm", "audio/pcm", Usage(characters=5))


@pytest.mark.parametrize(
    ("model", "version"), [(KOKORO, KOKORO), (f"{KOKORO}:{'a' * 64}", f"{KOKORO}:{'a' * 64}"), (MINIMAX, None)]
)
def test_models_that_are_not_official_are_asked_for_by_version(model: str, version: str | None) -> None:
    _, steps = speech(model, done({"audio": FILE}), WAV if "kokoro" in model else b"ID3...........")
    path = f"models/{MINIMAX}/predictions" if version is None else "predictions"
    assert steps[0].url == f"https://api.replicate.com/v1/{path}"
    assert sent(steps)[0].get("version") == version


def test_sound_at_an_address_of_somebody_elses_is_fetched_with_care() -> None:
    _, steps = speech(KOKORO, done("https://elsewhere.example/a.wav"), WAV)
    assert isinstance(steps[-1], Download)
    inline = "data:audio/wav;base64," + base64.b64encode(WAV).decode()
    assert speech(KOKORO, done(inline))[0].audio == WAV


@pytest.mark.parametrize(
    ("output", "file"),
    [
        (None, None),
        ([], None),
        ({"text": "x"}, None),
        (FILE, b""),
        (FILE, b"<html>"),
        ("data:audio/wav;base64,é", None),
    ],
)
def test_a_prediction_that_succeeded_without_sound_is_an_error(output: Any, file: bytes | None) -> None:
    with pytest.raises(UpstreamProtocolError):
        speech(KOKORO, done(output), *(() if file is None else (file,)))


@pytest.mark.parametrize(
    ("prediction", "kind"),
    [
        ({"status": "failed", "error": "flagged as sensitive (E005)"}, UpstreamRefusedContent),
        ({"status": "failed", "error": {"no": "text"}}, UpstreamError),
        ({"status": "canceled"}, UpstreamError),
    ],
)
def test_what_failed_costs_nothing(prediction: dict[str, Any], kind: type[UpstreamError]) -> None:
    for operation, model, wish, free in (
        ("speech", MINIMAX, SpeechRequest(model="a", input="x", voice="v"), Usage(characters=0)),
        ("transcription", GPT, TranscriptionRequest(model="a", file=AudioFile(data=WAV)), Usage(audio_ms=0)),
        ("embeddings", "replicate/all-mpnet-base-v2", EmbeddingRequest(model="a", input=()), Usage(input_tokens=0)),
    ):
        used, error = failing(offered(operation, model), wish, model, {"id": "p1", **prediction})
        assert used == [free]
        assert type(error) is kind


def test_a_look_that_fails_ends_no_prediction_that_is_billed() -> None:
    offer = offered("speech", KOKORO)
    wish = SpeechRequest(model="a", input="x", voice="v")
    steps = offer.steps(wish, OfferCall(deployment=deployment(KOKORO, "replicate")))
    running = HttpAnswer(201, (), msgspec.json.encode({"id": "p1", "status": "starting"}))
    next(steps)
    assert isinstance(steps.send(running), OnAbandon)
    steps.send(None)  # a pause
    for _ in range(2):
        look = steps.send(None)
        assert isinstance(look, HttpRequest) and look.method == "GET"
        steps.throw(UpstreamOverloaded("busy"))  # answered with a pause
    steps.send(None)
    assert steps.send(HttpAnswer(200, (), msgspec.json.encode(done(FILE)))) == OnAbandon(None)
    assert steps.send(None) == Billed(Usage(characters=1))
    steps.send(None)
    for _ in range(3):
        assert isinstance(steps.throw(UpstreamOverloaded("busy")), Pause)  # nor is a file that is there made again
        assert isinstance(steps.send(None), HttpRequest)
    with pytest.raises(AnswerInterrupted):  # which the same deployment is not asked again after
        steps.throw(UpstreamOverloaded("busy"))


# ── recordings ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "fields", "output", "inputs", "text"),
    [
        (GPT, {"prompt": "Zayd", "language": "ar", "temperature": 0.2}, ["مر", "حبا"],
         {"prompt": "Zayd", "language": "ar", "temperature": 0.2}, "مرحبا"),
        (GPT, {}, "one piece", {}, "one piece"),
        (WHISPER, {"prompt": "Zayd", "language": "ar"}, {"transcription": " a", "segments": [], "detected_language": "arabic"},
         {"initial_prompt": "Zayd", "language": "ar"}, "a"),
        (WHISPER, {"translate": True}, {"transcription": " x", "translation": " a"}, {"translate": True}, "a"),
        (FAST, {"language": "ar"}, {"text": " a", "chunks": []}, {"language": "arabic"}, "a"),
        (FAST, {"translate": True}, {"text": " a"}, {"task": "translate"}, "a"),
        (WHISPERX, {"temperature": 0}, {"segments": [{"text": " a", "start": 0, "end": 1}, {"text": " b", "start": 1, "end": 2}]},
         {"temperature": 0}, "a b"),
    ],
)  # fmt: skip
def test_each_model_that_listens_has_words_of_its_own(
    model: str, fields: dict[str, Any], output: Any, inputs: dict[str, Any], text: str
) -> None:
    reply, steps = heard(model, done(output), **fields)
    given = sent(steps)[0]["input"]
    file = given.pop("audio_file", None) or given.pop("audio")
    assert file.startswith("data:audio/wav;base64,")
    assert given == inputs
    assert reply == TranscriptionReply(text=text, usage=Usage(audio_ms=1))


TIMED = {
    WHISPER: {"transcription": "a b", "detected_language": "english", "segments": [{"text": " a b", "start": 0, "end": 1.5}]},
    FAST: {"text": "a b", "chunks": [{"text": " a b", "timestamp": [0, 1.5]}]},
    WHISPERX: {
        "detected_language": "en",
        "segments": [
            {"text": " a b", "start": 0, "end": 1.5, "words": [{"word": "a", "start": 0, "end": 1}, {"word": "b"}]}
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("model", [WHISPER, FAST, WHISPERX])
@pytest.mark.parametrize("form", ["verbose_json", "srt", "vtt"])
def test_times_are_told_and_make_subtitles(model: str, form: str) -> None:
    reply, _ = heard(model, done(TIMED[model]), response_format=form)
    assert reply.segments == (Segment(text=" a b", start_s=0, end_s=1.5),)
    said = encode_reply(reply, TranscriptionRequest(model="a", file=AudioFile(data=WAV), response_format=form)).data
    if form == "srt":
        assert said == b"1\n00:00:00,000 --> 00:00:01,500\na b\n"
    elif form == "vtt":
        assert said == b"WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na b\n"


def test_the_times_of_words_are_told_where_they_are_known() -> None:
    wanted: dict[str, Any] = {"response_format": "verbose_json", "timestamp_granularities": ("word",)}
    words = {"text": "a b", "chunks": [{"text": " a", "timestamp": [0, 1]}, {"text": " b", "timestamp": [1, None]}]}
    reply, steps = heard(FAST, done(words), **wanted)
    assert sent(steps)[0]["input"]["timestamp"] == "word"
    assert [word["end"] for word in reply.words] == [1, 1] and reply.segments is None
    reply, steps = heard(WHISPERX, done(TIMED[WHISPERX]), **{**wanted, "timestamp_granularities": ("word", "segment")})
    assert sent(steps)[0]["input"]["align_output"] is True
    assert [word["word"] for word in reply.words] == ["a"] and len(reply.segments) == 1


@pytest.mark.parametrize(
    ("model", "output"),
    [
        (WHISPER, {"transcription": "a b", "segments": None}),
        (FAST, {"text": "a b", "chunks": None}),
        (WHISPERX, {"segments": [{"text": "a b", "words": None}]}),
    ],
)
def test_a_text_without_times_is_a_text(model: str, output: Any) -> None:
    reply, _ = heard(model, done(output))
    assert reply.text == "a b"


@pytest.mark.parametrize("far", [1e5 * 3600, 1e306, 1e308])
def test_subtitles_end_where_their_clock_does(far: float) -> None:
    reply = TranscriptionReply(text="a", segments=(Segment(text="a", start_s=-far, end_s=far),))
    said = encode_reply(reply, TranscriptionRequest(model="a", file=AudioFile(data=WAV), response_format="srt")).data
    assert said == b"1\n00:00:00,000 --> 99:59:59,999\na\n"


def test_a_long_recording_is_uploaded_and_that_is_free() -> None:
    data = WAV + b"\0" * 256_000
    uploaded = {"id": "f", "urls": {"get": "https://api.replicate.com/v1/files/f"}}
    _, steps = heard(GPT, uploaded, done(["a"]), data=data)
    form = Payload(steps[0].body, header(steps[0].headers, "content-type") or "")
    [part] = parse_form(form)
    assert (part.name, part.filename, bytes(part.data) == data) == ("content", "a.wav", True)
    assert steps[1] == Billed(Usage())
    assert msgspec.json.decode(steps[2].body)["input"] == {"audio_file": "https://api.replicate.com/v1/files/f"}


@pytest.mark.parametrize(
    ("model", "output"),
    [(GPT, None), (GPT, [1]), (WHISPER, "text"), (WHISPER, {}), (FAST, {"chunks": 1}), (FAST, {}), (WHISPERX, []), (WHISPERX, {})],
)  # fmt: skip
def test_what_is_no_transcript_is_none(model: str, output: Any) -> None:
    with pytest.raises(UpstreamProtocolError):
        heard(model, done(output))


# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "inputs", "output"),
    [
        ("beautyyuyanli/multilingual-e5-large", {"texts": '["قطة","dog"]'}, [[1, 0], [0, 1]]),
        ("nateraw/bge-large-en-v1.5", {"texts": '["قطة","dog"]', "convert_to_numpy": False}, [[1, 0], [0, 1]]),
        ("replicate/all-mpnet-base-v2", {"text_batch": '["قطة","dog"]'}, [{"embedding": [1, 0]}, {"embedding": [0, 1]}]),
    ],
)  # fmt: skip
def test_all_texts_are_embedded_in_one_prediction(model: str, inputs: dict[str, Any], output: Any) -> None:
    reply, steps = embedded(model, done(output))
    assert sent(steps) == [{"input": inputs, "version": model}]
    assert reply.vectors == ([1, 0], [0, 1]) and reply.usage is None


@pytest.mark.parametrize(
    "output",
    [
        None,
        "https://x.example/a.npy",
        [[1.0]],
        [[], []],
        [["x"], [1]],
        [{"embedding": [1]}] * 2,
        [[1], None],
        [[1, 2], [1]],
    ],
)
def test_what_is_no_list_of_vectors_is_none(output: Any) -> None:
    with pytest.raises(UpstreamProtocolError):
        embedded("beautyyuyanli/multilingual-e5-large", done(output))


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("operation", "model", "fields", "name"),
    [
        ("speech", "o/n", {}, "model"),
        ("speech", "a" * 64, {}, "model"),
        ("speech", MINIMAX, {"response_format": "opus"}, "response_format"),
        ("speech", MINIMAX, {"extra": {"subtitle_enable": True}}, "subtitle_enable"),
        ("speech", KOKORO, {"speed": 6}, "speed"),
        ("speech", KOKORO, {"extra": {"emotion": "sad"}}, "emotion"),
        ("transcription", KOKORO, {}, "model"),
        ("translation", GPT, {}, "model"),
        ("translation", WHISPERX, {}, "model"),
        ("translation", WHISPER, {"response_format": "srt"}, "response_format"),
        ("transcription", GPT, {"response_format": "vtt"}, "response_format"),
        ("transcription", WHISPERX, {"response_format": "diarized_json"}, "response_format"),
        ("transcription", WHISPERX, {"response_format": "srt", "stream": True}, "response_format"),
        ("transcription", FAST, {"temperature": 0.5}, "temperature"),
        ("transcription", FAST, {"language": "tlh"}, "language"),
        ("transcription", GPT, {"include": ("logprobs",)}, "include"),
        ("transcription", GPT, {"chunking_strategy": {"type": "server_vad"}}, "chunking_strategy"),
        ("transcription", FAST, {"timestamp_granularities": ("word",)}, "timestamp_granularities"),
        ("transcription", WHISPER, {"response_format": "verbose_json", "timestamp_granularities": ("word",)}, "timestamp_granularities"),
        ("transcription", FAST, {"response_format": "verbose_json", "timestamp_granularities": ("word", "segment")}, "timestamp_granularities"),
        ("transcription", GPT, {"extra": {"vad_model": "silero"}}, "vad_model"),
        ("embeddings", "openai/whisper", {}, "model"),
        ("embeddings", "replicate/all-mpnet-base-v2", {"dimensions": 8}, "dimensions"),
        ("embeddings", "replicate/all-mpnet-base-v2", {"task": "CLUSTERING"}, "task"),
        ("embeddings", "replicate/all-mpnet-base-v2", {"input": (EmbeddingInput(tokens=(1,)),)}, "input"),
        ("embeddings", "replicate/all-mpnet-base-v2", {"input": (EmbeddingInput(text="a", title="t"),)}, "input"),
    ],
)  # fmt: skip
def test_what_a_model_lacks_is_refused_by_name(operation: str, model: str, fields: dict[str, Any], name: str) -> None:
    ask: Any = {"speech": speech, "embeddings": embedded}.get(operation, heard)
    more = {"translate": True} if operation == "translation" else {}
    with pytest.raises(InvalidRequest) as caught:
        ask(model, **fields, **more)
    assert caught.value.param == name
    if name == "model":
        assert "known are" in caught.value.message


def test_hints_without_a_place_are_named() -> None:
    wish = EmbeddingRequest(model="a", input=(EmbeddingInput(text="x"),), user="u")
    model = "replicate/all-mpnet-base-v2"
    assert offered("embeddings", model).check(wish, deployment(model, "replicate")) == ("user",)
    listening = TranscriptionRequest(model="a", file=AudioFile(data=WAV), chunking_strategy="auto")
    assert offered("transcription", GPT).check(listening, deployment(GPT, "replicate")) == ("chunking_strategy",)
