from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from pulse_gateway.errors import Unauthenticated
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.types.identity import Principal

__all__ = ["Authenticate", "Authenticator"]


class Authenticator(Protocol):
    async def authenticate(self, secret: str, /) -> Principal:
        """Raises: Unauthenticated, StoreUnavailable."""
        ...


class Authenticate:
    """Who is calling: the principal that the embedding program vouches for, or the owner of the key."""

    def __init__(self, inner: Handler, *, authenticator: Authenticator) -> None:
        self._inner, self._authenticator = inner, authenticator

    def __call__(self, exchange: Exchange) -> Awaitable[Reply]:
        inbound = exchange.inbound
        if inbound.principal is not None:
            exchange.principal = inbound.principal
            return self._inner(exchange)
        if inbound.credential:
            return self._with_key(exchange, inbound.credential)
        raise Unauthenticated("no API key was sent; use the header Authorization: Bearer KEY")

    async def _with_key(self, exchange: Exchange, secret: str) -> Reply:
        exchange.principal = await self._authenticator.authenticate(secret)
        return await self._inner(exchange)
