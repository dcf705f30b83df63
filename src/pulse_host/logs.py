"""Structured logs: JSON lines for machines, colours for a terminal. Keys that slip into a line are masked at this one place."""

from __future__ import annotations

import errno
import logging
import os
import sys
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pulse_gateway.config import TelemetryConfig
from pulse_gateway.store.keys import redact
from pulse_gateway.telemetry.record import ExchangeRecord, ascii_json
from pulse_host import tracebacks

__all__ = ["configure_logs", "log_exchange", "set_log_level"]

_encode = msgspec.json.Encoder(enc_hook=repr).encode
_plain = structlog.dev.plain_traceback
_exchanges = structlog.get_logger("pulse.exchange")
_LEVELS = logging.getLevelNamesMapping()
# Never below warnings: their debug lines hold headers and bodies.
_LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore", "asyncpg", "asyncio")


class _Output:
    """stdout. A line that cannot be written is lost: no request may fail, and no signal go unheard, for that.

    When nobody reads any more (a pipe's other end or a terminal's window was closed), the rest goes to the null device.
    """

    def write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
        except OSError as error:
            self._lost(error)

    def flush(self) -> None:
        try:
            sys.stdout.flush()
        except OSError as error:
            self._lost(error)

    def _lost(self, error: OSError) -> None:
        if error.errno in {errno.EPIPE, errno.EIO}:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)


class _Threshold:
    """Drops what is below a level that may change at any time; a logger that was once used keeps all else it was made with."""

    def __init__(self) -> None:
        self.level = logging.INFO

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if _LEVELS.get(method.upper(), logging.ERROR) < self.level:  # `exception` is no level's name
            raise structlog.DropEvent
        return event


class _Naming:
    """Says which worker a line is from, where there are several. It may change: a worker begins as a copy of its parent, with loggers
    that the parent has used."""

    def __init__(self) -> None:
        self.worker: int | None = None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if self.worker is not None:
            event["worker"] = self.worker
        return event


_threshold = _Threshold()
_naming = _Naming()


def configure_logs(config: TelemetryConfig, *, worker: int | None = None) -> None:
    """Send structlog and the standard library's logging to stdout in one format; each line names the worker, where there are some."""
    _naming.worker = worker
    as_json = (config.log_format or ("console" if sys.stdout.isatty() else "json")) == "json"
    output = cast("TextIO", _Output())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _naming,
    ]
    ending: list[Processor] = (
        [tracebacks.as_structure, _mask, _to_json]
        if as_json
        else [
            tracebacks.as_text,
            _mask,
            _brief,
            structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=_plain),
        ]
    )
    structlog.configure(
        processors=[_threshold, *shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=structlog.WriteLoggerFactory(output),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.getLogger().handlers[:] = [handler]
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
    set_log_level(config.log_level)


def set_log_level(name: str) -> None:
    """The lowest level written from now on."""
    level = _LEVELS[name.upper()]
    _threshold.level = level
    logging.getLogger().setLevel(level)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(max(level, logging.WARNING))


def log_exchange(record: ExchangeRecord) -> None:
    """One line per exchange; see `ExchangeRecord` for its fields."""
    fields = cast("dict[str, Any]", msgspec.to_builtins(record))
    _exchanges.info("exchange", **fields, cost_usd=record.cost_usd)


def _mask(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str) and "pls_" in value:
            event[name] = redact(value)
    return event


def _brief(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """For people: without what says nothing, and with as many digits as can be read."""
    return {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in event.items()
        if value not in (None, {})
    }


def _to_json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return ascii_json(_encode({**first, **event}))
