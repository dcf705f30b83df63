"""What is sent for images and sound to Google's models, step by step, and what is made of their answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from media_steps import PNG, asked, billed, run, sent

from pulse_gateway.errors import (
    AnswerNotExpressible,
    InvalidRequest,
    UnsupportedParameter,
    UpstreamError,
    UpstreamFailed,
    UpstreamProtocolError,
    UpstreamRefusedContent,
)
from pulse_gateway.providers.google_media.developer import IMAGES, SPEECH, TRANSCRIPTION
from pulse_gateway.providers.google_media.imagen import ImagenImages
from pulse_gateway.providers.google_media.images import GoogleImages
from pulse_gateway.providers.offer import Download, OfferCall
from pulse_gateway.types.audio import AudioFile, SpeechRequest, TranscriptionRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.usage import Usage


class Vendor:
    """Google's models at an address that is easy to read."""

    def method_url(self, deployment: Deployment, method: str, /) -> str:
        return f"https://google.example/{deployment.model.name}:{method}"

    def own_headers(self, call: OfferCall, /) -> Headers:
        return ()


def picture(**candidate: Any) -> dict[str, Any]:
    inline = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}
    thought = {**inline, "thought": True}
    return {
        "candidates": [
            {"content": {"parts": [thought, {"text": "Here"}, inline]}, "finishReason": "STOP", **candidate}
        ],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1290},
    }


def test_several_images_of_gemini_are_several_calls_each_billed_when_it_is_answered() -> None:
    reply, steps = run(IMAGES, asked(n=2, seed=7), "gemini-3-pro-image", picture(), picture())
    assert [json.loads(step.body)["generationConfig"]["seed"] for step in steps if isinstance(step, HttpRequest)] == [
        7,
        8,
    ]
    assert [(usage.images, usage.image_output_tokens, usage.output_tokens) for usage in billed(steps)] == [
        (1, 1290, 0),
        (2, 2580, 0),
    ]
    assert len(reply.images) == 2
    assert reply.size == "1024x768"


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({}, None),
        ({"size": "1024x1024"}, {"aspectRatio": "1:1"}),
        ({"size": "1536x1024"}, {"aspectRatio": "3:2"}),
        ({"size": "4096x4096"}, {"aspectRatio": "1:1", "imageSize": "4K"}),
        ({"size": "512x512"}, {"aspectRatio": "1:1", "imageSize": "512"}),
        ({"size": "1568x672"}, {"aspectRatio": "21:9"}),
        ({"aspect_ratio": "9:16"}, {"aspectRatio": "9:16"}),
    ],
)
def test_a_size_is_a_ratio_and_a_class_to_gemini(fields: dict[str, Any], config: dict[str, Any] | None) -> None:
    _, steps = run(IMAGES, asked(**fields), "gemini-3.1-flash-image", picture())
    assert sent(steps)[0]["generationConfig"].get("imageConfig") == config


def test_an_image_at_an_address_is_fetched_for_gemini_and_stands_before_the_text() -> None:
    files = (ImageFile(url="https://a.example/b.png", path="image[0]"), ImageFile(data=PNG))
    _, steps = run(IMAGES, asked(images=files), "gemini-3.1-flash-image", PNG, picture())
    assert steps[0] == Download("https://a.example/b.png", param="image[0]")
    assert [*map(list, sent(steps)[0]["contents"][0]["parts"])] == [["inlineData"], ["inlineData"], ["text"]]
    with pytest.raises(InvalidRequest) as caught:
        run(IMAGES, asked(images=files), "gemini-3.1-flash-image", b"<html>")
    assert caught.value.param == "image[0]"


def test_a_files_format_is_chosen_on_vertex_alone() -> None:
    wish = asked(output_format="jpeg", output_compression=80)
    _, steps = run(GoogleImages(Vendor(), vertex=True), wish, "gemini-3-pro-image", picture())
    assert sent(steps)[0]["generationConfig"]["imageConfig"] == {
        "imageOutputOptions": {"mimeType": "image/jpeg", "compressionQuality": 80}
    }
    with pytest.raises(UnsupportedParameter) as caught:
        run(IMAGES, wish, "gemini-3-pro-image")
    assert caught.value.param == "output_format"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"candidates": [{"finishReason": "IMAGE_SAFETY"}]}, UpstreamRefusedContent),
        ({"candidates": [{"finishReason": "STOP", "content": {"parts": [{"text": "No."}]}}]}, UpstreamRefusedContent),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, UpstreamRefusedContent),
        ({"candidates": [{"finishReason": "MALFORMED_RESPONSE"}]}, UpstreamFailed),
        ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "m"}}, UpstreamError),
        (b"<html>", UpstreamProtocolError),
    ],
)
def test_why_gemini_made_no_image(answer: Any, error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        run(IMAGES, asked(), "gemini-3-pro-image", answer)


def test_imagen_makes_four_a_call_and_says_what_its_filter_kept() -> None:
    one = {"bytesBase64Encoded": base64.b64encode(PNG).decode(), "mimeType": "image/png", "prompt": "a red fox"}
    filtered = {"raiFilteredReason": "no"}
    wish = asked(n=6, size="2048x2048", seed=3, negative_prompt="a hen", output_format="png")
    reply, steps = run(
        ImagenImages(Vendor()), wish, "imagen-4", {"predictions": [one] * 3 + [filtered]}, {"predictions": [one] * 2}
    )
    first, second = (body["parameters"] for body in sent(steps))
    assert (first["sampleCount"], second["sampleCount"], first["seed"], second["seed"]) == (4, 2, 3, 7)
    assert (first["aspectRatio"], first["sampleImageSize"], first["addWatermark"]) == ("1:1", "2K", False)
    assert first["negativePrompt"] == "a hen"
    assert (len(reply.images), reply.images[0].revised_prompt, reply.usage) == (5, "a red fox", Usage(images=5))
    with pytest.raises(UpstreamRefusedContent, match="no"):
        run(ImagenImages(Vendor()), asked(), "imagen-4", {"predictions": [filtered]})
    for fields, name in (({"size": "1536x1024"}, "size"), ({"images": (ImageFile(data=PNG),)}, "images")):
        with pytest.raises(UnsupportedParameter) as caught:
            run(ImagenImages(Vendor()), asked(**fields), "imagen-4")
        assert caught.value.param == name


def spoken(mime: str = "audio/L16;codec=pcm;rate=24000", **candidate: Any) -> dict[str, Any]:
    part = {"inlineData": {"mimeType": mime, "data": base64.urlsafe_b64encode(b"\xff\xfe" * 50).decode()}}
    return {
        "candidates": [{"content": {"parts": [part]}, **candidate}],
        "usageMetadata": {
            "promptTokenCount": 4,
            "candidatesTokenCount": 30,
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}],
        },
    }


def test_samples_become_a_file_of_their_own_rate() -> None:
    wish = SpeechRequest(model="alias", input="Hello", voice="Kore", instructions="Say cheerfully")
    reply, steps = run(SPEECH, wish, "tts", spoken("audio/L16;rate=16000"))
    assert (reply.media_type, reply.audio[:4], len(reply.audio)) == ("audio/wav", b"RIFF", 144)
    assert int.from_bytes(reply.audio[24:28], "little") == 16_000
    assert sent(steps)[0]["contents"][0]["parts"] == [{"text": "Say cheerfully:\nHello"}]
    assert (reply.usage.characters, reply.usage.audio_output_tokens) == (5, 30)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (spoken("audio/L16;rate=16000"), UpstreamProtocolError),
        (spoken("audio/mp3"), UpstreamProtocolError),
        (spoken(finishReason="MAX_TOKENS"), AnswerNotExpressible),
        ({"candidates": [{"finishReason": "SAFETY"}]}, UpstreamRefusedContent),
        ({}, UpstreamRefusedContent),
    ],
)
def test_why_gemini_said_nothing(answer: Any, error: type[UpstreamError]) -> None:
    with pytest.raises(error):
        run(SPEECH, SpeechRequest(model="a", input="Hello", voice="Kore", response_format="pcm"), "tts", answer)


def test_what_is_known_of_a_recording_is_told_to_gemini() -> None:
    wish = TranscriptionRequest(
        model="alias",
        file=AudioFile(data=b"ID3", media_type="audio/mp3"),
        language="ar",
        languages=("en",),
        keywords=("Pulse",),
        prompt="A meeting.",
        temperature=0.2,
    )
    answer = {"candidates": [{"content": {"parts": [{"text": " مرحبا \n"}]}, "finishReason": "STOP"}]}
    reply, steps = run(TRANSCRIPTION, wish, "gemini-2.5-flash", answer)
    assert (reply.text, reply.language) == ("مرحبا", "ar")
    recording, instruction = sent(steps)[0]["contents"][0]["parts"]
    assert recording == {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}}
    assert all(word in instruction["text"] for word in ("ar, en", "Pulse", "A meeting.", "word for word"))
    assert sent(steps)[0]["generationConfig"] == {"temperature": 0.2}
    for reason, error in (("MAX_TOKENS", AnswerNotExpressible), ("SAFETY", UpstreamRefusedContent)):
        with pytest.raises(error):
            run(TRANSCRIPTION, wish, "gemini-2.5-flash", {"candidates": [{"finishReason": reason}]})
