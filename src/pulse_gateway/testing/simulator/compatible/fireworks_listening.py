"""What Fireworks writes down: `whisper-v3` and `whisper-v3-turbo`, in answers that count nothing.

Source: https://docs.fireworks.ai/api-reference/audio-transcriptions and /audio-translations (read 2026-11-24)
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pulse_gateway.testing.simulator.config import Models
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Form, Strict, converted, form_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.transcription import write_down
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["hear"]

_MODELS = ("whisper-v3", "whisper-v3-turbo")
_COMMON = ("model", "language", "prompt", "response_format", "temperature")
_GRANULARITIES = "timestamp_granularities"


class _Asked(Strict):
    """`diarize` and the speakers are of transcriptions alone."""

    model: str = "whisper-v3"
    vad_model: Literal["silero", "whisperx-pyannet"] | None = None
    alignment_model: Literal["mms_fa", "tdnn_ffn", "gentle"] | None = None
    language: str | None = None
    prompt: str | None = None
    temperature: str | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    timestamp_granularities: Literal["word", "segment", "word,segment", "segment,word"] | None = None
    diarize: Literal["true", "false"] | None = None
    min_speakers: str | None = None
    max_speakers: str | None = None
    preprocessing: Literal["none", "dynamic", "soft_dynamic", "bass_dynamic"] | None = None


def hear(request: Request, operation: str, seed: int, models: Models) -> Work:
    """Raises: Refusal."""
    form = form_body(request, "", frozenset())
    asked = converted(form.values, _Asked)
    if split_model(asked.model)[0] not in _MODELS:
        raise refuse(f"Model not found: {asked.model}", code="model_not_found", param="model", status=404)
    if operation == "translation" and (asked.diarize or asked.min_speakers or asked.max_speakers):
        raise refuse("Extra inputs are not permitted: diarize", param="diarize")
    if asked.timestamp_granularities and asked.response_format != "verbose_json":
        raise refuse("timestamp_granularities requires response_format verbose_json", param=_GRANULARITIES)
    if asked.diarize == "true" and "word" not in (asked.timestamp_granularities or ""):
        raise refuse("diarize requires timestamp_granularities to include word", param="diarize")
    values = {name: value for name in _COMMON if (value := getattr(asked, name)) is not None}
    if asked.temperature is not None:  # several are tried one after the other
        values["temperature"] = max(asked.temperature.split(","))
    if asked.timestamp_granularities:
        values[_GRANULARITIES] = asked.timestamp_granularities.split(",")
    work = write_down(Form(values, form.files), operation, seed, models)
    render = work.render

    def uncounted(faults: Faults) -> list[Frame]:
        return render(msgspec.structs.replace(faults, no_usage=True))

    return msgspec.structs.replace(work, render=uncounted)
