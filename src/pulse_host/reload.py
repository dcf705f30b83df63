"""SIGHUP reads the configuration again: a valid one is swapped in whole, an invalid one is reported and changes nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import structlog

from pulse_gateway.environment import load_config
from pulse_gateway.errors import ConfigError
from pulse_gateway.gateway import Gateway

__all__ = ["reloading"]

_log = structlog.get_logger("pulse")


@asynccontextmanager
async def reloading(gateway: Gateway, config_file: str | None) -> AsyncIterator[None]:
    """While inside, SIGHUP reloads `config_file` into `gateway`. How the server listens needs a restart, and stays."""
    loop = asyncio.get_running_loop()

    def reload() -> None:
        try:
            fresh = load_config(config_file)
            gateway.reload(msgspec.structs.replace(fresh, server=gateway.config.server, stores=gateway.config.stores))
        except ConfigError as error:
            _log.error("configuration refused; the last good one stays", reason=str(error))
        else:
            _log.info(
                "configuration reloaded",
                providers=sorted(gateway.config.providers),
                models=sorted(gateway.config.models),
            )

    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
