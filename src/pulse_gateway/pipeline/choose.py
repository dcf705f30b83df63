from __future__ import annotations

from collections.abc import Awaitable

from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import CHAT, Exchange
from pulse_gateway.pipeline.reply import Reply

__all__ = ["Choose"]


class Choose:
    """A chat goes one way, every other operation the other."""

    def __init__(self, chat: Handler, operation: Handler) -> None:
        self._chat, self._operation = chat, operation

    def __call__(self, exchange: Exchange) -> Awaitable[Reply]:
        return (self._chat if exchange.inbound.operation == CHAT else self._operation)(exchange)
