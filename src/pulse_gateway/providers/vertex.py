"""Google's models on Vertex: the Gemini dialect at another address, with Google's credentials.

The address has the project and the location: `https://{host}/v1beta1/projects/{project}/locations/{location}`. Where it is the bare
host, a service account's own project is used, with the location that the host names; an API key needs neither.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest (read 2026-11-24), google-genai 3.4
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import quote, urlsplit

from pulse_gateway.errors import UpstreamError
from pulse_gateway.providers.google_credentials import (
    GoogleCredentials,
    ServiceAccountKey,
    StaleToken,
    key_of_account,
)
from pulse_gateway.providers.offer import Offer, OfferCall
from pulse_gateway.providers.offers import load_offer
from pulse_gateway.providers.provider import Authorize, Provider, SendWhole, UpstreamCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.gemini.errors import upstream_error
from pulse_gateway.wire.gemini.foreign_thinking import without_foreign_thinking

__all__ = ["VERTEX", "VertexProvider"]

if find_spec("jwt") is None:
    raise ImportError("Vertex needs PyJWT: install pulse-gateway[vertex]")

_DEFAULT_VERSION = "/v1beta1"  # as the vendor's own SDK
_VERSION = re.compile(r"/v1(?:beta1)?(?=/|\Z)")
_REGIONAL_HOST = re.compile(r"(?P<location>[a-z0-9-]+)-aiplatform\.googleapis\.com\Z")
_COLLECTIONS = ("publishers", "endpoints", "models")

_OFFERS: Mapping[str, str] = {
    "embeddings": "pulse_gateway.providers.vertex_text:EMBEDDINGS",
    "count_tokens": "pulse_gateway.providers.vertex_text:COUNT_TOKENS",
    "images": "pulse_gateway.providers.google_media.vertex:IMAGES",
    "image_edits": "pulse_gateway.providers.google_media.vertex:IMAGES",
    "speech": "pulse_gateway.providers.google_media.vertex:SPEECH",
    "transcription": "pulse_gateway.providers.google_media.vertex:TRANSCRIPTION",
    "translation": "pulse_gateway.providers.google_media.vertex:TRANSLATION",
    "videos": "pulse_gateway.providers.vertex_videos:VEO",
}
"""Operation, or a client's dialect of one, → where its offer is, imported on first use."""


class VertexProvider(Provider):
    """Model and streaming are in the path: `{base}/publishers/google/models/{model}:generateContent`."""

    kind = "vertex"
    dialect = "gemini"
    base_url = "https://aiplatform.googleapis.com"
    # What a client's SDK says of itself, and how long it is willing to wait. Projects and keys are ours to choose.
    passed_headers: frozenset[str] = frozenset({"x-goog-api-client", "x-server-timeout"})

    def __init__(self, credentials: GoogleCredentials | None = None) -> None:
        self._credentials = credentials or GoogleCredentials()

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        url = self.method_url(call.deployment, "streamGenerateContent?alt=sse" if call.stream else "generateContent")
        own = (("content-type", "application/json"),)
        headers = dict((*call.client_headers, *call.trace_headers, *own, *call.deployment.headers))
        return HttpRequest("POST", url, tuple(headers.items()), call.body)

    def trimmed(self, body: bytes, dialect: str, deployment: Deployment, /) -> tuple[bytes, tuple[str, ...]]:
        return without_foreign_thinking(body, deployment.model)

    @property
    def authorize(self) -> Authorize:
        return self._authorize

    async def _authorize(self, request: HttpRequest, deployment: Deployment, send: SendWhole, /) -> HttpRequest:
        """What the operator configured is the last word."""
        proof = await self._credentials.headers(deployment.key, send)
        headers = dict((*request.headers, *proof, *deployment.headers))
        return HttpRequest(request.method, request.url, tuple(headers.items()), request.body)

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        return load_offer(_OFFERS.get(operation))

    def method_url(self, deployment: Deployment, method: str, /) -> str:
        """`…/publishers/google/models/{model}:{method}`; a model that says its collection keeps it."""
        return (
            f"{_base(deployment.base_url or self.base_url, deployment.key)}/{_resource(deployment.model.name)}:{method}"
        )

    def own_headers(self, call: OfferCall, /) -> Headers:
        return tuple(dict((*call.client_headers, *call.trace_headers, *call.deployment.headers)).items())

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        """Without the credentials, which `authorize` adds. Google's own models are listed without a project."""
        base = _VERSION.split(base_url.rstrip("/"), maxsplit=1)[0]
        return HttpRequest("GET", f"{base}{_DEFAULT_VERSION}/publishers/google/models?pageSize=1", headers)

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        error = upstream_error(status, headers, body)
        if status == 401 and self._credentials.forget():
            return StaleToken(error.message, upstream_status=status, upstream_code=error.upstream_code)
        return error


def _base(configured: str, key: str | None) -> str:
    """With its version, and with a project and a location where they are known."""
    base = configured.rstrip("/")
    if "/projects/" in base:
        return base
    if not _VERSION.search(urlsplit(base).path):
        base += _DEFAULT_VERSION
    account = key_of_account(key)
    if not isinstance(account, ServiceAccountKey) or account.project_id is None:
        return base
    regional = _REGIONAL_HOST.match(urlsplit(base).hostname or "")
    location = "global" if regional is None else regional["location"]
    return f"{base}/projects/{quote(account.project_id, safe='')}/locations/{location}"


def _resource(model: str) -> str:
    """Percent-encoded, part by part."""
    if model.partition("/")[0] not in _COLLECTIONS:
        return f"publishers/google/models/{quote(model, safe='')}"
    return "/".join(quote(part, safe="") for part in model.split("/"))


VERTEX = VertexProvider()
