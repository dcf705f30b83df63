from __future__ import annotations

from pulse_gateway.errors import UpstreamError
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.routing.health import Health
from pulse_gateway.types.usage import Outcome

__all__ = ["Guard"]


class Guard:
    """Leave a deployment alone that keeps failing, and tell how each attempt at one went."""

    def __init__(self, inner: Handler, *, health: Health) -> None:
        self._inner, self._health = inner, health

    async def __call__(self, exchange: Exchange) -> Reply:
        assert exchange.deployment is not None
        name, health = exchange.deployment.name, self._health
        health.enter(name, last_resort=not exchange.attempts and not exchange.candidates_left)
        heard = False
        try:
            reply = await self._inner(exchange)
            heard = True
        except UpstreamError as error:
            heard = True
            health.failed(name, error)
            raise
        finally:
            if not heard:
                health.left(name)
        health.succeeded(name)
        if reply.stream is not None:
            exchange.defer(self._streamed)
        return reply

    def _streamed(self, exchange: Exchange) -> None:
        """What began well may break off."""
        assert exchange.deployment is not None
        if exchange.outcome is Outcome.INTERRUPTED and isinstance(exchange.error, UpstreamError):
            self._health.failed(exchange.deployment.name, exchange.error)
