"""Packages that load others where they happen to be installed, for things that a server does not use: loaded without those."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

__all__ = ["load_redis", "load_structlog"]


def load_redis() -> None:
    """Call before anything else imports redis-py: it loads OpenTelemetry's metrics wherever they are installed, for an observability of
    its own that is not used here. They take 40 ms of the start, and 2.4 MiB of each process. Whoever imports them later gets them."""
    with _without("opentelemetry.sdk.metrics"):
        import_module("redis")


def load_structlog() -> None:
    """The same of structlog, which loads rich for tracebacks in colours, though they are written plainly here: 60 ms, and 3 MiB."""
    with _without("rich"):
        import_module("structlog")


@contextmanager
def _without(name: str) -> Iterator[None]:
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what Python takes for "there is none"
    try:
        yield
    finally:
        del sys.modules[name]
