"""Stability: images as forms in, bytes out.

Source: https://platform.stability.ai/docs/api-reference (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

import msgspec

from pulse_gateway.errors import (
    UnsupportedParameter,
    UpstreamError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRefusedContent,
)
from pulse_gateway.providers.offer import Offer, OfferCall
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.providers.stability_images import StabilityImages, endpoint_of
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.upstream_errors import meant_by, retry_after_s, told

__all__ = ["STABILITY", "Stability"]

_BLOCKED_S = 60.0  # for whoever has asked too often
_BY_NAME: Mapping[str, type[UpstreamError]] = {
    "content_moderation": UpstreamRefusedContent,
    "payment_required": UpstreamQuotaExhausted,
}


class _Problem(msgspec.Struct):
    name: str = ""
    errors: list[str] = []


_decode = msgspec.json.Decoder(_Problem).decode


class Stability(Provider):
    kind = "stability"
    dialect = "openai.chat"  # never spoken: `dialect_of` refuses
    base_url = "https://api.stability.ai"
    passed_headers: frozenset[str] = frozenset()

    def dialect_of(self, client: str | None, request: Callable[[], ChatRequest], deployment: Deployment, /) -> str:
        _refuse_chat(deployment)

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        _refuse_chat(call.deployment)

    def check(self, request: ChatRequest, deployment: Deployment, /) -> None:
        _refuse_chat(deployment)

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        edits = {"images": False, "image_edits": True}.get(operation)
        if edits is None or endpoint_of(deployment.model.name, edits=edits) is None:
            return None
        return _EDITS if edits else _IMAGES

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        base = (base_url or self.base_url).rstrip("/")
        return HttpRequest("GET", f"{base}/v1/user/balance", (*_signed(key), *headers))

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        try:
            problem = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            problem = None
        named = None if problem is None else _BY_NAME.get(problem.name)
        kind = named or meant_by(status, is_vendors=problem is not None)
        wait_s = retry_after_s(headers)
        return kind(
            told(kind, "; ".join(problem.errors) if problem is not None else ""),
            retry_after_s=_BLOCKED_S if wait_s is None and kind is UpstreamRateLimited else wait_s,
            upstream_status=status,
            upstream_code=(problem.name or None) if problem is not None else None,
        )

    # ── for its offers ────────────────────────────────────────────────────────────────────────────────────────────────

    def address(self, deployment: Deployment, path: str, /) -> str:
        return f"{(deployment.base_url or self.base_url).rstrip('/')}/v2beta/stable-image/{path}"

    def own_headers(self, call: OfferCall, /) -> Headers:
        """What the operator configured is the last word."""
        deployment = call.deployment
        return tuple(dict((*call.trace_headers, *_signed(deployment.key), *deployment.headers)).items())


def _refuse_chat(deployment: Deployment) -> NoReturn:
    raise UnsupportedParameter(f"{deployment.name} has no chat; it makes images", param="model")


def _signed(key: str | None) -> Headers:
    return () if key is None else (("authorization", f"Bearer {key}"),)


STABILITY = Stability()
_IMAGES, _EDITS = StabilityImages(STABILITY, edits=False), StabilityImages(STABILITY, edits=True)
