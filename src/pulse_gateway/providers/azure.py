"""Azure OpenAI: OpenAI's own models, deployed under names of one's own. What is called a model here is such a name.

| `base_url` | where chat is spoken |
| --- | --- |
| `https://{resource}.openai.azure.com` | `/openai/v1/chat/completions` |
| `https://{resource}.openai.azure.com/openai/v1` | the same |
| `https://{resource}.openai.azure.com?api-version=2024-10-21` | `/openai/deployments/{deployment}/chat/completions?api-version=…` |
| `…/openai/deployments/{deployment}?api-version=…` | that deployment's, whatever the model is called |

Before v1 everything stands below its deployment but Responses. A key is sent as `api-key`; a token of Entra's, which is a JWT, as a
bearer token.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle and /reference (read 2026-11-24); openai 3.54,
`lib/azure.py`
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from pulse_gateway.errors import UpstreamFailed
from pulse_gateway.providers.offer import OfferCall
from pulse_gateway.providers.openai import OpenAI
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.openai_chat.errors import OPENAI_ERRORS

__all__ = ["AZURE", "Azure"]

_TOKEN = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")
_NOT_OF_A_DEPLOYMENT = frozenset({"/responses", "/models"})


class Azure(OpenAI, frozen=True, kw_only=True):
    """OpenAI's API at addresses of Azure's."""

    def url(self, deployment: Deployment, path: str, /) -> str:
        return _url(deployment.base_url, path, deployment.model.name)

    def _headers(self, call: UpstreamCall | OfferCall, own: Headers) -> Headers:
        deployment = call.deployment
        headers = dict((*call.client_headers, *call.trace_headers, *own, *_proof(deployment.key)))
        headers.update((name.lower(), value) for name, value in deployment.headers)
        return tuple(headers.items())

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        return HttpRequest("GET", _url(base_url, "/models", ""), (*_proof(key), *headers))


def _proof(key: str | None) -> Headers:
    if not key:
        return ()
    return (("authorization", f"Bearer {key}"),) if _TOKEN.fullmatch(key) else (("api-key", key),)


def _url(base_url: str, path: str, deployment: str) -> str:
    base, mark, query = base_url.partition("?")
    base = base.rstrip("/")
    place = urlsplit(base).path
    if "/openai" not in place:
        base += "/openai"
    if "/openai/v1" in place or "/deployments/" in place:
        if path in _NOT_OF_A_DEPLOYMENT:
            base = base.partition("/deployments/")[0]
    elif not mark:
        base += "/v1"
    elif path not in _NOT_OF_A_DEPLOYMENT:
        base += f"/deployments/{quote(deployment, safe='')}"
    return f"{base}{path}{mark}{query}"


AZURE = Azure(
    kind="azure",
    passed_headers=frozenset({"openai-beta", "x-ms-client-request-id"}),
    errors={
        **OPENAI_ERRORS,
        (424, None): UpstreamFailed,  # something behind the deployment failed
    },
    operations={
        "embeddings": "openai.embeddings",
        "images": "openai.images.generations",
        "image_edits": "openai.images.edits",
        "speech": "openai.speech",
        "transcription": "openai.transcriptions",
        "translation": "openai.translations",
    },
)
