"""Amazon Bedrock: every model that chats behind one dialect, `Converse`; whatever else there is, each maker's in its own words.

The address names the region: `https://bedrock-runtime.{region}.amazonaws.com`. An address that does not, of a private endpoint or a
proxy, has it as `?region=…`, which is not sent.

Source: https://docs.aws.amazon.com/general/latest/gr/bedrock.html (read 2026-11-24)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

from pulse_gateway.errors import UpstreamError, UpstreamRejected, UpstreamUnauthorized
from pulse_gateway.providers.aws_signing import AwsSigner
from pulse_gateway.providers.offer import Offer, OfferCall
from pulse_gateway.providers.offers import load_offer
from pulse_gateway.providers.provider import Authorize, Provider, SendWhole, UpstreamCall
from pulse_gateway.providers.s3 import S3Read
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest, header
from pulse_gateway.wire.bedrock_converse.errors import upstream_error
from pulse_gateway.wire.foreign_json import to_provider

__all__ = ["BEDROCK", "BedrockProvider", "asked", "model_url", "region_of", "service_url"]

if find_spec("botocore") is None:
    raise ImportError("Bedrock needs botocore: install pulse-gateway[bedrock]")

# bedrock-runtime.eu-west-1.amazonaws.com, bedrock-runtime-fips.us-east-1…, vpce-0a1b.bedrock-runtime.us-east-1.vpce.amazonaws.com
_REGION = re.compile(r"\bbedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_ASKED_REGION = re.compile(r"[?&]region=([A-Za-z0-9-]+)")


def _of(maker: str, names: str) -> re.Pattern[str]:
    """Models of `maker`, with a region before it or not, or at the end of an ARN."""
    return re.compile(rf"(?:^|[./]){maker}\.(?:{names})")


_AMAZONS_IMAGES = _of("amazon", "nova-canvas|titan-image-generator")
_OFFERS: Mapping[str, str] = {
    "embeddings": "pulse_gateway.providers.bedrock_text:EMBEDDINGS",
    "count_tokens": "pulse_gateway.providers.bedrock_text:COUNT_TOKENS",
    "rerank": "pulse_gateway.providers.bedrock_text:RERANK",
}
"""Operation → where its offer is, imported on first use."""

_OF_MAKERS: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "images": (
        (_AMAZONS_IMAGES, "pulse_gateway.providers.bedrock_canvas:IMAGES"),
        (_of("stability", "stable-image-(?:core|ultra)|sd3"), "pulse_gateway.providers.bedrock_stability:IMAGES"),
    ),
    "image_edits": (
        (_AMAZONS_IMAGES, "pulse_gateway.providers.bedrock_canvas:EDITS"),
        (_of("stability", "stable-image-(?:ultra|inpaint)|sd3"), "pulse_gateway.providers.bedrock_stability:EDITS"),
    ),
    "videos": (
        (_of("amazon", "nova-reel"), "pulse_gateway.providers.bedrock_videos:REEL"),
        (_of("luma", "ray"), "pulse_gateway.providers.bedrock_videos:RAY"),
    ),
    "moderation": ((re.compile(r"(?:^|:)guardrail/"), "pulse_gateway.providers.bedrock_guardrails:MODERATION"),),
}
"""Operation → whose models have it, and where that offer is."""


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
        if isinstance(request, S3Read):
            return await self._signer.sign(request, deployment.key, request.region, service="s3")
        return await self._signer.sign(request, deployment.key, region_of(deployment.base_url))

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        makers = _OF_MAKERS.get(operation, ())
        name = deployment.model.name
        return load_offer(next((path for names, path in makers if names.search(name)), _OFFERS.get(operation)))

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        """Unsigned. The one list that this endpoint has is of jobs."""
        return HttpRequest("GET", f"{_address(base_url)}/async-invoke?maxResults=1", headers)

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        if header(headers, "x-amz-request-id") is not None:  # S3's; Bedrock's own is `x-amzn-requestid`
            if status == 404:
                return UpstreamRejected("the file is in its bucket no more", upstream_status=status)
            if status < 500 and status != 429:  # 400 is a session that is over, or another region; so is a redirection
                return UpstreamUnauthorized("the gateway may not read its bucket", upstream_status=status)
        return upstream_error(status, headers, body)


def model_url(deployment: Deployment, method: str) -> str:
    return service_url(deployment, f"/model/{quote(deployment.model.name, safe='')}/{method}")


def service_url(deployment: Deployment, path: str) -> str:
    return f"{_address(deployment.base_url)}{path}"


def asked(call: OfferCall, method: str, url: str, body: Mapping[str, Any] | None = None) -> HttpRequest:
    """A request beside chat, still unsigned. Raises: InvalidRequest when what the client wrote is nested too deeply."""
    own = (("content-type", "application/json"), ("accept", "application/json"))
    headers = dict((*call.trace_headers, *own, *call.deployment.headers))
    return HttpRequest(method, url, tuple(headers.items()), b"" if body is None else to_provider(dict(body)))


def region_of(base_url: str) -> str:
    """Raises: UpstreamUnauthorized when `base_url` does not tell it: nothing can be signed then."""
    found = _ASKED_REGION.search(base_url) or _REGION.search(base_url)
    if found is None:
        raise UpstreamUnauthorized("the address of Bedrock names no region; add ?region=… to its base_url")
    return found[1]


def _address(base_url: str) -> str:
    return base_url.partition("?")[0].rstrip("/")


BEDROCK = BedrockProvider()
