"""xAI's videos, voices and transcripts, each in words of its own.

Source: https://docs.x.ai/developers/model-capabilities/video/generation, /audio/text-to-speech and /audio/speech-to-text, `xai-sdk` 1.21
and `@ai-sdk/xai` 5.0 (read 2026-11-24). Unconfirmed there: the words of its refusals.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.compatible.clips import ClipJobs, Job
from pulse_gateway.testing.simulator.compatible.pictures import read_picture
from pulse_gateway.testing.simulator.dice import Dice
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.forms import FormError, read_form
from pulse_gateway.testing.simulator.openai.body import Strict, converted, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.sounds import AUDIO_TYPES, audio_kind, duration_ms, silence
from pulse_gateway.testing.simulator.scripts import ARABIC, LATIN, filler
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["XaiVideos", "xai_speech", "xai_transcript"]

_ENCODE = msgspec.json.encode
_TICKS = 10_000_000_000  # a dollar
_CENTS_A_SECOND = {"480p": 8, "720p": 14, "1080p": 25}
_MOST_CHARACTERS = 15_000
_MS_PER_CHARACTER = 10
_PIECE_BYTES = 4096
_LANGUAGE = re.compile(r"auto|[a-z]{2,3}(?:-[A-Za-z]{2,4})?")
_MOST_TEXT_TOKENS = 600
_LISTENERS = ("grok-voice-transcribe-1.0", "grok-voice-transcribe-2.0", "grok-stt")
_FORM_FLAGS = frozenset({"format", "diarize", "filler_words", "multichannel"})
_FORM_TEXTS = frozenset({"model", "language", "audio_format", "sample_rate", "channels"})


class _Address(Strict):
    url: str


class _VideoRequest(Strict):
    model: str
    prompt: str = ""
    duration: Annotated[int, Meta(ge=1, le=15)] = 8
    aspect_ratio: Literal["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"] = "16:9"
    resolution: Literal["480p", "720p", "1080p"] = "480p"
    image: _Address | None = None
    user: str | None = None


class XaiVideos:
    """Answered with 202 while they are made, at first without a word."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._jobs = ClipJobs("xai", _shown)
        self.reset = self._jobs.reset
        self.look = self._jobs.look

    def begin(self, request: Request) -> Work:
        """Raises: Refusal."""
        wanted = converted(json_body(request, ""), _VideoRequest)
        model = split_model(wanted.model)[0]
        if not model.startswith("grok-imagine-video"):
            raise refuse(f"The model {model} does not exist or your team does not have access to it.", status=404)
        if not wanted.prompt and wanted.image is None:
            raise refuse("Prompt must not be empty.", param="prompt")
        if wanted.resolution == "1080p" and not model.startswith("grok-imagine-video-1.5"):
            raise refuse(f"Resolution 1080p is not supported by {model}.", param="resolution")
        tally = Tally(self._seed, "xai videos", model)
        tally.text(wanted.prompt)
        if wanted.image is not None:
            tally.media(read_picture(wanted.image.url, "image.url"))
        return self._jobs.begin(
            request,
            wanted.model,
            wanted.duration,
            wanted.resolution,
            tally.digest,
            lambda job: {"request_id": job.id},
        )


def _shown(job: Job) -> tuple[int, Any]:
    if not job.is_over:
        return 202, None if job.looks == 1 else {"status": "pending", "progress": job.percent}
    if job.fails is not None:
        problem = {"code": job.fails.lower(), "message": "The video could not be generated."}
        return 200, {"status": "expired"} if job.fails == "expired" else {"status": "failed", "error": problem}
    video: dict[str, Any] = {"duration": job.seconds, "respect_moderation": not job.is_held_back}
    cost = 0 if job.is_held_back else job.seconds * _CENTS_A_SECOND[job.size] * _TICKS // 100
    if not job.is_held_back:
        video["url"] = job.url
    model = split_model(job.model)[0]
    return 200, {
        "status": "done",
        "progress": 100,
        "model": model,
        "video": video,
        "usage": {"cost_in_usd_ticks": cost},
    }


# ── voices ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _OutputFormat(Strict):
    codec: Literal["mp3", "wav", "pcm", "mulaw", "alaw"] = "mp3"
    sample_rate: Literal[8000, 16000, 22050, 24000, 44100, 48000] = 24000
    bit_rate: Literal[32000, 64000, 96000, 128000, 192000] | None = None


class _SpeechRequest(Strict):
    text: str
    language: str
    voice_id: str = "eve"
    output_format: _OutputFormat = msgspec.field(default_factory=_OutputFormat)
    speed: Annotated[float, Meta(ge=0.7, le=1.5)] = 1.0
    optimize_streaming_latency: Literal[0, 1, 2] | None = None
    text_normalization: bool | None = None
    replace: dict[str, str] | None = None


_VOICES = frozenset({"eve", "ara", "rex", "sal", "leo"})


def xai_speech(request: Request) -> Work:
    """Sound in pieces. `model` is no member of the request: faults are asked for by the header, or after the voice's name.

    Raises: Refusal.
    """
    wanted = converted(json_body(request, ""), _SpeechRequest)
    voice, spec = split_model(wanted.voice_id)
    if voice.lower() not in _VOICES:
        raise refuse(f"Unknown voice: {voice}. Known voices: {', '.join(sorted(_VOICES))}")
    if not wanted.text or len(wanted.text) > _MOST_CHARACTERS:
        raise refuse(f"text must have 1 to {_MOST_CHARACTERS} characters")
    if _LANGUAGE.fullmatch(wanted.language) is None:
        raise refuse(f"Unknown language: {wanted.language}")
    codec = wanted.output_format.codec
    if codec in {"mulaw", "alaw"}:
        raise refuse("This simulation has no telephones.")
    if wanted.output_format.bit_rate is not None and codec != "mp3":
        raise refuse("bit_rate is for mp3 alone")

    def render(faults: Faults) -> list[Frame]:
        audio = silence(codec, max(100, int(len(wanted.text) * _MS_PER_CHARACTER / wanted.speed)))
        return [Frame(audio[at : at + _PIECE_BYTES]) for at in range(0, len(audio), _PIECE_BYTES)]

    return Work(
        model="grok-tts",
        fault_spec=spec,
        content_type=AUDIO_TYPES[codec],
        render=render,
        stream=True,
        units={"characters": len(wanted.text)},
    )


# ── transcripts ───────────────────────────────────────────────────────────────────────────────────────────────────────


def xai_transcript(request: Request, seed: int) -> Work:
    """Raises: Refusal."""
    try:
        parts = read_form(request)
        texts = [(part.name, part.text) for part in parts if part.filename is None]
    except FormError as error:
        raise refuse(f"Could not parse multipart form: {error}") from error
    files = [part for part in parts if part.filename is not None]
    if len(files) != 1 or files[0].name != "file":
        raise refuse("One file is required, in the field `file`.")
    if parts[-1] is not files[0]:
        raise refuse("The file must be the last field of the form.")
    fields = dict(texts)
    keyterms = [value for name, value in texts if name == "keyterm"]
    if len(texts) - len(keyterms) != len(fields) - bool(keyterms):
        raise refuse("A field of the form occurs twice.")
    for name, value in fields.items():
        if name not in _FORM_FLAGS | _FORM_TEXTS | {"keyterm"}:
            raise refuse(f"Unknown field: {name}")
        if name in _FORM_FLAGS and value not in {"true", "false"}:
            raise refuse(f"{name} must be true or false")
    if fields.get("format") == "true" and "language" not in fields:
        raise refuse("format needs a language")
    model, spec = split_model(fields.get("model", "grok-voice-transcribe-1.0"))
    if model not in _LISTENERS:
        raise refuse(f"The model {model} does not exist or your team does not have access to it.", status=404)
    data = files[0].data
    if audio_kind(data) is None:
        raise refuse("The audio could not be decoded.")
    length_ms = duration_ms(data)
    tally = Tally(seed, "xai stt", model)
    tally.media(data)

    def render(faults: Faults) -> list[Frame]:
        script = ARABIC if fields.get("language") == "ar" else LATIN
        tokens = faults.tokens or min(_MOST_TEXT_TOKENS, 12 + length_ms * 5 // 1000)
        start = f"[audio:1 {audio_kind(data)} {len(data)} bytes]"
        text = filler(script, Dice(tally.digest, "text"), tokens, start)
        body: dict[str, Any] = {
            "text": text,
            "language": fields.get("language", "en"),
            "duration": length_ms / 1000,
            "words": _words(text, length_ms, fields.get("diarize") == "true"),
        }
        return [Frame(_ENCODE(body))]

    return Work(
        model=fields.get("model", model),
        fault_spec=spec,
        content_type="application/json",
        render=render,
        units={"audio_ms": length_ms},
    )


def _words(text: str, length_ms: int, diarized: bool) -> list[dict[str, Any]]:
    """Each takes as long as the other, and two speakers take turns of eight."""
    words = text.split()
    shown = []
    for at, word in enumerate(words):
        start, end = (round(edge * length_ms / len(words)) / 1000 for edge in (at, at + 1))
        speaker = {"speaker": at // 8 % 2} if diarized else {}
        shown.append({"text": word, "start": start, "end": end, **speaker})
    return shown
