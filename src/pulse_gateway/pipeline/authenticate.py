from __future__ import annotations

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

    async def __call__(self, exchange: Exchange) -> Reply:
        inbound = exchange.inbound
        if inbound.principal is not None:
            exchange.principal = inbound.principal
        elif inbound.credential:
            exchange.principal = await self._authenticator.authenticate(inbound.credential)
        else:
            raise Unauthenticated("no API key was sent; use the header Authorization: Bearer KEY")
        return await self._inner(exchange)
