"""Structured logs: JSON lines for machines, colours for a terminal. Keys that slip into a line are masked at this one place."""

from __future__ import annotations

import logging
import sys
from typing import Any, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pulse_gateway.config import TelemetryConfig
from pulse_gateway.store.keys import redact
from pulse_gateway.telemetry.record import ExchangeRecord, ascii_json

__all__ = ["configure_logs", "log_exchange"]

_encode = msgspec.json.Encoder(enc_hook=repr).encode
# Frames without their local variables: those hold keys and prompts.
_tracebacks = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
_plain = structlog.dev.plain_traceback
_exchanges = structlog.get_logger("pulse.exchange")


def configure_logs(config: TelemetryConfig) -> None:
    """Send structlog and the standard library's logging to stdout in one format."""
    as_json = (config.log_format or ("console" if sys.stdout.isatty() else "json")) == "json"
    level = logging.getLevelNamesMapping()[config.log_level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    ]
    ending: list[Processor] = (
        [_tracebacks, _mask, _to_json] if as_json else [_mask, structlog.dev.ConsoleRenderer(exception_formatter=_plain)]
    )
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(max(level, logging.WARNING))


def log_exchange(record: ExchangeRecord) -> None:
    """One line per exchange; see `ExchangeRecord` for its fields."""
    fields = cast("dict[str, Any]", msgspec.to_builtins(record))
    _exchanges.info("exchange", **fields, cost_usd=record.cost_usd)


def _mask(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str) and "pls_" in value:
            event[name] = redact(value)
    return event


def _to_json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return ascii_json(_encode(event))
