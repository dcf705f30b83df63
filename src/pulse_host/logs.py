"""Structured logs: JSON lines for machines, colours for a terminal. Keys that slip into a line are masked at this one place."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
import sys
import time
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from pulse_gateway.config import TelemetryConfig
from pulse_gateway.store.keys import redact
from pulse_gateway.telemetry.record import ExchangeRecord, ascii_json
from pulse_gateway.units import usd
from pulse_host import tracebacks

__all__ = ["configure_logs", "log_exchange", "set_log_level"]

_encode = msgspec.json.Encoder(enc_hook=repr).encode
_encode_record_into = msgspec.json.Encoder().encode_into
_plain = structlog.dev.plain_traceback
_exchanges = structlog.get_logger("pulse.exchange")
_LEVELS = logging.getLevelNamesMapping()
# Never below warnings: their debug lines hold headers and bodies.
_LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx", "httpcore", "asyncpg", "asyncio")


class _Output:
    """stdout. A line that cannot be written is lost: no request may fail, and no signal go unheard, for that.

    When nobody reads any more (a pipe's other end or a terminal's window was closed), the rest goes to the null device.

    `gather` is for lines of which there are many: those of one turn of the loop leave in one write, before any other line. A write
    holds no more than a pipe takes in one piece, so that the lines of several workers never mix.
    """

    def __init__(self) -> None:
        self._gathered = ""

    def gather(self, line: str) -> None:
        gathered = self._gathered
        if gathered and len(gathered) + len(line) <= select.PIPE_BUF:
            self._gathered = gathered + line
            return
        self.write_gathered()
        try:
            asyncio.get_running_loop().call_soon(self.write_gathered)
        except RuntimeError:  # no loop that could write it later
            self._write(line)
        else:
            self._gathered = line

    def write_gathered(self) -> None:
        if gathered := self._gathered:
            self._gathered = ""
            self._write(gathered)

    def write(self, text: str) -> None:
        self.write_gathered()
        self._write(text)

    def _write(self, text: str) -> None:
        out = sys.stdout
        try:
            out.write(text)
            out.flush()
        except OSError as error:
            self._lost(error)

    def flush(self) -> None:
        """Asked for by those who write; nothing is ever held back from them."""

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


class _ExchangeLines:
    """The line of an exchange as JSON, without structlog's chain, which takes several times as long for the same bytes."""

    def __init__(self) -> None:
        self.output: _Output | None = None
        """None: lines are for people."""
        self._second, self._moment = 0, ""  # the one that the last line is of, and how it is written
        self._fields = bytearray()  # written anew for each line, it has soon the size that one takes

    def write(self, record: ExchangeRecord) -> bool:
        """False where the chain has more to do: for people, or to mask a key."""
        if self.output is None:
            return False
        if _threshold.level > logging.INFO:
            return True
        fields = self._fields
        _encode_record_into(record, fields)
        text = ascii_json(fields)
        if "pls_" in text:
            return False
        cost = record.cost_nano_usd
        rest = "null" if cost is None else f'"{usd(cost)}"'
        if _naming.worker is not None:
            rest += f',"worker":{_naming.worker}'
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._moment = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        fraction = str(1_000_000 + int((now - second) * 1_000_000))[1:]  # a third of what the format `06d` takes
        self.output.gather(
            f'{{"timestamp":"{self._moment}.{fraction}Z","level":"info","event":"exchange",'
            f'{text[1:-1]},"cost_usd":{rest}}}\n'
        )
        return True


_threshold = _Threshold()
_naming = _Naming()
_exchange_lines = _ExchangeLines()


def configure_logs(config: TelemetryConfig, *, worker: int | None = None) -> None:
    """Send structlog and the standard library's logging to stdout in one format; each line names the worker, where there are some."""
    _naming.worker = worker
    as_json = (config.log_format or ("console" if sys.stdout.isatty() else "json")) == "json"
    lines = _Output()
    _exchange_lines.output = lines if as_json else None
    output = cast("TextIO", lines)
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
    if _exchange_lines.write(record):
        return
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
