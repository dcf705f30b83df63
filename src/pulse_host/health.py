"""Is the process up, and can it do its work?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec
from litestar import Response, route

from pulse_gateway.errors import StoreUnavailable

__all__ = ["OK", "Probe", "Readiness", "Report", "health", "readiness_route"]

OK: Literal["ok"] = "ok"

Probe = Callable[[], Awaitable[str]]
"""The word on a dependency: `ok`, or how its work is done without it. Raises: StoreUnavailable when it cannot be done."""

_PROBE_S = 1.0


class Report(msgspec.Struct, frozen=True):
    """`degraded`: requests are answered, and something is not as it should be."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: dict[str, str]


class Readiness:
    """`draining` is set once and stays: a server that is shutting down takes no new work."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self.draining = False

    async def report(self) -> Report:
        """The word on each dependency, and what follows for requests."""
        results = await asyncio.gather(*map(self._ask, self._probes.values()))
        checks = dict(zip(self._probes, [word for _, word in results], strict=True))
        if self.draining:
            checks["server"] = "draining"
        if self.draining or not all(able for able, _ in results):
            return Report("unavailable", checks)
        return Report(OK if all(word == OK for _, word in results) else "degraded", checks)

    @staticmethod
    async def _ask(probe: Probe) -> tuple[bool, str]:
        try:
            async with asyncio.timeout(_PROBE_S):
                return True, await probe()
        except TimeoutError:
            return False, f"no answer within {_PROBE_S:g} s"
        except StoreUnavailable as error:
            return False, error.message


@route("/health", http_method=["GET", "HEAD"], summary="The process is up", tags=["operations"])
async def health() -> dict[str, str]:
    return {"status": OK}


def readiness_route(readiness: Readiness) -> Any:
    @route(
        "/ready",
        http_method=["GET", "HEAD"],
        summary="Requests can be answered, and the server is not draining",
        tags=["operations"],
    )
    async def ready() -> Response[Report]:
        report = await readiness.report()
        able = report.status != "unavailable"
        return Response(report, status_code=200 if able else 503, headers={} if able else {"retry-after": "1"})

    return ready
