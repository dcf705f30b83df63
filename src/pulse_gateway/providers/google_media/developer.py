"""Google's media as the Gemini Developer API offers them."""

from __future__ import annotations

from pulse_gateway.providers.google import GOOGLE
from pulse_gateway.providers.google_media.images import GoogleImages
from pulse_gateway.providers.google_media.speech import GoogleSpeech
from pulse_gateway.providers.google_media.transcription import GoogleTranscription

__all__ = ["IMAGES", "SPEECH", "TRANSCRIPTION", "TRANSLATION"]

IMAGES = GoogleImages(GOOGLE)
SPEECH = GoogleSpeech(GOOGLE)
TRANSCRIPTION = GoogleTranscription(GOOGLE)
TRANSLATION = GoogleTranscription(GOOGLE, translate=True)
