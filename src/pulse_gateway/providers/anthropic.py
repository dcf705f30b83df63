"""Anthropic's own API.

Its version `2026-10-21` knows no sampling parameters and refuses them, `2023-06-01` still takes them. A client that speaks
the dialect has chosen its version itself; a translated request gets the version that its body needs. Everything that a model
of this vendor lacks is refused by `wire.anthropic_messages` while it encodes the request.

Source: https://platform.claude.com/docs/en/api/versioning and /api/overview (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Mapping

from pulse_gateway.errors import UpstreamError
from pulse_gateway.providers.offer import Offer
from pulse_gateway.providers.offers import load_offer
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.wire.anthropic_messages.errors import upstream_error
from pulse_gateway.wire.anthropic_messages.foreign_thinking import without_foreign_thinking
from pulse_gateway.wire.anthropic_messages.versions import CURRENT, version_for

__all__ = ["ANTHROPIC", "AnthropicProvider"]


_OFFERS: Mapping[str, str] = {"count_tokens": "pulse_gateway.providers.anthropic_count:COUNT_TOKENS"}
"""Operation → where its offer is, imported on first use."""


class AnthropicProvider(Provider):
    kind = "anthropic"
    dialect = "anthropic.messages"
    base_url = "https://api.anthropic.com"
    passed_headers = frozenset(
        {"anthropic-version", "anthropic-beta", "anthropic-workspace-id", "anthropic-user-profile-id"}
    )

    def build(self, call: UpstreamCall, /) -> HttpRequest:
        """The client's own headers win over the deployment's, but the betas of both are asked for."""
        deployment = call.deployment
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream" if call.stream else "application/json",
        }
        if deployment.key is not None:
            headers["x-api-key"] = deployment.key
        passed = [(name, value) for name, value in call.client_headers if name in self.passed_headers]
        headers |= deployment.headers
        headers |= passed
        betas = [value for name, value in (*deployment.headers, *passed) if name == "anthropic-beta"]
        if betas:
            headers["anthropic-beta"] = ",".join(betas)
        headers.setdefault("anthropic-version", version_for(call.body))
        headers |= call.trace_headers
        url = f"{(deployment.base_url or self.base_url).rstrip('/')}/v1/messages"
        return HttpRequest("POST", url, tuple(headers.items()), call.body)

    def offer(self, operation: str, deployment: Deployment, /) -> Offer | None:
        return load_offer(_OFFERS.get(operation))

    def trimmed(self, body: bytes, dialect: str, deployment: Deployment, /) -> tuple[bytes, tuple[str, ...]]:
        return without_foreign_thinking(body)

    def probe(self, base_url: str, key: str | None, headers: Headers, /) -> HttpRequest:
        own = (("anthropic-version", CURRENT), ("x-api-key", key or ""))
        return HttpRequest("GET", f"{base_url}/v1/models", (*own, *headers))

    def error(self, status: int, headers: Headers, body: bytes, /) -> UpstreamError:
        return upstream_error(status, headers, body)


ANTHROPIC = AnthropicProvider()
