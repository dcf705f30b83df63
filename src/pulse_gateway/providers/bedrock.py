"""Amazon Bedrock: every model behind one dialect, `Converse`.

The address names the region: `https://bedrock-runtime.{region}.amazonaws.com`. An address that does not, of a private endpoint or a
proxy, has it as `?region=…`, which is not sent.

Source: https://docs.aws.amazon.com/general/latest/gr/bedrock.html (read 2026-11-24)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import quote

from pulse_gateway.errors import UpstreamError, UpstreamUnauthorized
from pulse_gateway.providers.aws_signing import AwsSigner
from pulse_gateway.providers.offer import Offer
from pulse_gateway.providers.offers import load_offer
from pulse_gateway.providers.provider import Authorize, Provider, SendWhole, UpstreamCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.bedrock_converse.errors import upstream_error

__all__ = ["BEDROCK", "BedrockProvider", "model_url", "region_of"]

if find_spec("botocore") is None:
    raise ImportError("Bedrock needs botocore: install pulse-gateway[bedrock]")

# bedrock-runtime.eu-west-1.amazonaws.com, bedrock-runtime-fips.us-east-1…, vpce-0a1b.bedrock-runtime.us-east-1.vpce.amazonaws.com
_REGION = re.compile(r"\bbedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_ASKED_REGION = re.compile(r"[?&]region=([A-Za-z0-9-]+)")

_OFFERS: Mapping[str, str] = {
    "embeddings": "pulse_gateway.providers.bedrock_text:EMBEDDINGS",
    "count_tokens": "pulse_gateway.providers.bedrock_text:COUNT_TOKENS",
    "rerank": "pulse_gateway.providers.bedrock_text:RERANK",
}
"""Operation → where its offer is, imported on first use."""


class BedrockProvider(Provider):
    """Model and streaming are in the path: `/model/{model}/converse-stream`."""

    kind = "bedrock"
    dialect = "bedrock.converse"
    base_url = ""

    def __init__(self) -> None:
        self._signer = AwsSigner("bedrock")

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        deployment = call.deployment
        own = (("content-type", "application/json"),)
        headers = dict((*call.trace_headers, *own, *deployment.headers))
        url = model_url(deployment, "converse-stream" if call.stream else "converse")
        return HttpRequest("POST", url, tuple(headers.items()), call.body)

    @property
    def authorize(self) -> Authorize:
        return self._authorize

    async def _authorize(self, request: HttpRequest, deployment: Deployment, send: SendWhole, /) -> HttpRequest:
        return await self._signer.sign(request, deployment.key, region_of(deployment.base_url))

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        return load_offer(_OFFERS.get(operation))

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        """Unsigned. The one list that this endpoint has is of jobs."""
        return HttpRequest("GET", f"{_address(base_url)}/async-invoke?maxResults=1", headers)

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        return upstream_error(status, headers, body)


def model_url(deployment: Deployment, method: str) -> str:
    return f"{_address(deployment.base_url)}/model/{quote(deployment.model.name, safe='')}/{method}"


def region_of(base_url: str) -> str:
    """Raises: UpstreamUnauthorized when `base_url` does not tell it: nothing can be signed then."""
    found = _ASKED_REGION.search(base_url) or _REGION.search(base_url)
    if found is None:
        raise UpstreamUnauthorized("the address of Bedrock names no region; add ?region=… to its base_url")
    return found[1]


def _address(base_url: str) -> str:
    return base_url.partition("?")[0].rstrip("/")


BEDROCK = BedrockProvider()
