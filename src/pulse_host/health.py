"""Is the process up, and can it do its work?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Response, route

from pulse_gateway.errors import StoreUnavailable

__all__ = ["Readiness", "health", "readiness_route"]

Probe = Callable[[], Awaitable[None]]
"""Returns when the dependency works. Raises: StoreUnavailable."""

_PROBE_S = 1.0


class Readiness:
    """`draining` is set once and stays: a server that is shutting down takes no new work."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = probes
        self.draining = False

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Whether all is well, and the word on each dependency."""
        results = await asyncio.gather(*(self._ask(probe) for probe in self._probes.values()))
        words = dict(zip(self._probes, results, strict=True))
        if self.draining:
            words["server"] = "draining"
        return not self.draining and all(word == "ok" for word in results), words

    @staticmethod
    async def _ask(probe: Probe) -> str:
        try:
            async with asyncio.timeout(_PROBE_S):
                await probe()
        except TimeoutError:
            return f"no answer within {_PROBE_S:g} s"
        except StoreUnavailable as error:
            return error.message
        return "ok"


@route("/health", http_method=["GET", "HEAD"], summary="The process is up", tags=["operations"])
async def health() -> dict[str, str]:
    return {"status": "ok"}


def readiness_route(readiness: Readiness) -> Any:
    @route(
        "/ready",
        http_method=["GET", "HEAD"],
        summary="Dependencies are reachable and the server is not draining",
        tags=["operations"],
    )
    async def ready() -> Response[dict[str, Any]]:
        well, checks = await readiness.report()
        body = {"status": "ok" if well else "unavailable", "checks": checks}
        return Response(body, status_code=200 if well else 503, headers={} if well else {"retry-after": "1"})

    return ready
