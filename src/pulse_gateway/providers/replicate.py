"""Replicate: models of many makers, each run as a prediction.

A model is `owner/name` (an official one, called by its name), `owner/name:version` or a version's 64 digits, or
`deployments/owner/name`.

Source: https://replicate.com/docs/reference/http and replicate 1.0.7 (read 2026-11-24)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.errors import UnsupportedParameter, UpstreamError, UpstreamModelNotFound
from pulse_gateway.providers.offer import Offer, OfferCall
from pulse_gateway.providers.provider import ChatSteps, Provider, UpstreamCall
from pulse_gateway.providers.replicate_chat import ReplicateChat
from pulse_gateway.providers.replicate_embeddings import ReplicateEmbeddings
from pulse_gateway.providers.replicate_images import ReplicateImages
from pulse_gateway.providers.replicate_sound import ReplicateListening, ReplicateSpeech
from pulse_gateway.providers.replicate_videos import ReplicateVideos
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.replicate_predictions.families import families_known, family_of
from pulse_gateway.wire.upstream_errors import meant_by, retry_after_s, told

__all__ = ["REPLICATE", "Replicate"]

_VERSION = re.compile(r"(?:[\w.-]+/[\w.-]+:)?[0-9a-f]{64}", re.ASCII)
_DEPLOYMENTS = "deployments/"
_NO_VERSION = "Invalid version"  # "… or not permitted", with 422: a model that is not there, or not for us
_THROTTLED = re.compile(r"available in ([0-9]{1,5}) seconds?")


class _Problem(msgspec.Struct):
    """RFC 7807."""

    title: str = ""
    detail: Any = ""


_decode = msgspec.json.Decoder(_Problem).decode


class Replicate(Provider):
    """Whatever its models do is asked for as predictions."""

    kind = "replicate"
    dialect = "replicate.predictions"
    base_url = "https://api.replicate.com"
    passed_headers: frozenset[str] = frozenset()

    def dialect_of(self, client: str | None, request: Callable[[], ChatRequest], deployment: Deployment, /) -> str:
        """Raises: UnsupportedParameter (`model`) for one that nobody knows to chat, since it would run and be billed all the same."""
        if family_of(deployment.model) is None:
            raise UnsupportedParameter(
                f"{deployment.name} is not known to chat: known are {families_known()}, and what the catalog has with the operation 'chat'",
                param="model",
            )
        return self.dialect

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        return _CHAT.created(call)

    @property
    def chat_steps(self) -> ChatSteps | None:
        return _CHAT.steps

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        return _OFFERS.get(operation)

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        return HttpRequest("GET", f"{_base(base_url or self.base_url)}/account", (*_signed(key), *headers))

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        try:
            problem = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            problem = None
        kind = meant_by(status, is_vendors=problem is not None)
        if problem is not None and problem.title.startswith(_NO_VERSION):
            kind = UpstreamModelNotFound
        words = "" if problem is None else problem.detail if isinstance(problem.detail, str) else problem.title
        wait_s = retry_after_s(headers)
        if wait_s is None and (found := _THROTTLED.search(words)):
            wait_s = float(found[1])
        code = (problem.title or None) if problem is not None else None
        return kind(told(kind, words), retry_after_s=wait_s, upstream_status=status, upstream_code=code)

    # ── for its offers ────────────────────────────────────────────────────────────────────────────────────────────────

    def base(self, deployment: Deployment, /) -> str:
        """With its `/v1`."""
        return _base(deployment.base_url or self.base_url)

    def own_headers(self, call: OfferCall, /) -> Headers:
        """What the operator configured is the last word."""
        deployment = call.deployment
        return tuple(dict((*call.trace_headers, *_signed(deployment.key), *deployment.headers)).items())

    def predictions_url(self, deployment: Deployment, /) -> str:
        """Where predictions of the deployment's model are begun."""
        base, name = self.base(deployment), deployment.model.name
        if _VERSION.fullmatch(name):
            return f"{base}/predictions"
        collection, path = (
            ("deployments", name.removeprefix(_DEPLOYMENTS)) if name.startswith(_DEPLOYMENTS) else ("models", name)
        )
        return f"{base}/{collection}/{quote(path)}/predictions"

    def version_of(self, deployment: Deployment, /) -> str | None:
        """What to name in the body, for a model that its address does not name."""
        name = deployment.model.name
        return name if _VERSION.fullmatch(name) else None

    def webhook_secret_request(self, call: OfferCall, /) -> HttpRequest:
        """Asks what it signs its calls of a webhook with."""
        return HttpRequest("GET", f"{self.base(call.deployment)}/webhooks/default/secret", self.own_headers(call))


def _base(configured: str) -> str:
    base = configured.rstrip("/")
    return base if base.endswith("/v1") else f"{base}/v1"


def _signed(key: str | None) -> Headers:
    return () if key is None else (("authorization", f"Bearer {key}"),)


REPLICATE = Replicate()
_CHAT = ReplicateChat(REPLICATE)
_IMAGES = ReplicateImages(REPLICATE)
_OFFERS: Mapping[str, Offer] = {
    "images": _IMAGES,
    "image_edits": _IMAGES,
    "videos": ReplicateVideos(REPLICATE),
    "embeddings": ReplicateEmbeddings(REPLICATE),
    "speech": ReplicateSpeech(REPLICATE),
    "transcription": ReplicateListening(REPLICATE),
    "translation": ReplicateListening(REPLICATE, translate=True),
}
