"""Handlers, layers, and how a stack of them is put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply

__all__ = ["Handler", "Layer", "compose"]

Handler = Callable[[Exchange], Awaitable[Reply]]
Layer = Callable[[Handler], Handler]


def compose(layers: Sequence[Layer], innermost: Handler) -> Handler:
    """The layers around `innermost`; the first one is outermost."""
    handler = innermost
    for layer in reversed(layers):
        handler = layer(handler)
    return handler
