"""`pulse serve`: the production server, in one process or in several."""

from __future__ import annotations

import os
import socket
from contextlib import AsyncExitStack
from importlib import import_module

import structlog

from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError
from pulse_host import descriptors, garbage
from pulse_host.app import create_app
from pulse_host.assembly import assembled
from pulse_host.lean_imports import load_redis
from pulse_host.logs import configure_logs
from pulse_host.reload import Source, reloading
from pulse_host.server import Signals, address_of, bind, run_async, serve
from pulse_host.siblings import Siblings
from pulse_host.workers import Supervisor, Worker

__all__ = ["run_serve", "run_workers"]

_log = structlog.get_logger("pulse")


async def run_serve(source: Source, signals: Signals) -> None:
    """Serve until told to stop, in this process.

    Raises: ConfigError.
    """
    config = source.read()
    configure_logs(config.telemetry)
    descriptors.allow(config.network.max_connections)
    listener = bind(config.server.host, config.server.port)
    try:
        await _serve(source, config, listener, signals, None)
    finally:
        listener.close()


def run_workers(source: Source, count: int) -> int:
    """Serve in `count` processes until told to stop; returns the exit code, 0 when all of them drained.

    Raises: ConfigError.
    """
    config = source.read()
    configure_logs(config.telemetry)
    descriptors.allow(config.network.max_connections)
    if config.limits.store == "local":
        raise ConfigError(
            'limits.store = "local" counts in the memory of one process, and a second one would grant everything again: '
            "leave --workers at 1, or set PULSE_REDIS_URL and leave limits.store out"
        )
    load_redis()
    import_module(
        "pulse_gateway.limits.redis"
    )  # what is loaded before workers are made is in memory once for all of them
    listener = bind(config.server.host, config.server.port)

    def work(worker: Worker) -> None:
        fresh = source.read()
        configure_logs(fresh.telemetry, worker=worker.number)
        run_async(lambda signals: _serve(source, fresh, listener, signals, worker), worker)

    try:
        return Supervisor(count, work, on_ready=lambda: _say_ready(config, listener, count)).run()
    finally:
        listener.close()


async def _serve(
    source: Source, config: Config, listener: socket.socket, signals: Signals, worker: Worker | None
) -> None:
    async with AsyncExitStack() as opened:
        assembly = await opened.enter_async_context(assembled(config, worker=None if worker is None else worker.number))
        services = assembly.services
        if worker is not None:
            siblings = Siblings(worker.folder, worker.number, services.metrics.snapshot)
            services.metrics.others = await opened.enter_async_context(siblings)
        await opened.enter_async_context(reloading(source, config, assembly.apply, signals))

        def ready() -> None:
            garbage.settle()
            if worker is None:
                _say_ready(config, listener, 1)
            else:
                _log.info("worker ready", pid=os.getpid())
                worker.ready()

        await serve(
            create_app(services),
            listener,
            services.readiness,
            signals,
            drain_s=config.server.drain_s,
            on_ready=ready,
            under_way=lambda: services.gateway.under_way,
        )


def _say_ready(config: Config, listener: socket.socket, workers: int) -> None:
    local = config.limits.store == "local"
    _log.info(
        "ready",
        url=address_of(listener),
        workers=workers,
        limits="counted in this process; run one only" if local else "counted in Redis, for all replicas",
        providers=sorted(config.providers),
    )
