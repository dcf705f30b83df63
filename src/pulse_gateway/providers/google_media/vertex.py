"""Google's media as Vertex offers them: Gemini's models, and Imagen beside them."""

from __future__ import annotations

from pulse_gateway.providers.google_media.imagen import ImagenImages
from pulse_gateway.providers.google_media.images import GoogleImages
from pulse_gateway.providers.google_media.speech import GoogleSpeech
from pulse_gateway.providers.google_media.transcription import GoogleTranscription
from pulse_gateway.providers.offer import OfferCall, Steps
from pulse_gateway.providers.vertex import VERTEX
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.images import ImageReply, ImageRequest

__all__ = ["IMAGES", "SPEECH", "TRANSCRIPTION", "TRANSLATION"]


class _Images:
    """Imagen's models are asked otherwise."""

    dialect = None
    _imagen, _gemini = ImagenImages(VERTEX), GoogleImages(VERTEX, vertex=True)

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        return self._of(deployment).check(request, deployment)

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        return self._of(call.deployment).steps(request, call)

    def _of(self, deployment: Deployment) -> ImagenImages | GoogleImages:
        return self._imagen if deployment.model.name.rpartition("/")[2].startswith("imagen") else self._gemini


IMAGES = _Images()
SPEECH = GoogleSpeech(VERTEX)
TRANSCRIPTION = GoogleTranscription(VERTEX)
TRANSLATION = GoogleTranscription(VERTEX, translate=True)
