"""Google's Gemini Developer API.  Source: https://ai.google.dev/api (read 2026-11-24), google-genai 3.4"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from pulse_gateway.errors import UpstreamError
from pulse_gateway.providers.offer import Offer, OfferCall
from pulse_gateway.providers.offers import load_offer
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.gemini.errors import upstream_error
from pulse_gateway.wire.gemini.foreign_thinking import without_foreign_thinking

__all__ = ["GOOGLE", "GoogleProvider"]

_VERSIONS = ("/v1", "/v1beta", "/v1alpha")
_DEFAULT_VERSION = "/v1beta"  # `…-latest` names exist only there
_COLLECTIONS = ("models", "tunedModels")


_OFFERS: Mapping[str, str] = {
    "embeddings": "pulse_gateway.providers.google_methods:BATCH_EMBED_CONTENTS",
    "gemini.embed_content": "pulse_gateway.providers.google_methods:EMBED_CONTENT",
    "count_tokens": "pulse_gateway.providers.google_methods:COUNT_TOKENS",
    "images": "pulse_gateway.providers.google_media.developer:IMAGES",
    "image_edits": "pulse_gateway.providers.google_media.developer:IMAGES",
    "speech": "pulse_gateway.providers.google_media.developer:SPEECH",
    "transcription": "pulse_gateway.providers.google_media.developer:TRANSCRIPTION",
    "translation": "pulse_gateway.providers.google_media.developer:TRANSLATION",
    "videos": "pulse_gateway.providers.google_videos:OMNI",
}
"""Operation, or a client's dialect of one, → where its offer is, imported on first use."""


class GoogleProvider(Provider):
    """Model and streaming are in the path: `{base}/v1beta/models/{model}:generateContent`."""

    kind = "google"
    dialect = "gemini"
    base_url = "https://generativelanguage.googleapis.com"
    # What a client's SDK says of itself, and how long it is willing to wait. Projects and keys are ours to choose.
    passed_headers: frozenset[str] = frozenset({"x-goog-api-client", "x-server-timeout"})

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        deployment = call.deployment
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        url = f"{self._base(deployment.base_url)}/{_resource(deployment.model.name)}:{method}"
        own = (("content-type", "application/json"), *_signed(deployment.key))
        # Later ones replace earlier ones: what the operator configured is the last word.
        headers = dict((*call.client_headers, *call.trace_headers, *own, *deployment.headers))
        return HttpRequest("POST", url, tuple(headers.items()), call.body)

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        return load_offer(_OFFERS.get(operation))

    def trimmed(self, body: bytes, dialect: str, deployment: Deployment, /) -> tuple[bytes, tuple[str, ...]]:
        return without_foreign_thinking(body, deployment.model)

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        configured = dict((*_signed(key), *headers))
        return HttpRequest("GET", f"{self._base(base_url)}/models?pageSize=1", tuple(configured.items()))

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        return upstream_error(status, headers, body)

    def address(self, deployment: Deployment, path: str, /) -> str:
        """`{base}/v1beta/{path}`."""
        return f"{self._base(deployment.base_url)}/{path}"

    def own_headers(self, call: OfferCall, /) -> Headers:
        """Of a request that is no chat; what the operator configured is the last word."""
        return tuple(
            dict(
                (*call.client_headers, *call.trace_headers, *_signed(call.deployment.key), *call.deployment.headers)
            ).items()
        )

    def method_url(self, deployment: Deployment, method: str, /) -> str:
        """`{base}/v1beta/models/{model}:{method}`."""
        return f"{self._base(deployment.base_url)}/{_resource(deployment.model.name)}:{method}"

    def _base(self, configured: str) -> str:
        """With its version, which a configured one may have already."""
        base = (configured or self.base_url).rstrip("/")
        return base if base.endswith(_VERSIONS) else base + _DEFAULT_VERSION


def _signed(key: str | None) -> Headers:
    return () if key is None else (("x-goog-api-key", key),)


def _resource(model: str) -> str:
    """`models/{model}`, percent-encoded; a name that says its collection keeps it."""
    collection, slash, name = model.partition("/")
    if not slash or collection not in _COLLECTIONS:
        collection, name = "models", model
    return f"{collection}/{quote(name, safe='')}"


GOOGLE = GoogleProvider()
