"""Speech, and what is said in it, in each dialect that has them."""

from pulse_gateway.wire.audio.speech import Speech
from pulse_gateway.wire.audio.transcription import Transcriptions, Translations

__all__ = ["Speech", "Transcriptions", "Translations"]
