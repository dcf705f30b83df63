"""A recording is what sounds, or may."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.transcription import Transcriptions
from pulse_gateway.wire.multipart import FormPart, build_form


def _read(name: str, kind: str | None) -> None:
    parts = [
        FormPart(name="model", data=b"whisper-1"),
        FormPart(name="file", data=b"hello", filename=name, content_type=kind),
    ]
    Transcriptions().read_envelope(build_form(parts))


def test_a_text_is_no_recording() -> None:
    with pytest.raises(InvalidRequest, match="text/plain is no recording") as refused:
        _read("a.txt", "text/plain")
    assert refused.value.param == "file"


@pytest.mark.parametrize(
    ("name", "kind"), [("a.mp3", "text/plain"), ("a", "application/octet-stream"), ("a", None), ("a", "audio/amr")]
)
def test_what_may_sound_is_taken(name: str, kind: str | None) -> None:
    _read(name, kind)


def test_usage_prints_what_is_known() -> None:
    assert repr(Usage(input_tokens=3, output_tokens=0)) == "Usage(input_tokens=3, output_tokens=0)"
