"""`pulse serve`: the production server."""

from __future__ import annotations

import structlog

from pulse_gateway.config import Config
from pulse_host.app import create_app
from pulse_host.assembly import assembled
from pulse_host.logs import configure_logs
from pulse_host.reload import reloading
from pulse_host.server import bind, serve

__all__ = ["run_serve"]

_log = structlog.get_logger("pulse")


async def run_serve(config: Config, config_file: str | None = None) -> None:
    """Serve until told to stop.

    Raises: ConfigError.
    """
    configure_logs(config.telemetry)
    listener = bind(config.server.host, config.server.port)
    try:
        async with assembled(config) as services:
            host, port = listener.getsockname()[:2]

            def ready() -> None:
                _log.info(
                    "ready",
                    url=f"http://{host}:{port}",
                    workers=1,
                    limits="counted in this process; run one only",
                    providers=sorted(config.providers),
                )

            async with reloading(services.gateway, config_file):
                await serve(
                    create_app(services), listener, services.readiness, drain_s=config.server.drain_s, on_ready=ready
                )
    finally:
        listener.close()
