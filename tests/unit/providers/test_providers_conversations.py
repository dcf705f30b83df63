"""What Mistral, OpenRouter and Perplexity are asked beside chat in words of their own, and what is made of odd answers."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from media_steps import PNG, asked, billed, deployment, run, sent

from pulse_gateway.errors import (
    InvalidRequest,
    UnsupportedParameter,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamProtocolError,
    UpstreamRefusedContent,
    UpstreamUnauthorized,
)
from pulse_gateway.providers import mistral_images, mistral_speech, openrouter_images, perplexity_embeddings
from pulse_gateway.providers.offer import Billed, OfferCall, Pause
from pulse_gateway.types.audio import SpeechRequest
from pulse_gateway.types.embeddings import EmbeddingInput, EmbeddingRequest
from pulse_gateway.types.http import HttpAnswer, HttpRequest
from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.formats import wav, wav_samples

DRAWS, MAKES = mistral_images.IMAGES, openrouter_images.IMAGES
SPEAKS, EMBEDS = mistral_speech.SPEECH, perplexity_embeddings.EMBEDDINGS
MEDIUM, GEMINI = "mistral-medium-latest", "google/gemini-3.1-flash-image"
PICTURE = {"b64_json": base64.b64encode(PNG).decode(), "media_type": "image/png"}


def drawn(*file_ids: str, **usage: Any) -> dict[str, Any]:
    files = [{"type": "tool_file", "tool": "image_generation", "file_id": file_id} for file_id in file_ids]
    entries = [
        {"type": "tool.execution"},
        {"type": "message.output", "content": [{"type": "text", "text": "Here"}, *files]},
    ]
    return {
        "outputs": entries,
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "connector_tokens": 60, **usage},
    }


def text(**fields: Any) -> SpeechRequest:
    return SpeechRequest(model="alias", **{"input": "Hello", "voice": "gb_jane_neutral", **fields})


def embed(*texts: str, **fields: Any) -> EmbeddingRequest:
    return EmbeddingRequest(model="alias", input=tuple(map(EmbeddingInput, texts)), **fields)


def vectors(*packed: str, **usage: int) -> dict[str, Any]:
    return {"data": [{"index": at, "embedding": each} for at, each in enumerate(packed)], "usage": usage}


# ── Mistral draws ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_several_images_of_mistral_are_several_conversations_each_billed_before_its_file_is_fetched() -> None:
    reply, steps = run(DRAWS, asked(n=2), MEDIUM, drawn("a"), PNG, drawn("b/../c"), PNG, kind="mistral")
    assert [step.url.removeprefix("https://api.mistral.ai/v1") for step in steps if isinstance(step, HttpRequest)] == [
        "/conversations",
        "/files/a/content",
        "/conversations",
        "/files/b%2F..%2Fc/content",
    ]
    assert billed(steps) == [
        Usage(input_tokens=160, output_tokens=20, images=1),
        Usage(input_tokens=320, output_tokens=40, images=2),
    ]
    assert [image.media_type for image in reply.images] == ["image/png"] * 2
    assert reply.size == "1024x768"


def test_a_file_of_mistrals_that_is_not_there_yet_is_asked_for_again_and_no_other_conversation_begun() -> None:
    steps = DRAWS.steps(asked(), OfferCall(deployment=deployment(MEDIUM, "mistral")))
    next(steps)
    steps.send(HttpAnswer(200, (), json.dumps(drawn("a")).encode()))
    look = steps.send(None)
    for _ in range(3):
        assert isinstance(steps.throw(UpstreamModelNotFound("not there")), Pause)
        assert steps.send(None) == look
    with pytest.raises(StopIteration) as end:
        steps.send(HttpAnswer(200, (), PNG))
    assert [image.content for image in end.value.value.images] == [PNG]


def test_what_mistral_made_too_much_is_billed_and_left() -> None:
    reply, steps = run(DRAWS, asked(), MEDIUM, drawn("a", "b"), PNG, kind="mistral")
    assert (len(reply.images), billed(steps)[-1].images) == (1, 2)


def test_pictures_stand_before_the_prompt_at_mistral_where_they_are_or_as_they_were_sent() -> None:
    files = (ImageFile(url="https://a.example/b.png"), ImageFile(data=PNG))
    _, steps = run(DRAWS, asked(images=files), MEDIUM, drawn("a"), PNG, kind="mistral")
    [entry] = sent(steps)[0]["inputs"]
    first, second, words = entry["content"]
    assert first["image_url"] == "https://a.example/b.png"
    assert second["image_url"].startswith("data:image/png;base64,iVBOR")
    assert words == {"type": "text", "text": "a fox"}
    with pytest.raises(InvalidRequest) as caught:
        run(DRAWS, asked(images=(ImageFile(data=b"GIF89a", path="image[0]"),)), MEDIUM, kind="mistral")
    assert caught.value.param == "image[0]"


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([drawn()], UpstreamRefusedContent),
        ([{"outputs": [{"type": "message.output", "content": "No."}]}], UpstreamRefusedContent),
        ([{"outputs": []}], UpstreamRefusedContent),
        ([{"object": "conversation.response"}], UpstreamProtocolError),
        ([b"<html>"], UpstreamProtocolError),
        ([drawn("a"), b"<html>"], UpstreamProtocolError),
        ([drawn("a"), b""], UpstreamProtocolError),
    ],
)
def test_why_mistral_made_no_image(answers: list[Any], error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        run(DRAWS, asked(), MEDIUM, *answers, kind="mistral")


@pytest.mark.parametrize(
    "field", [{"size": "1024x1024"}, {"quality": "high"}, {"seed": 1}, {"output_format": "png"}, {"background": "transparent"}]
)  # fmt: skip
def test_a_prompt_is_all_that_mistrals_tool_is_told(field: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        DRAWS.check(asked(**field), deployment(MEDIUM, "mistral"))
    assert caught.value.param == next(iter(field))


def test_an_image_of_mistral_without_usage_is_an_image_all_the_same() -> None:
    reply, _ = run(DRAWS, asked(), MEDIUM, {**drawn("a"), "usage": None}, PNG, kind="mistral")
    assert reply.usage == Usage(images=1)


# ── Mistral speaks ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_raw_samples_of_mistral_are_those_of_a_wav_file() -> None:
    file = base64.b64encode(wav(b"\1\0\2\0", rate=24_000)).decode()
    reply, steps = run(SPEAKS, text(response_format="pcm"), "voxtral", {"audio_data": file}, kind="mistral")
    assert sent(steps)[0]["response_format"] == "wav"
    assert (reply.audio, reply.media_type) == (b"\1\0\2\0", "audio/pcm")
    assert billed(steps) == [Usage(characters=5)]


def test_a_voice_may_be_a_sample_of_one() -> None:
    said = {"audio_data": "SUQz"}
    _, steps = run(SPEAKS, text(voice="", extra={"ref_audio": "AAAA"}), "voxtral", said, kind="mistral")
    assert sent(steps)[0] == {"model": "voxtral", "input": "Hello", "response_format": "mp3", "ref_audio": "AAAA"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "aac"}, "response_format"),
        ({"speed": 2.0}, "speed"),
        ({"instructions": "Whisper"}, "instructions"),
        ({"voice": "alloy"}, "voice"),
        ({"voice": "", "extra": {"voice": {"name": "x"}}}, "voice"),
        ({"extra": {"ref_audio": "AAAA"}}, "voice"),
        ({"extra": {"temperature": 1}}, "temperature"),
    ],
)
def test_what_voxtral_lacks_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        SPEAKS.check(text(**fields), deployment("voxtral", "mistral"))
    assert caught.value.param == param


@pytest.mark.parametrize("answer", [{}, {"audio_data": ""}, {"audio_data": "SUQ"}, {"audio_data": "é"}, b"sound"])
def test_what_is_no_sound_is_not_passed_for_some(answer: Any) -> None:
    with pytest.raises(UpstreamProtocolError):
        run(SPEAKS, text(), "voxtral", answer, kind="mistral")


@pytest.mark.parametrize("file", [b"ID3", wav(b"\0\0", rate=16_000), b"RIFF\0\0\0\0WAVEfmt "])
def test_samples_of_another_kind_are_not_passed_for_those_that_clients_expect(file: bytes) -> None:
    answer = {"audio_data": base64.b64encode(file).decode()}
    with pytest.raises(UpstreamProtocolError):
        run(SPEAKS, text(response_format="pcm"), "voxtral", answer, kind="mistral")


def test_a_text_that_mistrals_filter_stops_is_refused_content_and_a_wrong_key_is_not() -> None:
    for status, kind in ((403, UpstreamRefusedContent), (401, UpstreamUnauthorized)):
        steps = SPEAKS.steps(text(), OfferCall(deployment=deployment("voxtral", "mistral")))
        next(steps)
        with pytest.raises(kind):
            steps.throw(UpstreamUnauthorized("no", upstream_status=status))


def test_a_wav_header_that_promises_more_than_there_is_means_what_there_is() -> None:
    file = wav(b"\1\0\2\0", rate=24_000)
    at = file.index(b"data") + 4
    assert wav_samples(file[:at] + b"\xff\xff\xff\xff" + file[at + 4 :]) == (b"\1\0\2\0", (1, 1, 24_000, 16))


# ── OpenRouter ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_openrouter_is_asked_again_for_the_images_that_are_missing() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1290, "total_tokens": 1295}
    two, one = {"data": [PICTURE, PICTURE], "usage": usage}, {"data": [PICTURE], "usage": usage}
    reply, steps = run(MAKES, asked(n=3, seed=7), "openai/gpt-5-image", two, one, kind="openrouter")
    assert [(body.get("n"), body["seed"]) for body in sent(steps)] == [(3, 7), (None, 9)]
    assert len(reply.images) == 3
    assert billed(steps)[-1] == Usage(input_tokens=10, output_tokens=0, image_output_tokens=2580, images=3)


def test_models_of_googles_are_asked_for_one_image_a_call() -> None:
    answer = {"data": [PICTURE], "usage": {"prompt_tokens": 5, "completion_tokens": 1290, "total_tokens": 1295}}
    reply, steps = run(MAKES, asked(n=3), GEMINI, answer, answer, answer, kind="openrouter")
    assert [body.get("n") for body in sent(steps)] == [None] * 3
    assert len(reply.images) == 3
    assert [usage.images for usage in billed(steps)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("costs", "told"), [((0.04, 0.02), [40_000_000, 60_000_000]), ((0.04, None), [40_000_000, None])]
)
def test_what_openrouter_says_that_its_calls_cost_is_told_after_each(costs: Any, told: list[int | None]) -> None:
    answers = [{"data": [PICTURE], "usage": {"cost": cost}} for cost in costs]
    reply, steps = run(MAKES, asked(n=2), GEMINI, *answers, kind="openrouter")
    assert [step.told_nano_usd for step in steps if isinstance(step, Billed)] == told
    assert reply.cost_nano_usd == told[-1]


def test_openrouter_is_told_where_pictures_are_and_sent_what_is_here() -> None:
    files = (ImageFile(url="https://a.example/b.png"), ImageFile(data=PNG))
    _, steps = run(MAKES, asked(images=files), GEMINI, {"data": [PICTURE]}, kind="openrouter")
    here, there = (each["image_url"]["url"] for each in sent(steps)[0]["input_references"])
    assert here == "https://a.example/b.png"
    assert there.startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"data": []}, UpstreamProtocolError),
        ({"data": [{"b64_json": ""}]}, UpstreamProtocolError),
        ({"data": [{"b64_json": "é"}]}, UpstreamProtocolError),
        ({"error": {"code": 502, "message": "m"}}, UpstreamFailed),
        (b"", UpstreamProtocolError),
    ],
)
def test_why_there_is_no_image_of_openrouters(answer: Any, error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        run(MAKES, asked(), GEMINI, answer, kind="openrouter")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"style": "vivid"}, "style"),
        ({"negative_prompt": "a hen"}, "negative_prompt"),
        ({"mask": ImageFile(data=PNG)}, "mask"),
        ({"response_format": "url"}, "response_format"),
        ({"extra": {"svg": {}}}, "svg"),
        ({"images": (ImageFile(data=PNG),) * 17}, "images"),
    ],
)
def test_what_openrouter_has_no_word_for_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        MAKES.check(asked(**fields), deployment(GEMINI, "openrouter"))
    assert caught.value.param == param


def test_hints_that_openrouter_takes_are_not_dropped() -> None:
    wish = asked(user="u", moderation="low", partial_images=2, extra={"session_id": "s"})
    assert MAKES.check(wish, deployment(GEMINI, "openrouter")) == ("partial_images", "moderation")


# ── Perplexity ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_vectors_of_whole_numbers_are_made_of_length_one_and_point_where_they_did() -> None:
    numbers = bytes([100, 156, 127, 128])  # 100, -100, 127, -128
    reply, _ = run(EMBEDS, embed("a"), "pplx-embed-v1-4b", vectors(base64.b64encode(numbers).decode(), prompt_tokens=1))
    [vector] = reply.vectors
    assert math.isclose(sum(each * each for each in vector), 1.0)
    assert [round(each / vector[0] * 100) for each in vector] == [100, -100, 127, -128]
    assert reply.usage == Usage(input_tokens=1)


def test_many_texts_are_several_calls_of_perplexity_and_their_vectors_stay_in_order() -> None:
    texts = [str(at) for at in range(513)]
    first, last = vectors(*["AQA="] * 512, prompt_tokens=600), vectors("AAE=", prompt_tokens=1)
    reply, steps = run(EMBEDS, embed(*texts, dimensions=128), "pplx-embed-v1-0.6b", first, last)
    assert [len(body["input"]) for body in sent(steps)] == [512, 1]
    assert {body["dimensions"] for body in sent(steps)} == {128}
    assert (reply.vectors[0], reply.vectors[512]) == ([1.0, 0.0], [0.0, 1.0])
    assert billed(steps)[-1] == Usage(input_tokens=601)


def test_what_perplexity_does_not_count_is_not_counted_as_nothing() -> None:
    reply, steps = run(EMBEDS, embed("a"), "pplx-embed-v1-4b", vectors("AAA="))
    assert (reply.vectors, reply.usage, billed(steps)) == (([0.0, 0.0],), None, [])


@pytest.mark.parametrize(
    ("model", "request_", "param"),
    [
        ("pplx-embed-v1-4b", embed("a", task="RETRIEVAL_QUERY"), "task"),
        ("pplx-embed-v1-4b", embed("a", ""), "input"),
        ("pplx-embed-v1-4b", EmbeddingRequest(model="m", input=(EmbeddingInput(tokens=(1, 2)),)), "input"),
        ("pplx-embed-v1-4b", EmbeddingRequest(model="m", input=(EmbeddingInput("a", title="t"),)), "title"),
        ("pplx-embed-v1-4b", embed("a", extra={"encoding_format": "base64_int8"}), "encoding_format"),
        ("pplx-embed-context-v1-4b", embed("a"), "model"),
    ],
)
def test_what_perplexity_cannot_embed_is_refused_by_name(model: str, request_: EmbeddingRequest, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        EMBEDS.check(request_, deployment(model, "perplexity"))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (vectors(), UpstreamProtocolError),
        (vectors("AQA=", "AQA="), UpstreamProtocolError),
        (vectors(""), UpstreamProtocolError),
        (vectors("AQ"), UpstreamProtocolError),
        (json.dumps({"error": {"message": "m", "type": "invalid_request_error", "code": 400}}).encode(), UpstreamError),
        (b"[]", UpstreamProtocolError),
    ],
)
def test_vectors_that_are_none_are_not_passed_on(answer: Any, error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        run(EMBEDS, embed("a"), "pplx-embed-v1-4b", answer)
