"""`pulse serve`: the production server."""

from __future__ import annotations

import structlog

from pulse_host.app import create_app
from pulse_host.assembly import assembled
from pulse_host.logs import configure_logs
from pulse_host.reload import Source, reloading
from pulse_host.server import Signals, address_of, bind, serve

__all__ = ["run_serve"]

_log = structlog.get_logger("pulse")


async def run_serve(source: Source, signals: Signals) -> None:
    """Serve until told to stop.

    Raises: ConfigError.
    """
    config = source.read()
    configure_logs(config.telemetry)
    listener = bind(config.server.host, config.server.port)
    try:
        async with assembled(config) as assembly:
            services = assembly.services

            def ready() -> None:
                _log.info(
                    "ready",
                    url=address_of(listener),
                    workers=1,
                    limits="counted in this process; run one only",
                    providers=sorted(config.providers),
                )

            async with reloading(source, config, assembly.apply, signals):
                await serve(
                    create_app(services),
                    listener,
                    services.readiness,
                    signals,
                    drain_s=config.server.drain_s,
                    on_ready=ready,
                )
    finally:
        listener.close()
