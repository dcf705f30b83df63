from __future__ import annotations

from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import CHAT, Exchange
from pulse_gateway.pipeline.reply import Reply

__all__ = ["Choose"]


class Choose:
    """A chat goes one way, every other operation the other."""

    def __init__(self, chat: Handler, operation: Handler) -> None:
        self._chat, self._operation = chat, operation

    async def __call__(self, exchange: Exchange) -> Reply:
        return await (self._chat if exchange.inbound.operation == CHAT else self._operation)(exchange)
