"""The caller of a product route."""

from __future__ import annotations

from typing import Any

from litestar import Request

from pulse_gateway.errors import Unauthenticated
from pulse_gateway.pipeline.authenticate import Authenticator
from pulse_gateway.types.identity import Principal
from pulse_host.ingress import credential_of

__all__ = ["principal_of"]


async def principal_of(request: Request[Any, Any, Any], keys: Authenticator) -> Principal:
    """Raises: Unauthenticated, StoreUnavailable."""
    secret = credential_of(dict(request.headers.items()))
    if secret is None:
        raise Unauthenticated("no API key was sent; use the header Authorization: Bearer KEY")
    return await keys.authenticate(secret)
